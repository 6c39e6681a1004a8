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
from django.contrib.auth.models import User
from django.db import connection, models
from django.template.response import TemplateResponse

from config.doctor import pages
from meters.audit_log.reading import columns_of
from meters.models import AuditRow, Customer
from portal.roles import Role
from tests.audit_log.written import last
from tests.security.site import OWNER, PLANTED, STAFF, Send, Sent, filled, forms_for, sender, undone, view_of

# What each field is sent by itself, beside others that are right; and numbers and texts of all fields at once.
ALONE = "1e999999"
TOGETHER = (
    ("1e999999", "\0"),
    ("9" * 5000, "=1+1\t" * 3000),
    ("-1e999999", ""),
    ("Infinity", ""),
    ("\uff11\uff12", ""),
)
HEADER = "x\r\nSet-Cookie: planted=1\r\n\r\n<p>"
# The processor's, of this thread: the machine may be busy.
MOST_SECONDS = 1.0

TEXTS = ("text", "textarea", "email", "url")

PEOPLE = pytest.mark.parametrize("name", [STAFF, OWNER])

# By the database, or at random.
COUNTED = ("id", "start", "after_event")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the checks of health find is no matter here, nor what is logged."""
    monkeypatch.setattr(pages, "latest", pages.Latest(()))
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def no_number(execute: Any, sql: Any, params: Any, *rest: Any) -> Any:
    """PostgreSQL would take them as numeric."""
    for one in params if isinstance(params, list | tuple) else ():
        assert not (isinstance(one, Decimal) and not one.is_finite()), (sql, params)
    return execute(sql, params, *rest)


@PEOPLE
def test_numbers_and_texts_beyond_all_measure(people: User, clock: object, name: str) -> None:
    send, wrong, numbers_tried, texts_tried = sender(name), [], set(), 0

    def try_out(sent: Sent, data: dict[str, Any], about: object, *, is_written: bool = False) -> None:
        began = time.thread_time()
        with undone(), connection.execute_wrapper(no_number):
            answer = send(sent, data)
            if is_written and isinstance(answer, TemplateResponse):
                answer.render()
        took = time.thread_time() - began
        where = answer.get("Location", "")
        if answer.status_code >= 500 or took > MOST_SECONDS or len(where) > 2000 or "planted" in answer.cookies:
            wrong.append((str(sent), about, answer.status_code, took))

    for sent in forms_for(name):
        numbers = [one.name for one in sent.form.fields if one.is_number and one.name]
        texts = [one.name for one in sent.form.fields if one.kind in TEXTS and one.name not in ("", *numbers)]
        data = filled(sent.form)
        for one in numbers:
            mark = mark_of(sent, one)
            if mark not in numbers_tried:
                numbers_tried.add(mark)
                try_out(sent, data | {one: ALONE}, one)
        texts_tried += len(texts)
        if texts:
            try_out(sent, data | dict.fromkeys(texts, HEADER), "header")
        for at, (number, text) in enumerate(TOGETHER if numbers else TOGETHER[:2] if texts else ()):
            hurting = dict.fromkeys(numbers, number) | (dict.fromkeys(texts, text) if text else {})
            try_out(sent, data | hurting, (number[:12], text[:12]), is_written=not at)
    assert not wrong, "\n".join(map(str, wrong))
    assert len(numbers_tried) > (50 if name == STAFF else 2), numbers_tried
    assert texts_tried > (60 if name == STAFF else 8), texts_tried


def mark_of(sent: Sent, field: str) -> tuple[str, str]:
    """A row of many is tried once, and a field once for the pages on which a thing is added and changed."""
    return re.sub("add|change", "", view_of(sent.path)), re.sub(r"\d+", "", field)


@PEOPLE
def test_fields_that_a_form_does_not_have_change_nothing(people: User, clock: object, name: str) -> None:
    """All that the tables have, under their names: what is written down is the same with them and without."""
    send, wrong, changed = sender(name), [], 0
    strays = dict(stray_fields())
    for sent in forms_for(name):
        if sent.form.method != "post":
            continue
        data = filled(sent.form)
        with_strays = done(
            send, sent, data | {field: value for field, value in strays.items() if field not in sent.names}
        )
        # A stray one may be refused, with all of it.
        if with_strays[1] and (plain := done(send, sent, data)) != with_strays:
            wrong.append((str(sent), plain, with_strays))
        changed += bool(with_strays[1])
    assert not wrong, "\n".join(map(str, wrong))
    # Or a form that is refused would pass for one that is safe.
    assert changed > (30 if name == STAFF else 10), changed


def done(send: Send, sent: Sent, data: dict[str, Any]) -> tuple[int, list[Any]]:
    """The status, and what was written down of changes, without what is another each time."""
    before = last()
    with undone():
        answer = send(sent, data)
        rows = list(AuditRow.objects.filter(id__gt=before).order_by("id"))
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
