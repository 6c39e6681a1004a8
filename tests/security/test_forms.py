"""Every form of the admin and of the portal: numbers beyond all measure in each of its number fields, texts that would
be headers, and fields that it does not have. What is found on the pages is tried, so that a new form is."""

import logging
import re
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, models, transaction
from django.template.response import TemplateResponse
from django.test import Client

from config.doctor import pages
from meters.audit_log.reading import columns_of
from meters.models import AuditRow, Customer
from portal.roles import Role
from tests.audit_log.written import last
from tests.security.forms import Field
from tests.security.site import OWNER, PLANTED, STAFF, Sent, client_of, filled, forms_for, send, view_of

# Those that each field is sent by itself, beside others that are right; and those of all fields at once.
ALONE = ("1e999999", "NaN")
TOGETHER = ("9" * 5000, "-1e999999", "Infinity", "1e-999999", "\uff11\uff12")
TEXTS = ("x\r\nSet-Cookie: planted=1\r\n\r\n<p>", "\0", "=1+1\t" * 3000)
# The processor's, of this thread: the machine may be busy.
MOST_SECONDS = 1.0

RENDERED = TemplateResponse.rendered_content

PEOPLE = pytest.mark.parametrize("name", [STAFF, OWNER])

# By the database, or at random.
COUNTED = ("id", "start", "after_event")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the checks of health find is no matter here, nor how passwords are hashed, nor what is logged."""
    monkeypatch.setattr(pages, "latest", pages.Latest(()))
    monkeypatch.setattr(settings, "PASSWORD_HASHERS", ["django.contrib.auth.hashers.MD5PasswordHasher"])
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def unwritten(people: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of the admin are not written out, which is most of their time: that each can be is tried once."""
    for name in (STAFF, OWNER):
        forms_for(name)
    monkeypatch.setattr(TemplateResponse, "rendered_content", "")


def no_number(execute: Any, sql: Any, params: Any, *rest: Any) -> Any:
    """PostgreSQL would take them as numeric."""
    for one in params if isinstance(params, list | tuple) else ():
        assert not (isinstance(one, Decimal) and not one.is_finite()), (sql, params)
    return execute(sql, params, *rest)


@PEOPLE
def test_numbers_beyond_all_measure(
    people: User, clock: object, unwritten: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    client, wrong, tried = client_of(name), [], set()

    def is_right(sent: Sent, data: dict[str, Any], about: object) -> None:
        began = time.thread_time()
        with connection.execute_wrapper(no_number):
            answer = send(client, sent, data)
        took = time.thread_time() - began
        if answer.status_code >= 500 or took > MOST_SECONDS:
            wrong.append((str(sent), about, answer.status_code, took))

    for sent in forms_for(name):
        numbers = [one for one in sent.form.fields if one.is_number and one.name]
        if not numbers:
            continue
        data = filled(sent.form)
        for one in numbers:
            mark = mark_of(sent, one)
            if mark not in tried:
                tried.add(mark)
                for number in ALONE:
                    is_right(sent, data | {one.name: number}, (one.name, number[:12]))
        with monkeypatch.context() as written_out:
            written_out.setattr(TemplateResponse, "rendered_content", RENDERED)
            is_right(sent, data | dict.fromkeys((one.name for one in numbers), ALONE[0]), "written out")
        for number in TOGETHER:
            is_right(sent, data | dict.fromkeys((one.name for one in numbers), number), number[:12])
    assert not wrong, "\n".join(map(str, wrong))
    assert len(tried) > (50 if name == STAFF else 2), tried


def mark_of(sent: Sent, one: Field) -> tuple[str, str]:
    """A row of many is tried once, and a field once for the pages on which a thing is added and changed."""
    about = re.sub("add|change", "", view_of(sent.path))
    return about, re.sub(r"\d+", "", one.name)


@PEOPLE
def test_texts_that_would_be_headers(people: User, clock: object, unwritten: None, name: str) -> None:
    client, wrong, typed = client_of(name), [], 0
    for sent in forms_for(name):
        texts = [one.name for one in sent.form.fields if one.kind in ("text", "textarea", "email", "url") and one.name]
        typed += len(texts)
        for text in TEXTS if texts else ():
            answer = send(client, sent, filled(sent.form) | dict.fromkeys(texts, text))
            if answer.status_code >= 500 or "planted" in answer.cookies or len(answer.get("Location", "")) > 2000:
                wrong.append((str(sent), text[:12], answer.status_code))
    assert not wrong, "\n".join(map(str, wrong))
    assert typed > (60 if name == STAFF else 8)


@PEOPLE
def test_fields_that_a_form_does_not_have_change_nothing(
    people: User, clock: object, unwritten: None, name: str
) -> None:
    """All that the tables have, under their names: what is written down is the same with them and without."""
    client, wrong, changed = client_of(name), [], 0
    strays = dict(stray_fields())
    for sent in forms_for(name):
        if sent.form.method != "post":
            continue
        data = filled(sent.form)
        planted = {field: value for field, value in strays.items() if field not in sent.names}
        plain, with_strays = done(client, sent, data), done(client, sent, data | planted)
        changed += bool(plain[1])
        # A stray one may be refused, with all of it.
        if plain != with_strays and with_strays[1]:
            wrong.append((str(sent), plain, with_strays))
    assert not wrong, "\n".join(map(str, wrong))
    # Or a form that is refused would pass for one that is safe.
    assert changed > (30 if name == STAFF else 10), changed


def done(client: Client, sent: Sent, data: dict[str, Any]) -> tuple[int, list[Any]]:
    """The status, and what was written down of changes, without what is another each time."""
    before = last()
    cookies = client.cookies.copy()
    with transaction.atomic():
        answer: Any = client.post(sent.path, data)
        rows = list(AuditRow.objects.filter(id__gt=before).order_by("id"))
        transaction.set_rollback(True)
    client.cookies = cookies
    made = {(row.table_name, row.object_id) for row in rows if row.action == "insert"}
    return answer.status_code, [(row.action, row.table_name, dict(same_each_time(row, made))) for row in rows]


def same_each_time(row: AuditRow, made: set[tuple[str, str]]) -> Iterator[tuple[str, Any]]:
    fields = columns_of(row.table_name)
    for column, value in (row.after or {}).items():
        model = fields[column].related_model
        is_new = isinstance(model, type) and (model._meta.db_table, str(value)) in made
        if column not in COUNTED:
            yield column, "new" if is_new else value


def stray_fields() -> Iterator[tuple[str, str]]:
    """The name of each column, as the form of it would call it, with something that is not there by itself."""
    globex = str(Customer.objects.get(key="globex").pk)
    own = ("meters", "pricing", "invoices", "portal", "auth")
    for model in apps.get_models():
        for one in model._meta.concrete_fields if model._meta.app_label in own else ():
            value = "planted"
            if isinstance(one, models.BooleanField):
                value = "on"
            elif isinstance(one, models.ForeignKey):
                value = globex if one.related_model is Customer else "1"
            elif one.choices:
                value = str(list(one.flatchoices)[-1][0])
            elif isinstance(one, models.DateTimeField):
                value = "2001-01-01 00:00:00"
            elif isinstance(one, models.DateField):
                value = "2001-01-01"
            elif isinstance(one, models.IntegerField | models.DecimalField):
                value = PLANTED
            yield one.name, value
            yield one.attname, value
    yield from {"is_superuser": "on", "is_staff": "on", "role": Role.OWNER, "pk": PLANTED, "groups": "1"}.items()
