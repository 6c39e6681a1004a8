"""Importing assignments: all rows or none, and a preview that is the real thing undone."""

from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from invoices.models import Invoice
from meters.models import Customer
from pricing import assignment_import
from pricing.assignment_import import Imported, import_assignments
from pricing.models import Assignment, AssignmentLog, Plan
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on
from tests.racing import race

TODAY = datetime.now(UTC).date().isoformat()


def row(customer: str = "acme", plan: str = "Basic", starts_on: str = TODAY, **others: str) -> dict[str, str]:
    return {"customer": customer, "plan": plan, "starts_on": starts_on} | others


def run(*rows: dict[str, str], dry_run: bool = False) -> Imported:
    return import_assignments(rows, actor="anna", dry_run=dry_run)


@pytest.fixture
def plan(db: None) -> Plan:
    make_customer("acme")
    make_customer("globex")
    return make_plan("Basic", {make_meter(): STORY_RATE})


def test_every_row_puts_a_customer_on_a_plan(plan: Plan) -> None:
    done = run(row(starts_on="2026-11-01", ends_on="2027-02-01", anchor_on="2026-10-15"), row("globex"))
    assert (done.assigned, done.stored, done.wrong) == (2, True, 0)
    assert [(one.line, one.customer) for one in done.rows] == [(2, "acme"), (3, "globex")]
    assert done.rows[0].outcome == "On Basic from 1 Nov 2026"
    acme = Assignment.objects.get(customer__key="acme")
    assert (acme.ends_on, acme.anchor_on, acme.source) == (date(2027, 2, 1), date(2026, 10, 15), "import")
    assert set(AssignmentLog.objects.filter(kind="assigned").values_list("actor", "source")) == {("anna", "import")}
    # The same file again does nothing.
    again = run(row(starts_on="2026-11-01", ends_on="2027-02-01", anchor_on="2026-10-15"), row("globex"))
    assert (again.assigned, again.stored) == (0, True)
    assert again.rows[0].outcome == "Is on Basic from 1 Nov 2026 already"
    assert Assignment.objects.count() == 2


def test_a_dry_run_says_the_same_and_leaves_nothing(plan: Plan) -> None:
    logged = AssignmentLog.objects.count()
    tried = run(row(), row("globex"), dry_run=True)
    assert (tried.assigned, tried.stored) == (2, False)
    assert (Assignment.objects.count(), Invoice.objects.count()) == (0, 0)
    assert AssignmentLog.objects.count() == logged
    assert run(row(), row("globex")).rows == tried.rows


@pytest.mark.parametrize(
    ("column", "bad"),
    [
        ("customer", row("nobody")),
        ("customer", row("")),
        ("customer", row("a\0b")),
        ("plan", row(plan="Gold")),
        ("plan", row(plan="")),
        ("starts_on", row(starts_on="")),
        ("starts_on", row(starts_on="1.11.2026")),
        ("starts_on", row(starts_on="20261101")),
        ("starts_on", row(starts_on="2026-W44-1")),
        ("starts_on", row(starts_on="2026-02-30")),
        ("starts_on", row(starts_on="1999-01-01")),
        ("ends_on", row(ends_on="soon")),
        ("ends_on", row(ends_on=TODAY)),
        ("anchor_on", row(anchor_on="0001-01-01")),
        ("colour", row(colour="red")),
    ],
    ids=str,
)
def test_one_bad_row_is_told_by_column_and_nothing_is_stored(plan: Plan, column: str, bad: dict[str, str]) -> None:
    done = run(row("globex"), bad | {"line": "7"})
    assert (done.stored, done.wrong) == (False, 1)
    assert [(one.line, list(one.errors)) for one in done.rows] == [(2, []), (7, [column])]
    assert not Assignment.objects.exists()


def test_rows_are_checked_against_each_other_and_against_what_is_there(plan: Plan) -> None:
    done = run(row(ends_on="2030-01-01"), row(), row(starts_on="2030-01-01"))
    assert [list(one.errors) for one in done.rows] == [[], ["plan"], []]
    assert "already priced by Basic" in done.rows[1].errors["plan"][0]
    put_on(Customer.objects.get(key="globex"), plan, date(2026, 1, 1))
    assert [list(one.errors) for one in run(row("globex")).rows] == [["plan"]]


def test_too_many_rows_are_refused(plan: Plan, monkeypatch: Any) -> None:
    monkeypatch.setattr(assignment_import, "MOST_ROWS", 1)
    with pytest.raises(ValidationError) as error:
        run(row(), row("globex"))
    assert list(error.value.message_dict) == ["rows"]


@pytest.mark.django_db(transaction=True)
def test_two_imports_of_the_same_customers_in_other_orders() -> None:
    meter = make_meter()
    for key in ("Basic", "Gold"):
        make_plan(key, {meter: STORY_RATE})
    keys = [f"c{number}" for number in range(6)]
    for key in keys:
        make_customer(key)
    jobs = [
        partial(run, *[row(key, plan) for key in order])
        for plan, order in (("Basic", keys), ("Gold", keys[::-1]), ("Basic", keys[::-1]), ("Gold", keys))
    ]
    assert race(*jobs) == []
    # One plan for all of them: the import that came first.
    assert Assignment.objects.count() == len(keys)
    assert Assignment.objects.values("plan").distinct().count() == 1
