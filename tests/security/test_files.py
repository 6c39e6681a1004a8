"""What people take away: no cell of a CSV is a formula, no text becomes a header, whatever things are called.

All addresses are asked: one that answers with a file is met by this without a word."""

import csv
import io
import re
from email import message_from_bytes
from email.policy import default
from typing import Any
from urllib.parse import quote

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import DatabaseError, connection, models, transaction
from django.db.models import TextField, Value
from django.db.models.functions import Cast, Concat
from django.test import Client

from invoices.mailing.contents import MailContent
from invoices.mailing.mails import send_due
from invoices.mailing.personal import queue_personal
from invoices.models import Mail, PersonalMail
from invoices.webhooks.endpoints import create_endpoint
from meters import catalogue
from tests.factories import send as send_event
from tests.security.calls import Call, dropin_calls, own_calls
from tests.security.conftest import NOW, client_with
from tests.security.site import OWNER, STAFF, client_of, files_for

CSV = "text/csv"
# The first that a column takes: by its own rules, of which some know none.
HOSTILE = ('=x"\r\nSet-Cookie: planted=1\r\n', '=x"; planted="1', "=planted")
# Read by programs, or what a row is about.
NOT_NAMES = {"currency", "time_zone", "type", "about", "table_name", "base", "url", "secret", "old_secret", "actor"}
# What these are asked for, as they answer nothing without it.
ASKED = {
    "usage": "?meter=ApiCalls&group_by=source",
    "/openmeter/api/v1/meters/ApiCalls/query": "?groupBy=source",
}
RISKY = re.compile("[=+@\t\r\n;\uff1d\uff0b\uff0d\uff20-]")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?%?$")


@pytest.fixture
def hostile(people: User, clock: object) -> int:
    """Everything that has a name is called something that hurts. Answers how many columns."""
    for name in (STAFF, OWNER):
        files_for(name)
    send_event("acme", "ApiCalls", 5, time=NOW, now=NOW, source="=x\r\n", id="=1+1")
    renamed = 0
    with connection.cursor() as cursor:
        # Past what keeps final documents as they are.
        cursor.execute("SET LOCAL session_replication_role = replica")
    for model in apps.get_models():
        if model._meta.app_label not in ("meters", "pricing", "invoices", "portal") or not model._meta.managed:
            continue
        found = {one.name: text for one in model._meta.concrete_fields if (text := hostile_for(one))}
        for name, text in found.items():
            is_unique = model._meta.get_field(name).unique  # type: ignore[union-attr]
            value: Any = Concat(Value(text), Cast("pk", TextField())) if is_unique else Value(text)
            try:
                with transaction.atomic():
                    renamed += bool(model._default_manager.update(**{name: value}))
            except DatabaseError:
                continue
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    catalogue.forget()
    return renamed


def hostile_for(one: Any) -> str:
    if not isinstance(one, models.CharField | models.TextField) or isinstance(one, models.EmailField):
        return ""
    if one.choices or one.primary_key or one.name in NOT_NAMES or (one.max_length or 100) < 60:
        return ""
    for text in HOSTILE:
        try:
            one.run_validators(text)
        except ValidationError:
            continue
        return text
    return ""


def content_of(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else bytes(answer.content)


def faults_of(answer: Any, cells: list[str]) -> list[str]:
    """What is wrong with a file's headers, and with its cells, which are added to `cells`."""
    text = content_of(answer)
    found = [] if answer.status_code == 200 else [f"status {answer.status_code}"]
    disposition = answer.get("Content-Disposition", "")
    if not re.fullmatch(r'((attachment|inline)(; filename="[\w.+-]+")?)?', disposition, re.ASCII):
        found.append(disposition)
    if "planted" in answer.cookies or any("\n" in value for _, value in answer.items()):
        found.append("headers")
    if answer.get("Content-Type", "").startswith(CSV):
        own = [cell for row in csv.reader(io.StringIO(text.decode(), newline="")) for cell in row]
        cells += own
        found += [cell for cell in own if RISKY.match(cell) and not NUMBER.match(cell)]
    return found


def test_every_file_of_the_admin_and_the_portal(hostile: int) -> None:
    assert hostile > 30
    wrong, tables, files = [], [], 0
    for name in (STAFF, OWNER):
        client = client_of(name)
        for path, kind in files_for(name):
            cells: list[str] = []
            wrong += [(path, fault) for fault in faults_of(client.get(path), cells)]
            files += 1
            if kind == CSV:
                tables.append((path, any(cell.startswith("'=") for cell in cells)))
    assert not wrong, wrong
    assert files >= 15, files
    assert len(tables) >= 10, tables
    # Or there would be nothing to take for a formula.
    assert sum(had_some for _, had_some in tables) >= 7, tables


@pytest.fixture
def reads(people: User, dropins: None) -> list[Call]:
    """Looked for while acme is still called so."""
    return [call for call in (*own_calls(), *dropin_calls()) if call.method == "GET" and call.scope is not None]


def test_every_table_of_the_api(reads: list[Call], hostile: int) -> None:
    client = client_with("read")
    wrong: list[tuple[str, str]] = []
    cells: list[str] = []
    tables = set()
    for call in reads:
        answer: Any = client.get(call.path + ASKED.get(call.name or call.path, ""), HTTP_ACCEPT=f"{CSV}, */*")
        if answer.get("Content-Type", "").startswith(CSV):
            tables.add(call.name or call.path)
            wrong += [(call.path, fault) for fault in faults_of(answer, cells)]
        elif answer.status_code >= 500:
            wrong.append((call.path, str(answer.status_code)))
    assert not wrong, wrong
    assert tables >= {"invoice-csv", "invoice-line-events", *ASKED}
    assert any(cell.startswith("'=") for cell in cells)


@pytest.mark.parametrize("kind", [value for value, _ in Mail._meta.get_field("kind").flatchoices])  # type: ignore[union-attr]
def test_mails_of_each_kind(db: None, kind: str, clock: object) -> None:
    text = "x\r\nBcc: planted@example.com\u2028\x85\x0b\r\n\r\n<p>"
    content = MailContent(subject=text, intro=text, facts=[(text, text)])
    queue_personal(kind, "x:1", "anna@example.com", content, NOW)  # type: ignore[arg-type]
    queue_personal(kind, "x:2", "eve@example.com\r\nBcc: planted@example.com", content, NOW)  # type: ignore[arg-type]
    assert all(one.subject == "x Bcc: planted@example.com <p>" for one in Mail.objects.all())
    send_due(now=NOW)
    assert Mail.objects.get(about="x:2").status == Mail.Status.FAILED
    if kind in PersonalMail.values:
        # These are sent with a link, which there is none of.
        assert mail.outbox == []
        return
    (sent,) = mail.outbox
    message = message_from_bytes(sent.message().as_bytes(), policy=default)
    assert (message["To"], message["Bcc"]) == ("anna@example.com", None)
    assert message["Subject"] == "x Bcc: planted@example.com <p>"


@pytest.mark.parametrize("sign", ["\r\n", "\n", "\t", "\0", " "], ids=repr)
def test_addresses_of_webhooks(db: None, sign: str) -> None:
    for url in (
        f"https://hooks.example/a{sign}X-Planted: 1",
        f"https://hooks{sign}.example/",
        f"https://a{sign}b@x.test/",
    ):
        with pytest.raises(ValidationError):
            create_endpoint(url=url)


def test_ways_on(people: User, clock: object) -> None:
    """Wherever somebody is led on, by an address that was sent."""
    tried = 0
    for text in ("/x\r\nSet-Cookie: planted=1", "/\0", "//evil.example", "/\\evil.example", "/\t/evil.example"):
        for client in (Client(), client_of(OWNER), client_of(STAFF)):
            for path in ("/sign-in/", "/admin/login/", "/sign-in/link/", "/switch-customer/", "/admin/second-factor/"):
                for answer in (
                    client.get(f"{path}?next={quote(text)}"),
                    client.post(path, {"next": text, "customer": "1", "email": "x@x.test", "username": "x"}),
                ):
                    tried += answer.status_code == 302
                    assert answer.status_code < 500, (path, text)
                    assert "planted" not in answer.cookies
                    where = answer.get("Location", "/")
                    assert re.match(r"/(?![/\\\t])", where), (path, text, where)
    assert tried > 20
