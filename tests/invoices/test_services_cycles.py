"""Periods of all lengths: by the calendar and the anniversary, from version to version, in the customer's time zone."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.exceptions import ValidationError

from invoices import due, services
from invoices.models import Invoice
from meters.customers import update_customer
from meters.models import Customer, Meter
from meters.periods import local_midnight
from pricing.assignments import assign, change_plan, end
from pricing.models import Assignment
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.november import NOW
from tests.invoices.plans import FREE, ONE_EACH, fee, plan_with, version_with

pytestmark = pytest.mark.usefixtures("november")


@pytest.fixture
def customer(db: None) -> Customer:
    return make_customer("acme")


@pytest.fixture
def calls(db: None) -> Meter:
    return make_meter()


def sweep_at(*moment: int) -> None:
    with time_machine.travel(datetime(*moment, tzinfo=UTC), tick=False):
        run_sweep()


def starts(assignment: Assignment) -> list[date]:
    """The first days of its periods and the end of the last; periods tile."""
    invoices = list(assignment.invoices.exclude(status="void").order_by("period_start"))
    for before, after in zip(invoices, invoices[1:], strict=False):
        assert before.period_end == after.period_start
    bounds = [*(invoice.period_start for invoice in invoices), invoices[-1].period_end]
    return [bound.astimezone(assignment.zone).date() for bound in bounds]


def totals(customer: Customer) -> list[Decimal]:
    return list(customer.invoices.exclude(status="void").order_by("period_start", "id").values_list("total", flat=True))


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"interval": "week"}, [(2026, 11, 4), (2026, 11, 9), (2026, 11, 16), (2026, 11, 23)]),
        ({"interval": "week", "interval_count": 2}, [(2026, 11, 4), (2026, 11, 16), (2026, 11, 30)]),
        ({"interval": "month"}, [(2026, 11, 4), (2026, 12, 1)]),
        ({"interval": "quarter"}, [(2026, 11, 4), (2027, 1, 1)]),
        ({"interval": "year"}, [(2026, 11, 4), (2027, 1, 1)]),
        ({"interval": "month", "alignment": "anniversary"}, [(2026, 11, 4), (2026, 12, 4)]),
        ({"interval": "week", "alignment": "anniversary"}, [(2026, 11, day) for day in (4, 11, 18, 25)]),
        (
            {"interval": "day", "interval_count": 10, "alignment": "anniversary"},
            [(2026, 11, 4), (2026, 11, 14), (2026, 11, 24)],
        ),
    ],
    ids=str,
)
def test_periods_are_those_of_the_version(
    customer: Customer, calls: Meter, terms: dict[str, object], expected: list[tuple[int, int, int]]
) -> None:
    assignment = put_on(customer, plan_with("Cycle", {calls: FREE}, **terms), date(2026, 11, 4))
    run_sweep()
    assert starts(assignment) == [date(*day) for day in expected]


def test_an_anniversary_on_the_31st_comes_back_after_short_months(customer: Customer, calls: Meter) -> None:
    plan = plan_with("Anniversary", {calls: FREE}, fee("base", "10"), alignment="anniversary")
    assignment = assign(customer=customer, plan=plan, starts_on=date(2026, 11, 10), anchor_on=date(2027, 1, 31))
    sweep_at(2027, 4, 10)
    sweep_at(2027, 4, 10)
    assert starts(assignment) == [
        date(2026, 11, 10),
        date(2026, 11, 30),
        date(2026, 12, 31),
        date(2027, 1, 31),
        date(2027, 2, 28),
        date(2027, 3, 31),
        date(2027, 4, 30),
    ]
    # 20 of the 30 days from 31 October, then whole ones of 31, 31, 28, 31 and 30 days.
    assert totals(customer) == [Decimal("6.67"), 10, 10, 10, 10, 10]


def test_the_next_period_begins_where_the_last_ended_by_the_cycle_of_its_own_version(
    customer: Customer, calls: Meter
) -> None:
    plan = plan_with("Changing", {calls: ONE_EACH}, fee("base", "30"))
    assignment = put_on(customer, plan, date(2026, 11, 1))
    version_with(plan, {}, fee("base", "92"), interval="quarter")
    send("acme", "ApiCalls", 7, time=NOW)
    sweep_at(2026, 12, 15)
    assert starts(assignment) == [date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1)]
    assert totals(customer) == [37, 31]  # December is 31 of the 92 days of its quarter
    sweep_at(2027, 1, 2)
    assert starts(assignment)[-1] == date(2027, 4, 1)
    assert totals(customer)[-1] == 92


def test_those_who_stay_keep_their_version_until_one_moves_them(customer: Customer, calls: Meter) -> None:
    plan = plan_with("Kept", {calls: FREE}, fee("base", "1"), interval="day")
    there = put_on(customer, plan, date(2026, 11, 22))
    with time_machine.travel(NOW + timedelta(hours=1), tick=False):
        version_with(plan, {}, fee("base", "2"), moves_existing=False)
    with time_machine.travel(NOW + timedelta(hours=2), tick=False):
        put_on(make_customer("globex"), plan, date(2026, 11, 22))
    sweep_at(2026, 11, 23, 12)
    with time_machine.travel(datetime(2026, 11, 23, 18, tzinfo=UTC), tick=False):
        version_with(plan, {}, fee("base", "3"))
    sweep_at(2026, 11, 24, 12)
    assert totals(customer) == [1, 1, 3]
    assert totals(Customer.objects.get(key="globex")) == [2, 2, 3]
    assert [one.plan_version.number for one in there.invoices.order_by("period_start")] == [1, 1, 3]


def test_the_running_period_keeps_its_version_whatever_happens(customer: Customer, calls: Meter) -> None:
    plan = plan_with("Kept", {calls: FREE}, fee("base", "1"))
    put_on(customer, plan, date(2026, 11, 1))
    version_with(plan, {}, fee("base", "2"), fee("more", "5"))
    Invoice.objects.update(is_stale=True)
    run_sweep()
    assert totals(customer) == [1]


def test_several_currencies_are_several_invoices(customer: Customer, calls: Meter) -> None:
    storage = make_meter("Storage", unit="GB", dimensions=[])
    rate = {"model": "per_unit", "unit_price": "0.333"}
    for key, meter, currency in (("Yen", calls, "JPY"), ("Dinar", storage, "KWD")):
        put_on(customer, plan_with(key, {meter: rate}, fee("base", "100"), currency=currency), date(2026, 11, 16))
    send("acme", "ApiCalls", 5)
    send("acme", "Storage", 5)
    run_sweep()
    yen, dinar = customer.invoices.order_by("id")
    assert [(line.currency, line.total) for line in (yen, dinar)] == [("JPY", 52), ("KWD", Decimal("51.665"))]
    assert [line.amount for line in yen.lines.all()] == [2, 50]
    assert not Invoice.objects.filter(lines__kind="unpriced").exists()


def test_the_currency_is_that_of_the_periods_version(customer: Customer, calls: Meter) -> None:
    plan = plan_with("Moved", {calls: ONE_EACH}, currency="USD")
    put_on(customer, plan, date(2026, 11, 1))
    version_with(plan, {}, currency="EUR")
    sweep_at(2026, 12, 2)
    assert list(customer.invoices.order_by("period_start").values_list("currency", flat=True)) == ["USD", "EUR"]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Asuncion"])
def test_weeks_and_trials_begin_at_local_midnights(calls: Meter, zone: str) -> None:
    customer = make_customer("local", time_zone=zone)
    plan = plan_with("Weekly", {calls: ONE_EACH}, fee("base", "7"), interval="week", trial_days=3)
    assignment = put_on(customer, plan, date(2026, 11, 2))  # a Monday
    trial_end = local_midnight(date(2026, 11, 5), ZoneInfo(zone))
    send("local", "ApiCalls", 1, time=trial_end - timedelta(microseconds=1))
    send("local", "ApiCalls", 10, time=trial_end)
    run_sweep()
    assert starts(assignment)[:3] == [date(2026, 11, 2), date(2026, 11, 9), date(2026, 11, 16)]
    first = assignment.invoices.order_by("period_start")[0]
    assert [(line.kind, line.quantity) for line in first.lines.all()] == [("usage", 10), ("trial", 1), ("fee", 1)]
    assert first.total == 10 + 4


def test_a_customer_that_moves_keeps_the_zone_of_its_periods(customer: Customer, calls: Meter) -> None:
    assignment = put_on(customer, plan_with("Daily", {calls: FREE}, interval="day"), date(2026, 11, 21))
    update_customer(customer, changes={"time_zone": "Pacific/Auckland"})
    sweep_at(2026, 11, 24, 12)
    assert starts(assignment) == [date(2026, 11, day) for day in (21, 22, 23, 24, 25)]


class TestEnds:
    @pytest.fixture
    def weekly(self, customer: Customer, calls: Meter) -> Assignment:
        plan = plan_with("Weekly", {calls: ONE_EACH}, fee("base", "7"), interval="week", alignment="anniversary")
        return put_on(customer, plan, date(2026, 11, 20))  # periods to 27 November, 4 December

    def test_a_live_period_follows_the_end_to_and_fro(self, weekly: Assignment, customer: Customer) -> None:
        ended = end(weekly, ends_on=date(2026, 11, 24))
        assert (starts(weekly), live_invoice(customer).total) == ([date(2026, 11, 20), date(2026, 11, 24)], 4)
        end(ended, ends_on=None)
        assert (starts(weekly), live_invoice(customer).total) == ([date(2026, 11, 20), date(2026, 11, 27)], 7)

    def test_an_end_after_a_final_stub_is_refused_and_one_at_a_whole_period_is_not(
        self, weekly: Assignment, customer: Customer
    ) -> None:
        sweep_at(2026, 11, 28, 12)
        with time_machine.travel(datetime(2026, 11, 28, 13, tzinfo=UTC), tick=False):
            assert customer.invoices.get(number="2026-0001").period_end == datetime(2026, 11, 27, tzinfo=UTC)
            with pytest.raises(ValidationError, match="is final"):
                end(weekly, ends_on=date(2026, 11, 26))
            ended = end(weekly, ends_on=date(2026, 11, 27))
            assert list(customer.invoices.filter(status="void").values_list("period_start", flat=True)) == [
                datetime(2026, 11, 27, tzinfo=UTC)
            ]
            end(ended, ends_on=None)
            assert starts(weekly) == [date(2026, 11, 20), date(2026, 11, 27), date(2026, 12, 4)]

    def test_one_that_is_taken_back_altogether_leaves_nothing_to_do(
        self, weekly: Assignment, customer: Customer
    ) -> None:
        end(weekly, ends_on=weekly.starts_on)
        run_sweep()
        sweep_at(2026, 12, 12)
        assert [invoice.status for invoice in customer.invoices.all()] == [Invoice.Status.VOID]

    def test_a_change_of_plan_at_the_end_of_the_period_splits_none(
        self, weekly: Assignment, customer: Customer, calls: Meter
    ) -> None:
        monthly = plan_with("Monthly", {calls: ONE_EACH}, fee("base", "30"))
        changed = change_plan(weekly, plan=monthly, when="period_end")
        sweep_at(2026, 11, 29)
        assert (starts(weekly), starts(changed)) == (
            [date(2026, 11, 20), date(2026, 11, 27)],
            [date(2026, 11, 27), date(2026, 12, 1)],
        )
        assert totals(customer) == [7, 4]


def test_the_days_of_long_ago_are_made_up_for_by_and_by(customer: Customer, calls: Meter) -> None:
    plan = plan_with("Daily", {calls: ONE_EACH}, interval="day")
    assignment = put_on(customer, plan, date(2026, 8, 1))  # 114 days
    assert assignment.invoices.count() == services.MOST_AT_ONCE
    assert due.uncovered_assignments(NOW, 10) == [assignment]
    run_sweep()
    assert starts(assignment) == [date(2026, 8, 1) + timedelta(days=number) for number in range(115)]
    assert due.uncovered_assignments(NOW, 10) == []
