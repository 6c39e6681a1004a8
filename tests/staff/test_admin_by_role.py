"""Every page of the admin, and every action of its lists, by staff of each role: looked at, and sent to.

Few rows are stored, so most pages that are open find nothing or lead elsewhere; the others answer 403 all the same.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404
from django.test import RequestFactory
from django.urls import resolve, reverse
from django_htmx.middleware import HtmxDetails

from config.doctor import pages
from invoices.models import Alert
from meters.staff_groups import sync_groups
from meters.staff_roles import StaffRole, allows
from portal.people.session_store import SessionStore
from tests.factories import make_customer, make_meter, role_group
from tests.staff.conftest import Staff, signed_in
from tests.staff.pages import (
    ACTIONS,
    ANYBODY,
    MODELS,
    NEVER,
    OF_ALL_STAFF,
    OF_ALL_STAFF_BEGINNING,
    PAGES,
    below,
    needed,
    permission,
)

pytestmark = pytest.mark.django_db

ROLES = [*StaffRole, None]
# What stands in addresses: rows that there are not.
ARGUMENTS = {"way": "up", "fee_key": "seats", "kind": "invoice.final", "ending": "csv", "number": 1, "position": 1}
NOWHERE = 987654


def addresses(rows: dict[str, int] | None = None) -> Iterator[tuple[str, str, str, str]]:
    """Name, path, and what looking and sending need. `rows`: those that there are, by model."""
    for where, pattern in below("admin/"):
        name = pattern.name
        if name is None or name in OF_ALL_STAFF or name.startswith(OF_ALL_STAFF_BEGINNING):
            continue
        asked = needed(name)
        if asked is None:
            pytest.fail(f"Say in tests/staff/pages.py what the page {name!r} ({where}) needs.")
        # Django looks for the row first there, and then asks what it asks on the page of the row.
        if name.endswith("_history"):
            continue
        row = (rows or {}).get(name.rpartition("_")[0], NOWHERE)
        arguments = {one: ARGUMENTS.get(one, row) for one in pattern.pattern.converters}
        yield name, reverse(f"admin:{name}", kwargs=arguments), *asked


def may(role: StaffRole | None, permissions: str) -> bool:
    if permissions in (NEVER, ANYBODY):
        return permissions == ANYBODY
    return role is not None and all(allows(role, one) for one in permissions.split())


def answer_to(user: User, method: str, path: str) -> int:
    """The status of the page's view alone: what lies around it is the same for all, and pages are not written out."""
    match = resolve(path)
    request: Any = RequestFactory().generic(method, path)
    request.user, request.session, request.htmx = user, SessionStore(), HtmxDetails(request)
    request._messages = FallbackStorage(request)
    request._dont_enforce_csrf_checks = True
    request.resolver_match = match
    try:
        with transaction.atomic():
            answer = match.func(request, *match.args, **match.kwargs)
            transaction.set_rollback(True)
    except PermissionDenied:
        return 403
    except Http404:
        return 404
    return int(answer.status_code)


@pytest.mark.parametrize("role", ROLES, ids=str)
def test_each_page_by_each_role(role: StaffRole | None, staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    # What it finds is no matter here, and takes seconds.
    monkeypatch.setattr(pages, "latest", pages.Latest(()))
    user: Any = staff("ada", role)
    user.is_verified = lambda: False
    alert = Alert.objects.create(name="x", kind="amount", audience="staff", threshold=20, currency="USD", actor="ada")
    # These look for their row first.
    rows = {"meters_customer": make_customer("acme").pk, "meters_meter": make_meter("Calls").pk}
    wrong = []
    for name, path, looking, sending in addresses(rows | {"invoices_alert": alert.pk}):
        for method, permissions in (("GET", looking), ("POST", sending)):
            status = answer_to(user, method, path)
            # 405: nobody does this there; 404: nobody finds anything.
            if status == 405 or (status == 404 and permissions == NEVER):
                continue
            if status >= 500 or (status == 403) == may(role, permissions):
                wrong.append((method, name, status, permissions))
    assert not wrong, "\n".join(map(str, wrong))


def test_the_words_are_about_pages_that_there_are() -> None:
    names = {pattern.name for _, pattern in below("admin/")}
    assert not set(PAGES) - names
    assert {f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry} == set(MODELS)


def test_the_history_is_shown_to_who_sees_the_row(staff: Staff) -> None:
    """As Django has it: it asks for the permission to look at the row."""
    assert not [type(one) for one in admin.site._registry.values() if type(one).history_view != ModelAdmin.history_view]
    group = role_group(StaffRole.SUPPORT)
    for role in ROLES:
        client = signed_in(staff(f"of-{role}", role))
        answer = client.get(reverse("admin:auth_group_history", args=[group.pk]))
        assert (answer.status_code == 403) == (role != StaffRole.OWNER), role


@pytest.mark.parametrize("role", ROLES, ids=str)
def test_each_action_by_each_role(role: StaffRole | None, staff: Staff) -> None:
    request = RequestFactory().get("/")
    request.user = staff("ada", role)
    for model, page in admin.site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        own = {one.__name__ if callable(one) else one for one in page.actions or ()}
        assert own == set(ACTIONS.get(name, {})), f"Say in tests/staff/pages.py what the actions of {name} need."
        expected = {action for action, permissions in ACTIONS.get(name, {}).items() if may(role, permissions)}
        if "delete" in MODELS[name].split() and may(role, permission("delete", name)):
            expected.add("delete_selected")
        assert set(page.get_actions(request)) == expected, name


@pytest.mark.parametrize("role", ROLES, ids=str)
def test_the_front_page_offers_what_the_role_sees(role: StaffRole | None, staff: Staff) -> None:
    client = signed_in(staff("ada", role))
    apps = client.get("/admin/").context["app_list"]
    shown = {f"{app['app_label']}_{model['object_name'].lower()}" for app in apps for model in app["models"]}
    assert shown == {name for name in MODELS if may(role, permission("view", name))}


@pytest.mark.parametrize(
    ("role", "model", "is_open"),
    [
        (StaffRole.FINANCE, "pricing.promotion", True),
        (StaffRole.SUPPORT, "meters.customer", True),
        (StaffRole.FINANCE, "auth.user", False),
        (None, "meters.customer", False),
    ],
)
def test_lookups_of_forms_show_what_the_role_sees(
    role: StaffRole | None, model: str, is_open: bool, staff: Staff
) -> None:
    fields = {
        "pricing.promotion": ("pricing", "appliedpromotion", "promotion"),
        "meters.customer": ("meters", "apikey", "customer"),
        "auth.user": ("portal", "membership", "user"),
    }
    app, name, field = fields[model]
    answer = signed_in(staff("ada", role)).get(
        "/admin/autocomplete/", {"app_label": app, "model_name": name, "field_name": field}
    )
    assert (answer.status_code == 200) is is_open


def test_staff_without_a_role_see_nothing(staff: Staff) -> None:
    page = signed_in(staff("ada")).get("/admin/").content.decode()
    assert "You don’t have permission to view or edit anything." in page


def test_a_superuser_sees_everything() -> None:
    client = signed_in(User.objects.create_superuser("root"))
    assert client.get("/admin/auth/user/").status_code == 200


def test_a_second_role_adds_to_the_first(staff: Staff) -> None:
    both = staff("ada", StaffRole.SUPPORT)
    both.groups.add(role_group(StaffRole.FINANCE))
    client = signed_in(both)
    assert client.get("/admin/pricing/plan/add/").status_code == 200
    assert may(StaffRole.SUPPORT, "portal.view_as_customer")
    assert both.has_perms(["portal.view_as_customer", "pricing.add_plan"])


def test_no_page_is_open_before_the_second_factor(staff: Staff, settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = "required"
    client = signed_in(staff("ada", is_superuser=True))
    paths = [path for _, path, *_ in addresses()]
    paths += [reverse(f"portal:{name}") for name in ("overview", "usage", "team", "account", "sign-in")]
    paths += ["/v1/docs", "/admin/", "/admin/password_change/", "/admin/autocomplete/"]
    answers = [client.get(path) for path in paths] + [client.post(path) for path in paths[-9:]]
    for answer in answers:
        assert answer.status_code == 302, answer.request
        assert answer["Location"].startswith("/admin/second-factor/set-up/"), answer.request


def names_of(permissions: Any) -> set[str]:
    return {f"{one.content_type.app_label}.{one.codename}" for one in permissions.select_related("content_type")}


class TestGroups:
    def test_they_follow_the_table(self, db: None) -> None:
        sync_groups()
        known = names_of(Permission.objects)
        for role in StaffRole:
            held = names_of(role_group(role).permissions)
            assert held == {one for one in known if allows(role, one)}, role

    def test_what_was_given_by_hand_is_taken_back(self, db: None) -> None:
        sync_groups()
        support = role_group("support")
        support.permissions.add(Permission.objects.get(codename="change_plan"))
        support.permissions.remove(Permission.objects.get(codename="view_plan"))
        sync_groups()
        assert set(support.permissions.filter(codename__endswith="_plan").values_list("codename", flat=True)) == {
            "view_plan"
        }

    def test_groups_of_ones_own_are_left_alone(self, db: None) -> None:
        own = Group.objects.create(name="auditors")
        own.permissions.add(Permission.objects.get(codename="view_plan"))
        sync_groups()
        assert own.permissions.count() == 1

    def test_members_stay(self, staff: Staff) -> None:
        ada = staff("ada", StaffRole.FINANCE)
        sync_groups()
        assert ada.groups.get().name == "finance"
