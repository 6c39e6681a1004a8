"""All forms of the admin and of the portal, found on the pages that the tables of addresses have. What stands in an
address is a row of acme's; one that needs another word fails the tests until it is said here."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urldefrag, urljoin

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpResponse
from django.test import Client, RequestFactory
from django.urls import resolve, reverse
from django_htmx.middleware import HtmxDetails

from invoices.backtests.backtest import work_on as work_on_backtest
from invoices.exporting.exports import start_export
from invoices.exporting.exports import work_on as work_on_export
from invoices.models import Alert, Backtest, CreditNote, Export, Invoice
from meters.models import ApiKey, Customer
from portal.models import Invitation, Membership
from portal.own.read_keys import create_read_key
from portal.people.invitations import invite
from portal.people.session_store import SessionStore
from portal.roles import Role
from pricing.models import AppliedPromotion, Assignment, Fee, Plan, PlanVersion, Rate
from tests.portal.test_strangers import patterns
from tests.security.forms import Field, Form, forms_of
from tests.staff.pages import NEVER, OF_ALL_STAFF_BEGINNING, SINGLE, below, needed

STAFF, OWNER = "root", "anna"
ADDRESS = "192.0.2.8"
# Pages that have no form of their own: what is sent there is on another page, or is Django's own.
NO_FORMS = ("_history", "_delete", "_live", "_progress", "_result", "_css")
DJANGO = {"index", "app_list", "autocomplete", "jsi18n", "login", "logout", "view_on_site", None}
# Lists with a form of their own above them.
STARTING = ("invoices_export", "invoices_auditrun")
LEAVING = ("admin:logout", "portal:sign-out", "portal:leave")
PLANTED = "987654321"


def people_of(acme: Customer, now: Any) -> User:
    """Who sends the forms, and what only they make."""
    for name, role in ((OWNER, Role.OWNER), ("bob", Role.READ_ONLY)):
        user = User.objects.create_user(name, f"{name}@example.com")
        Membership.objects.create(user=user, customer=acme, role=role)
    before = now - timedelta(days=1)
    invite(acme, email="eve@example.com", role=Role.READ_ONLY, base="https://x.example", actor=OWNER, now=before)
    create_read_key(acme, name="Night job", expires_at=None, actor=OWNER, now=now)
    own = {"kind": "amount", "threshold": 30, "currency": "USD", "actor": OWNER}
    Alert.objects.create(name="Own", audience="customer", customer=acme, **own)
    Plan.objects.filter(key="Pro").update(offer=Plan.Offer.SELF_SERVICE)
    # So that there are their files.
    work_on_backtest(Backtest.objects.get().pk)
    work_on_export(start_export(month=now.date().replace(day=1), form=Export.Form.CSV, now=now).pk)
    return User.objects.create_superuser(STAFF, f"{STAFF}@vendor.example")


def client_of(name: str) -> Client:
    client = Client(raise_request_exception=False, REMOTE_ADDR=ADDRESS)
    client.force_login(User.objects.get(username=name))
    return client


# --- Addresses ---


def admin_paths() -> Iterator[tuple[str, str]]:
    """The name and the path of each page that may have a form."""
    rows = {
        f"{model._meta.app_label}_{model._meta.model_name}": model._default_manager.order_by("pk").first()
        for model in apps.get_models()
    }
    for _, pattern in below("admin/"):
        name = pattern.name
        if name in DJANGO or name.endswith(NO_FORMS):
            continue
        if name.endswith("_changelist") and name.removesuffix("_changelist") not in (*SINGLE, *STARTING):
            continue
        if not name.startswith(OF_ALL_STAFF_BEGINNING) and (needed(name) or (NEVER, NEVER))[1] == NEVER:
            continue
        arguments = {one: _in_admin(name, one, rows) for one in pattern.pattern.converters}
        yield name, reverse(f"admin:{name}", kwargs=arguments)


def _in_admin(name: str, argument: str, rows: dict[str, Any]) -> Any:
    draft = PlanVersion.objects.filter(plan__key="Basic", status=PlanVersion.Status.DRAFT).get()
    special = {
        "customer": Customer.objects.get(key="acme").pk,
        "customer_pk": Customer.objects.get(key="acme").pk,
        "plan_pk": draft.plan_id,
        "rate_pk": Rate.objects.filter(plan_version=draft).order_by("pk")[0].pk,
        "fee_pk": Fee.objects.filter(plan_version=draft).order_by("pk")[0].pk,
        "fee_key": "seats",
        "kind": "invoice.final",
        "ending": "csv",
        "number": 1,
        "position": 1,
        "way": "up",
        "app_label": "meters",
        "content_type_id": 1,
        "session_id": "x",
        "url": "x",
    }
    if argument in special:
        return special[argument]
    if argument not in ("pk", "id", "object_id"):
        pytest.fail(f"Say in tests/security/site.py what stands in the address of {name!r} as {argument!r}.")
    if name == "portal_look_customer":
        return special["customer"]
    if name == "invoices_plan_policy" or name.startswith("pricing_plan_"):
        return draft.plan_id
    if name == "pricing_promotion_end":
        return AppliedPromotion.objects.order_by("pk")[0].pk
    if name == "portal_look_invoice":
        return rows["invoices_invoice"].pk
    model = next(one for one in sorted(rows, key=len, reverse=True) if name.startswith(one))
    return rows[model].pk if rows[model] is not None else PLANTED


def portal_paths() -> Iterator[tuple[str, str]]:
    acme = Customer.objects.get(key="acme")
    on = Assignment.objects.filter(customer=acme).order_by("pk")[0]
    final = Invoice.objects.filter(customer=acme, status=Invoice.Status.FINAL).order_by("pk")[0]
    key = ApiKey.objects.get(customer=acme, name="Night job")
    bob = Membership.objects.get(customer=acme, user__username="bob")
    arguments: dict[str, tuple[Any, ...]] = {
        "invoice": (final.pk,),
        "invoice-line": (final.pk, 1),
        "line-events-csv": (final.pk, 1),
        "invoice-pdf": (final.pk,),
        "invoice-csv": (final.pk,),
        "embed-invoice-pdf": (final.pk,),
        "credit-note-pdf": (CreditNote.objects.get(invoice__customer=acme).pk,),
        "plan-change": (on.pk, "Pro"),
        "plan-take-back": (on.pk,),
        "account-session-end": ("x",),
        "password-reset-confirm": ("x", "x"),
        "api-access-rotate": (key.pk,),
        "api-access-revoke": (key.pk,),
        **dict.fromkeys(("team-role", "team-remove"), (bob.pk,)),
        **dict.fromkeys(("team-resend", "team-revoke"), (Invitation.objects.get(customer=acme).pk,)),
        **dict.fromkeys(("sign-in-by-link", "join", "enter"), ("x",)),
    }
    own = Alert.objects.get(customer=acme, name="Own").pk
    arguments |= dict.fromkeys(("alert", "alert-switch", "alert-remove", "alert-test"), (own,))
    for pattern in patterns():
        name = str(pattern.name)
        if pattern.pattern.converters and name not in arguments:
            pytest.fail(f"Say in tests/security/site.py what stands in the address {name!r}.")
        yield name, reverse(f"portal:{name}", args=arguments.get(name, ()))


# --- Forms ---


@dataclass(frozen=True, slots=True)
class Sent:
    """A form, where it is sent to, and all names that are sent from its page to there."""

    path: str
    form: Form
    names: frozenset[str]

    def __str__(self) -> str:
        return f"{self.form.method} {self.path}"


_found: dict[str, tuple[int, list[Sent], list[tuple[str, str]]]] = {}


def forms_for(name: str) -> list[Sent]:
    """Each form that this person finds, once."""
    return _seen_by(name)[1]


def files_for(name: str) -> list[tuple[str, str]]:
    """Path and type of each address that answers with something else than a page."""
    return _seen_by(name)[2]


def _seen_by(name: str) -> tuple[int, list[Sent], list[tuple[str, str]]]:
    """Looked for once, as long as the same rows are there."""
    user = User.objects.get(username=name)
    if name not in _found or _found[name][0] != user.pk:
        _found[name] = user.pk, *_look(name)
    return _found[name]


def _look(name: str) -> tuple[list[Sent], list[tuple[str, str]]]:
    client, forms, files = client_of(name), list[tuple[str, Form]](), list[tuple[str, str]]()
    seen: set[tuple[str, ...]] = set()
    paths = [path for _, path in (admin_paths() if name == STAFF else portal_paths())]
    every, about = list(paths), {view_of(path): path for path in paths}
    while paths:
        path = paths.pop()
        answer: Any = client.get(path)
        assert answer.status_code < 500, path
        kind = answer.get("Content-Type", "").partition(";")[0]
        if answer.status_code != 200:
            continue
        if kind != "text/html":
            files.append((path, kind))
            continue
        text = answer.content.decode()
        # Some ask first for a kind of what is made.
        paths += [path + query for query in re.findall(r'href="(\?kind=[\w.-]+)"', text) if "?" not in path]
        for form in forms_of(text):
            where = urldefrag(urljoin(path, form.action)).url
            if name == OWNER and "?" not in where:
                # Of several the one about what was said, and not about herself.
                where = about.get(view_of(where), where)
            mark = (form.method, view_of(where), *sorted(form.names))
            if mark in seen or mark[1] in LEAVING:
                continue
            if form.method == "post" or any(one.is_number for one in form.fields):
                seen.add(mark)
                forms.append((where, form))
    # What no form leads to as things are is sent something all the same.
    found = {view_of(path) for path, _ in forms} | set(LEAVING)
    forms += [(path, Form("", "post")) for path in every if view_of(path) not in found]
    names = {path: frozenset().union(*(form.names for where, form in forms if where == path)) for path, _ in forms}
    return [Sent(path, form, names[path]) for path, form in forms], files


def view_of(path: str) -> str:
    return resolve(path.partition("?")[0]).view_name


Send = Callable[[Sent, dict[str, Any]], Any]


def sender(name: str) -> Send:
    """Sends a form as this person; what was done is undone. Staff's go to the view of the admin alone: what lies around
    it is the same for all, and takes most of the time. Its pages are not written out."""
    client, user = client_of(name), User.objects.get(username=name)

    def to_view(sent: Sent, data: dict[str, Any]) -> Any:
        make = RequestFactory()
        request: Any = make.post(sent.path, data) if sent.form.method == "post" else make.get(sent.path, data)
        request.user, request.session, request.htmx = user, SessionStore(), HtmxDetails(request)
        request._messages, request._dont_enforce_csrf_checks = FallbackStorage(request), True
        request.resolver_match = match = resolve(request.path)
        try:
            return match.func(request, *match.args, **match.kwargs)
        except PermissionDenied:
            return HttpResponse(status=403)
        except Http404:
            return HttpResponse(status=404)
        except Exception as error:
            return HttpResponse(repr(error), status=500)

    def to_site(sent: Sent, data: dict[str, Any]) -> Any:
        cookies = client.cookies.copy()
        answer = client.post(sent.path, data) if sent.form.method == "post" else client.get(sent.path, data)
        client.cookies = cookies
        return answer

    user.is_verified = lambda: False  # type: ignore[attr-defined]
    return to_view if name == STAFF else to_site


@contextmanager
def undone() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def filled(form: Form) -> dict[str, Any]:
    """What a person who fills in all of it sends."""
    data = form.data()
    acme, basic = Customer.objects.get(key="acme"), Plan.objects.get(key="Basic")
    rows = {"customer": acme.pk, "plan": basic.pk, "user": User.objects.get(username="bob").pk}
    for one in form.fields:
        if any(data.get(one.name, [""])) or not one.name:
            continue
        if one.name in rows:
            data[one.name] = [str(rows[one.name])]
        elif typed := _typed(one):
            data[one.name] = [typed]
    return data


def _typed(one: Field) -> str:
    name = one.name.rpartition("-")[2]
    known = {"currency": "USD", "dimensions": "", "where": "", "time_zone": "UTC", "code": "", "traits": ""}
    if name in known:
        return known[name]
    if one.is_number:
        return "1"
    if one.kind == "date" or name.endswith(("_on", "_0")):
        return "2026-11-20"
    if one.kind == "email":
        return "x@example.com"
    if one.kind == "url":
        return "https://x.example/"
    if one.kind in ("select", "radio"):
        return next((choice for choice in one.choices if choice), "")
    if name.endswith("_1"):
        return "09:00"
    return "Xyz" if one.kind in ("text", "textarea") and "time" not in name else ""
