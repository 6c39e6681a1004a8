"""Every address of the portal, in front of everybody who has no business there.

The addresses come from the table that serves them: one that is added is tried as well, and one with arguments fails
here until it is said what they are.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse

from invoices.models import Alert, Invoice
from meters.models import Customer
from portal.guests.sessions import revoke_portal_session
from portal.models import Membership, PortalSession
from portal.own.read_keys import create_read_key
from portal.roles import Role
from portal.urls import urlpatterns
from tests.portal.conftest import NOW, SignIn
from tests.portal.guests import come_by_link, look_on, make_link

# Where there is nobody's data: for who wants to come in or out, and what a token of its own opens (test_embeds).
OPEN = {"sign-in", "sign-out", "enter", "leave", "join", "brand-logo", "brand-style"}
OPEN_BEGINNINGS = ("sign-in-", "password-reset", "embed-")
# Of whoever is signed in, and of no customer.
OF_A_PERSON = "account"
# Where it is kept who was seen.
OF_VISITS = {"portal_browsersession", "portal_staffview", "portal_portalsession"}
# What staff who look on may send; pages in frames know no staff.
LEAVING = {"leave", "sign-out"}


@dataclass
class World:
    """What acme has, by the names of the addresses that it is at."""

    acme: Customer
    arguments: dict[str, tuple[Any, ...]]
    secrets: tuple[str, ...]
    # All that is kept of it.
    before: dict[str, list[dict[str, Any]]]


@pytest.fixture
def world(acme: Customer, october: Invoice, sign_in: SignIn) -> World:
    sign_in("alice", acme)
    alert = Alert.objects.create(
        name="Half of it",
        kind="amount",
        audience="customer",
        customer=acme,
        threshold=20,
        currency="USD",
        actor="alice",
    )
    key, _ = create_read_key(acme, name="Night job", expires_at=None, actor="alice", now=NOW)
    member = Membership.objects.get(customer=acme)
    arguments: dict[str, tuple[Any, ...]] = {
        "invoice": (october.pk,),
        "invoice-line": (october.pk, 1),
        "line-events-csv": (october.pk, 1),
        "invoice-pdf": (october.pk,),
        "invoice-csv": (october.pk,),
        "credit-note-pdf": (1,),
        "plan-change": (acme.assignments.get().pk, "Growth"),
        "plan-take-back": (acme.assignments.get().pk,),
        "alert": (alert.pk,),
        "alert-switch": (alert.pk,),
        "alert-remove": (alert.pk,),
        "alert-test": (alert.pk,),
        "api-access-rotate": (key.pk,),
        "api-access-revoke": (key.pk,),
        "team-resend": (1,),
        "team-revoke": (1,),
        "team-role": (member.pk,),
        "team-remove": (member.pk,),
        "account-session-end": ("x",),
        "sign-in-by-link": ("x",),
        "password-reset-confirm": ("x", "x"),
        "join": ("x",),
        "enter": ("x",),
        "embed-invoice-pdf": (october.pk,),
    }
    secrets = ("Acme", october.number, "12,300", "12300", "hubspot", "Half of it", "Night job", "alice")
    return World(acme, arguments, secrets, stored(acme))


def patterns(found: Any = urlpatterns) -> Iterator[URLPattern]:
    for one in found:
        if isinstance(one, URLResolver):
            yield from patterns(one.url_patterns)
        else:
            yield one


def addresses(world: World) -> Iterator[tuple[str, str]]:
    """The name and the path of each."""
    for pattern in patterns():
        name = str(pattern.name)
        if pattern.pattern.converters and name not in world.arguments:
            pytest.fail(f"Say in `world` of test_strangers.py what stands in the address {name!r}.")
        yield name, reverse(f"portal:{name}", args=world.arguments.get(name, ()))


def is_open(name: str) -> bool:
    return name in OPEN or name.startswith(OPEN_BEGINNINGS)


def stored(customer: Customer) -> dict[str, list[dict[str, Any]]]:
    """All that is kept of a customer, but when somebody was seen."""
    found = {}
    for model in apps.get_models():
        own = [
            field.name
            for field in model._meta.concrete_fields
            if isinstance(field, models.ForeignKey) and field.related_model is Customer
        ]
        if model.__name__ not in ("StaffView", "PortalSession") and own:
            found[model.__name__] = list(model._default_manager.filter(**{own[0]: customer}).order_by("pk").values())
    return found


def visit(client: Client, method: str, path: str, world: World) -> tuple[Any, str]:
    """The answer and its text; what was done is undone, with the cookies. Fails where acme's rows are others then."""
    cookies, written = client.cookies.copy(), set()
    data = {"name": "x", "overlap": "0", "to": "off", "role": "owner", "customer": world.acme.pk, "email": "x@x.test"}

    def note(execute: Any, sql: str, *rest: Any) -> Any:
        if found := re.match(r'\s*(?:INSERT INTO|UPDATE|DELETE FROM) "(\w+)"', sql):
            written.add(found[1])
        return execute(sql, *rest)

    with transaction.atomic():
        with connection.execute_wrapper(note):
            answer = client.post(path, data) if method == "POST" else client.get(path)
            text = b"".join(answer) if answer.streaming else answer.content  # type: ignore[arg-type]
        if written - OF_VISITS:
            assert stored(world.acme) == world.before, (method, path, written)
        transaction.set_rollback(True)
    client.cookies = cookies
    return answer, text.decode(errors="replace")


def visits(client: Client, world: World) -> Iterator[tuple[str, str, str, Any, str]]:
    for name, path in addresses(world):
        for method in ("GET", "POST"):
            answer, text = visit(client, method, path, world)
            assert answer.status_code < 500, (method, path)
            yield name, path, method, answer, text


def shows_nothing(client: Client, world: World, *, status: int) -> None:
    """Whoever this is gets this answer wherever there is data, and none of acme's anywhere."""
    for name, path, method, answer, text in visits(client, world):
        for secret in world.secrets:
            assert secret not in text, (method, path, secret)
        if is_open(name):
            continue
        # An account needs somebody who is signed in, whatever else there was.
        allowed = {status, 405} | ({302} if name.startswith(OF_A_PERSON) else set())
        assert answer.status_code in allowed, (method, path, answer.status_code)
        if answer.status_code == 302:
            assert answer["Location"].startswith("/sign-in/?next="), (method, path)


def test_the_owner_sees_it(world: World) -> None:
    """Or the rest of this would show nothing."""
    client = Client()
    client.force_login(Membership.objects.get(customer=world.acme).user)
    seen: set[str] = set()
    for name, path in addresses(world):
        answer = client.get(path)
        assert answer.status_code < 500, path
        text = b"".join(answer) if answer.streaming else answer.content  # type: ignore[arg-type]
        if any(secret in text.decode(errors="replace") for secret in world.secrets):
            seen.add(name)
    assert {"overview", "usage", "usage-csv", "invoices", "invoice", "invoice-line", "statement", "alerts"} <= seen
    assert {"alert", "api-access", "api-access-revoke", "team", "settings"} <= seen


def test_who_has_nothing_that_opens(world: World, clock: Any) -> None:
    """Nobody; who comes too late with a link, or second; and whose session by a link has expired or was revoked."""
    _, used = make_link(world.acme, role=Role.OWNER)
    assert Client().post(used).status_code == 302
    _, late = make_link(world.acme, role=Role.OWNER)
    expired, session = come_by_link(world.acme, role=Role.OWNER)
    revoked, other = come_by_link(world.acme, role=Role.OWNER)
    PortalSession.objects.filter(pk=session.pk).update(expires_at=NOW - timedelta(seconds=1))
    revoke_portal_session(other, actor="backend", now=NOW)
    clock.move_to(NOW + timedelta(minutes=5))
    second, too_late = Client(), Client()
    assert [second.post(used).status_code, too_late.post(late).status_code] == [410, 410]
    for client, status in ((Client(), 302), (second, 302), (too_late, 302), (expired, 403), (revoked, 403)):
        shows_nothing(client, world, status=status)


def test_who_is_of_another_customer(world: World, globex: Customer, stranger: Client) -> None:
    by_link, _ = come_by_link(globex, role=Role.OWNER)
    for client in (stranger, by_link):
        for name, path, method, answer, text in visits(client, world):
            for secret in world.secrets:
                assert secret not in text, (method, path, secret)
            if name in world.arguments and not is_open(name) and not name.startswith(OF_A_PERSON):
                # As if there were none.
                assert answer.status_code in (302, 404, 405), (method, path, answer.status_code)
                assert answer.status_code != 302 or not answer["Location"].startswith("/sign-in/"), (method, path)


def test_staff_who_look_on_send_nothing_and_are_told_on_each_page(world: World, clock: Any) -> None:
    client, _ = look_on(world.acme)
    told = 0
    for name, path, method, answer, text in visits(client, world):
        if name.startswith("embed-"):
            continue
        if (method == "POST" or name.startswith(OF_A_PERSON)) and name not in LEAVING:
            assert answer.status_code == 403, (method, path)
            assert 'action="/leave/"' in text, (method, path)
        elif method == "GET" and answer.status_code == 200 and answer["Content-Type"].startswith("text/html"):
            assert "you see this as <strong>Acme Corp</strong> does" in text or is_open(name), path
            told += 1
    assert told > 8
    clock.move_to(NOW + timedelta(hours=1))
    for name, path, method, answer, text in visits(client, world):
        if not is_open(name):
            assert answer.status_code in (403, 405), (method, path)
            assert not {"12,300", "Half of it", "Night job"} & {one for one in world.secrets if one in text}, path
