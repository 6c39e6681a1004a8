"""The table of roles, and the page of the documentation that shows it."""

from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Permission

from meters.staff_roles import THINGS, StaffRole, Thing, allows, permissions_of

PAGE = Path(settings.BASE_DIR) / "docs" / "security.md"


def words(thing: Thing, role: StaffRole) -> str:
    return ", ".join(one.replace("_", " ") for one in thing.actions_of(role)) or "–"


def test_the_documentation_shows_the_table() -> None:
    rows = [f"| {thing.name} | {' | '.join(words(thing, role) for role in StaffRole)} |" for thing in THINGS]
    text = "\n".join(["| | owner | finance | support | read-only |", "|---|---|---|---|---|", *rows, ""])
    assert text in PAGE.read_text(), f"docs/security.md should have this table:\n{text}"


def test_each_model_is_in_one_row() -> None:
    said = [model for thing in THINGS for model in thing.models.split()]
    assert len(said) == len(set(said))
    assert {model._meta.label_lower for model in apps.get_models()} == set(said)


@pytest.mark.django_db
def test_its_permissions_are_there() -> None:
    known = {
        f"{one.content_type.app_label}.{one.codename}" for one in Permission.objects.select_related("content_type")
    }
    main = [Thing(thing.name, thing.models.split()[0], thing.does) for thing in THINGS]
    assert not {name for thing in main for name in thing.permissions_of(StaffRole.OWNER)} - known


def test_nobody_has_what_an_owner_has_not() -> None:
    for thing in THINGS:
        for role in StaffRole:
            assert set(thing.actions_of(role)) <= set(thing.does.split()), (thing.name, role)


def test_a_role_that_there_is_not_has_nothing() -> None:
    assert not allows("", "meters.view_customer")
    assert not allows("Owner", "meters.view_customer")


@pytest.mark.parametrize(
    ("role", "permission", "is_allowed"),
    [
        (StaffRole.OWNER, "auth.change_user", True),
        (StaffRole.OWNER, "app.that_comes_later", True),
        (StaffRole.FINANCE, "pricing.change_plan", True),
        (StaffRole.FINANCE, "invoices.add_creditnote", True),
        (StaffRole.FINANCE, "auth.view_user", False),
        (StaffRole.FINANCE, "meters.view_apikey", False),
        (StaffRole.FINANCE, "invoices.change_webhookendpoint", False),
        (StaffRole.FINANCE, "invoices.change_billingpolicy", False),
        (StaffRole.SUPPORT, "meters.view_event", True),
        (StaffRole.SUPPORT, "invoices.change_mail", True),
        (StaffRole.SUPPORT, "portal.view_as_customer", True),
        (StaffRole.SUPPORT, "portal.change_portalsession", True),
        (StaffRole.SUPPORT, "portal.add_portalsession", False),
        (StaffRole.SUPPORT, "meters.add_voidrecord", False),
        (StaffRole.SUPPORT, "pricing.change_plan", False),
        (StaffRole.SUPPORT, "invoices.add_payment", False),
        (StaffRole.READ_ONLY, "invoices.view_invoice", True),
        (StaffRole.READ_ONLY, "portal.view_as_customer", False),
    ],
)
def test_what_a_company_would_expect(role: StaffRole, permission: str, is_allowed: bool) -> None:
    assert allows(role, permission) is is_allowed


def test_read_only_changes_nothing_and_sees_no_secrets() -> None:
    names = permissions_of(StaffRole.READ_ONLY)
    assert {name.partition(".")[2].partition("_")[0] for name in names} == {"view"}
    for thing in ("apikey", "webhookendpoint", "user", "browsersession", "totpdevice", "accessattempt"):
        assert not [name for name in names if name.endswith(f"view_{thing}")]
