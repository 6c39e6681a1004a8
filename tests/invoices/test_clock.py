"""Lines of a value that holds until the next one: the bill grows though nothing is sent."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine

from invoices import due, services
from invoices.estimates import daily_costs, projection
from invoices.models import Invoice, InvoiceLine
from meters.models import Customer
from portal.bills.overview import freshness
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep, send

START = datetime(2026, 11, 22, tzinfo=UTC)
NOW = START + timedelta(hours=10)
CENTS_PER_HOUR = {"model": "per_unit", "unit_price": "0.01"}


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def acme(db: None) -> Customer:
    storage = make_meter("Storage", aggregation="time_weighted_sum", time_unit="hour", unit="GB-hours")
    make_plan("Disk", {storage: CENTS_PER_HOUR, make_meter(): STORY_RATE}, is_default=True)
    customer = make_customer("acme")
    send("acme", "Storage", 100, time=NOW)
    run_sweep()
    return customer


def line(customer: Customer, name: str = "Storage") -> InvoiceLine:
    return live_invoice(customer).lines.get(product_item__meter__key=name)


def test_the_sweep_takes_the_bill_on_with_the_clock(acme: Customer, clock: time_machine.Traveller) -> None:
    assert line(acme).quantity == 0
    clock.shift(due.CLOCK_STEP - timedelta(seconds=1))
    assert due.stale_invoices(10) == []
    clock.shift(timedelta(seconds=1))
    assert due.stale_invoices(10) == [live_invoice(acme).pk]
    run_sweep()
    assert line(acme).quantity == 5  # 100 GB x 3 minutes
    assert due.stale_invoices(10) == []
    clock.shift(timedelta(hours=1) - due.CLOCK_STEP)
    run_sweep()
    assert (line(acme).quantity, live_invoice(acme).total) == (100, Decimal("1.00"))


def test_at_one_time_it_is_computed_twice_without_effect(acme: Customer, clock: time_machine.Traveller) -> None:
    clock.shift(timedelta(hours=2))
    invoice = live_invoice(acme)
    now = NOW + timedelta(hours=2)
    assert services.recalculate(invoice.pk, now=now) is True
    before = list(invoice.lines.values())
    assert services.recalculate(invoice.pk, now=now) is False
    assert list(invoice.lines.values()) == before


def test_without_such_a_line_nothing_is_computed_for_the_clock(acme: Customer, clock: time_machine.Traveller) -> None:
    globex = make_customer("globex")
    send("globex", "ApiCalls", 5001)
    run_sweep()
    clock.shift(timedelta(minutes=1))  # a value that nobody sent cannot hold
    assert (live_invoice(globex).follows_clock, live_invoice(acme).follows_clock) == (False, True)
    clock.shift(timedelta(days=1))
    assert due.stale_invoices(10) == [live_invoice(acme).pk]


def test_the_final_invoice_holds_the_whole_period_and_stands_still(
    acme: Customer, clock: time_machine.Traveller
) -> None:
    invoice = live_invoice(acme)
    clock.move_to(invoice.period_end + timedelta(minutes=5))
    run_sweep()
    invoice.refresh_from_db()
    hours = int((invoice.period_end - NOW) / timedelta(hours=1))
    assert (invoice.status, invoice.follows_clock) == (Invoice.Status.GRACE, False)
    assert invoice.lines.get(product_item__meter__key="Storage").quantity == 100 * hours
    clock.shift(timedelta(hours=24))
    run_sweep()
    invoice.refresh_from_db()
    assert (invoice.status, invoice.total) == (Invoice.Status.FINAL, hours)
    # In the next period the value still holds, from its first instant on.
    assert line(acme).quantity == Decimal("2408.333333333333333")  # 100 GB x 24 hours and 5 minutes


def test_a_value_that_holds_from_before_is_listed_where_nothing_prices_it(db: None) -> None:
    make_meter("Seats", aggregation="time_weighted_sum", time_unit="day", unit="seat-days")
    customer = make_customer("acme")
    send("acme", "Seats", 3, time=START - timedelta(days=5))
    put_on(customer, make_plan("Calls", {make_meter(): STORY_RATE}), START.date())
    run_sweep()
    found = line(customer, "Seats")
    assert (found.kind, found.quantity) == (InvoiceLine.Kind.UNPRICED, Decimal("1.25"))  # 3 seats x 10 hours
    assert live_invoice(customer).follows_clock


def test_each_day_has_its_own_share_and_no_day_ahead(acme: Customer, clock: time_machine.Traveller) -> None:
    clock.move_to(START + timedelta(days=2, hours=6))
    run_sweep()
    costs = daily_costs(live_invoice(acme), now=START + timedelta(days=2, hours=6))
    assert costs.totals == (14, 24, 6)  # at $1 an hour
    assert sum(costs.totals) == live_invoice(acme).total


def test_the_projection_lets_the_value_hold_to_the_end(acme: Customer, clock: time_machine.Traveller) -> None:
    clock.move_to(START + timedelta(days=2))
    run_sweep()
    invoice = live_invoice(acme)
    ahead = projection(invoice, now=START + timedelta(days=2))
    assert ahead is not None
    assert ahead.total == int((invoice.period_end - NOW) / timedelta(hours=1))


def test_the_page_says_as_of_when_it_is(acme: Customer, clock: time_machine.Traveller) -> None:
    clock.shift(timedelta(minutes=2))
    told = freshness(acme, [live_invoice(acme)], now=NOW + timedelta(minutes=2))
    assert (told.as_of, told.is_behind) == (NOW, False)
