"""Importing assignments: all rows or none, a preview that stores nothing, and invoices that the sweep opens."""

from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from invoices.models import Invoice
from meters.models import Customer
from pricing import assignment_import
from pricing.assignment_import import Imported, import_assignments
from pricing.assignments import assign, end
from pricing.models import Assignment, AssignmentLog, Plan
from pricing.plans import activate, draft_version, set_rate, set_terms
from pricing.promotions import apply_promotion, save_promotion
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep, send
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
    assert AssignmentLog.objects.filter(kind="assigned").count() == len(keys)
    run_sweep()
    assert Invoice.objects.values("customer").distinct().count() == Invoice.objects.count() == len(keys)


@pytest.mark.django_db(transaction=True)
def test_an_import_beside_single_assignments_and_the_worker() -> None:
    meter = make_meter()
    basic, gold = (make_plan(key, {meter: STORY_RATE}) for key in ("Basic", "Gold"))
    customers = [make_customer(f"c{number}") for number in range(6)]

    def one_by_one() -> None:
        for customer in reversed(customers):
            with suppress(ValidationError):
                put_on(customer, gold, date.fromisoformat(TODAY))

    def work() -> None:
        for _ in range(5):
            run_sweep()

    imported = partial(run, *[row(customer.key) for customer in customers])
    assert race(one_by_one, imported, work, work) == []
    run_sweep()
    # Where a single one was first, the import stored nothing; where it was first, all of its rows.
    assert Assignment.objects.count() == len(customers)
    assert Assignment.objects.filter(plan=basic).count() in (0, len(customers))
    assert Invoice.objects.values("customer").distinct().count() == Invoice.objects.count() == len(customers)


MID_NOVEMBER = datetime(2026, 11, 18, 12, tzinfo=UTC)


def bill(customer: str) -> list[Any]:
    """All that the customer's invoices say but their ids and numbers."""
    told = ("assignment__plan__key", "plan_version__number", "status", "period_start", "period_end", "closes_at")
    invoices = Invoice.objects.filter(customer__key=customer).order_by("period_start", "assignment_id")
    lines = ("kind", "product_item", "fee_key", "name", "quantity", "amount", "steps")
    return [
        (
            *invoices.values_list(*told, "time_zone", "subtotal", "total").get(pk=one.pk),
            list(one.lines.order_by("position").values_list(*lines)),
            one.is_stale,
        )
        for one in invoices
    ]


def test_the_sweep_opens_what_single_assignments_would_have(db: None) -> None:
    calls, storage = make_meter(), make_meter("Storage")
    with time_machine.travel(MID_NOVEMBER, tick=False):
        make_plan("Basic", {calls: STORY_RATE})
        pro = make_plan("Pro", {calls: STORY_RATE})
        make_plan("Store", {storage: STORY_RATE})
        set_terms(draft_version(pro), alignment="anniversary", trial_days=3)
        activate(pro)
        half = save_promotion(changes={"key": "half", "name": "Half", "percent": "50", "cap": "30", "currency": "USD"})
        for key in ("single", "import"):
            customer = make_customer(key, time_zone="America/New_York")
            apply_promotion(customer=customer, promotion=half, starts_on=date(2026, 9, 1))
            for day in (date(2026, 9, 20), date(2026, 10, 5), date(2026, 10, 25), date(2026, 11, 12)):
                for meter in ("ApiCalls", "Storage"):
                    send(key, meter, 12_345, time=datetime(day.year, day.month, day.day, 8, tzinfo=UTC))
        rows = [
            row("import", "Basic", "2026-09-15", ends_on="2026-10-20"),
            row("import", "Store", "2026-11-10"),
            row("import", "Pro", "2026-10-20", anchor_on="2026-10-07", ends_on="2026-12-24"),
            row("import", "Basic", "2026-12-24"),
        ]
        for one in rows:
            days = {
                name: date.fromisoformat(one[name]) for name in ("starts_on", "ends_on", "anchor_on") if name in one
            }
            single = Customer.objects.get(key="single")
            assign(customer=single, plan=Plan.objects.get(key=one["plan"]), **days)  # type: ignore[arg-type]
        assert run(*rows).assigned == 4
        assert not Invoice.objects.filter(customer__key="import").exists()
        for _ in range(3):
            run_sweep()
        theirs = bill("import")
        assert len(theirs) == 5
        assert {one[2] for one in theirs} >= {"open", "final"}
        assert {line[0] for one in theirs for line in one[-2]} == {"usage", "promotion", "unpriced"}
        assert theirs == bill("single")
    fields = ("plan", "time_zone", "starts_on", "ends_on", "anchor_on")
    made = {key: list(Assignment.objects.filter(customer__key=key).values(*fields)) for key in ("single", "import")}
    assert made["single"] == made["import"]


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_an_import_asks_the_database_does_not_grow_with_its_rows(plan: Plan, dry_run: bool) -> None:
    """And no invoice is computed: that would ask for much more."""

    def statements(keys: list[str]) -> list[str]:
        for key in keys:
            make_customer(key)
            send(key, "ApiCalls", 12)
        with CaptureQueriesContext(connection) as asked:
            assert run(*[row(key) for key in keys], dry_run=dry_run).assigned == len(keys)
        return [query["sql"] for query in asked]

    few, many = statements(["a", "b"]), statements([f"c{number}" for number in range(60)])
    # One asks whether webhooks want to know.
    assert len(few) == len(many) <= 12
    assert not Invoice.objects.exists()
    if dry_run:
        # It holds nobody up.
        assert all(sql.startswith(("SELECT", "SAVEPOINT", "RELEASE")) for sql in many)
        assert not any("FOR " in sql for sql in many)


def test_a_row_that_reaches_into_what_is_final_is_refused_with_all_others(db: None) -> None:
    meter = make_meter()
    with time_machine.travel(datetime(2026, 10, 1, 12, tzinfo=UTC), tick=False):
        basic, _ = (make_plan(key, {meter: STORY_RATE}) for key in ("Basic", "Gold"))
        acme, _ = make_customer("acme"), make_customer("globex")
        put_on(acme, basic, date(2026, 10, 1), date(2026, 11, 1))
        send("acme", "ApiCalls", 12_345)
    with time_machine.travel(MID_NOVEMBER, tick=False):
        run_sweep()
        before = bill("acme")
        assert [one[2] for one in before] == ["final"]
        for dry_run in (True, False):
            done = run(row("globex", "Gold", "2026-10-15"), row("acme", "Gold", "2026-10-15"), dry_run=dry_run)
            assert (done.wrong, done.stored) == (1, False)
            assert "already priced by Basic from 1 Oct 2026" in done.rows[1].errors["plan"][0]
        run_sweep()
        assert bill("acme") == before
        assert Assignment.objects.get() == Invoice.objects.get().assignment
        # Right behind it is room.
        assert run(row("acme", "Gold", "2026-11-01")).stored
        # One that was imported is held to its own final invoices like any other.
        assignment = Assignment.objects.get(plan__key="Gold")
        run_sweep()
    with time_machine.travel(datetime(2026, 12, 5, tzinfo=UTC), tick=False):
        run_sweep()
        with pytest.raises(ValidationError, match="is final"):
            end(assignment, ends_on=date(2026, 11, 20))


def test_an_end_before_the_worker_came_opens_what_is_lacking(plan: Plan) -> None:
    with time_machine.travel(MID_NOVEMBER, tick=False):
        run(row(starts_on="2026-11-01"))
        end(Assignment.objects.get(), ends_on=date(2026, 11, 10))
        assert Invoice.objects.get().period_end == datetime(2026, 11, 10, tzinfo=UTC)
        run_sweep()
        assert Invoice.objects.count() == 1


def test_versions_that_a_customer_was_left_on_count_for_the_rows(plan: Plan) -> None:
    """The rows before are seen as they will be: with the version that is active now."""
    storage = make_meter("Storage")
    make_plan("Store", {storage: STORY_RATE})
    put_on(Customer.objects.get(key="acme"), plan, date.fromisoformat(TODAY))
    set_rate(draft_version(plan), product_item=storage.product_item, parameters=STORY_RATE)
    activate(plan, moves_existing=False)
    done = run(row(plan="Store"), row("globex"), row("globex", "Store"), dry_run=True)
    assert [list(one.errors) for one in done.rows] == [[], [], ["plan"]]
