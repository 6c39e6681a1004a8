"""What usage costs in any spans of time: the lines of the invoices, cut where one likes, and nothing lost."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from invoices.costs import costs_in
from invoices.estimates import daily_costs
from invoices.models import Invoice
from meters.models import Customer
from meters.periods import Period, windows
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_rate, set_terms
from tests.factories import make_customer, make_meter, make_plan, put_on, run_sweep, send

D = Decimal
NOW = datetime(2026, 11, 18, 14, 2, tzinfo=UTC)
VOLUME = {
    "model": "volume",
    "tiers": [{"up_to": "100", "unit_price": "0.033"}, {"up_to": None, "unit_price": "0.01"}],
}


@pytest.fixture
def clock(db: None) -> object:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def invoices_of(customer: Customer) -> list[Invoice]:
    return list(
        Invoice.objects.filter(customer=customer).select_related("customer", "plan_version").order_by("period_start")
    )


def lines_of(invoice: Invoice) -> Decimal:
    return sum((line.amount for line in invoice.lines.filter(kind="usage")), D(0))


def test_days_are_what_the_overview_has_and_any_cut_adds_up_to_the_lines(clock: object) -> None:
    """A volume tier, so that days lower the bill, a zone with half hours, and several months read at once."""
    calls = make_meter()
    customer = make_customer("acme", time_zone="Asia/Kolkata")
    put_on(customer, make_plan("Volume", {calls: VOLUME}), date(2026, 9, 10))
    for number in range(40):
        send(
            "acme", "ApiCalls", 7 + number % 5, time=datetime(2026, 9, 10, 3, tzinfo=UTC) + number * timedelta(hours=39)
        )
    run_sweep()
    run_sweep()
    invoices = invoices_of(customer)
    assert [invoice.status for invoice in invoices] == ["final", "final", "open"]
    days = [day for invoice in invoices for day in windows(invoice.period, "day", invoice.zone)]
    found = costs_in(invoices, calls, days, now=NOW)
    for invoice, costs in zip(invoices, found, strict=True):
        (part,) = costs.parts
        by_day = [cost for day, cost in zip(days, part.costs, strict=True) if day.start in invoice.period]
        expected = daily_costs(invoice, now=NOW).totals
        assert by_day[: len(expected)] == list(expected)
        assert not any(by_day[len(expected) :])
        assert sum(part.costs) == part.whole == part.billed == lines_of(invoice)
    assert any(cost < 0 for costs in found for cost in costs.parts[0].costs)
    whole = Period(invoices[0].period_start, invoices[-1].period_end)
    for cut in ("hour", "week", "month"):
        spans = list(windows(whole, cut, customer.zone))
        sums = [sum(one.parts[0].costs) for one in costs_in(invoices, calls, spans, now=NOW)]
        assert sums == [lines_of(invoice) for invoice in invoices], cut
    (october,) = costs_in(invoices[1:2], calls, [whole, days[0], invoices[1].period], now=NOW)
    assert october.parts[0].costs == (lines_of(invoices[1]), D(0), lines_of(invoices[1]))


def test_by_price_with_single_events_a_trial_and_what_nothing_prices(clock: object) -> None:
    calls = make_meter(dimensions=["region"])
    plan = Plan.objects.create(key="Apart")
    version = draft_version(plan)
    per_event = {"model": "percentage", "rate_percent": "10", "fixed_fee_per_event": "0.1"}
    set_rate(version, product_item=calls.product_item, parameters=per_event, where={"region": ["eu"]})
    set_rate(
        version,
        product_item=calls.product_item,
        parameters={"model": "per_unit", "unit_price": "2"},
        where={"region": ["us", "ca"]},
    )
    set_terms(version, trial_days=3)
    activate(plan)
    customer = make_customer("acme")
    put_on(customer, plan, date(2026, 11, 1))
    for day, region in [(2, "eu"), (4, "eu"), (4, "us"), (5, "ca"), (6, "mars")]:
        send("acme", "ApiCalls", 3, region=region, time=datetime(2026, 11, day, 12, tzinfo=UTC))
    run_sweep()
    invoices = invoices_of(customer)
    days = list(windows(invoices[0].period, "day", customer.zone))[:7]
    (costs,) = costs_in(invoices, calls, days, now=NOW)
    assert not costs.is_whole  # nothing prices Mars
    by_where = {str(part.where): part for part in costs.parts}
    eu, us = by_where["{'region': ('eu',)}"], by_where["{'region': ('ca', 'us')}"]
    assert eu.costs == (*[D(0)] * 3, D("0.40"), D(0), D(0), D(0))
    assert us.costs == (*[D(0)] * 3, D("6.00"), D("6.00"), D(0), D(0))
    assert (eu.billed, us.billed) == (D("0.40"), D("12.00"))


def test_usage_that_comes_late_is_in_the_costs_and_not_on_the_invoice(clock: object) -> None:
    calls = make_meter()
    customer = make_customer("acme")
    put_on(customer, make_plan("Unit", {calls: {"model": "per_unit", "unit_price": "1"}}), date(2026, 10, 1))
    send("acme", "ApiCalls", 5, time=datetime(2026, 10, 3, tzinfo=UTC))
    run_sweep()
    run_sweep()
    send("acme", "ApiCalls", 2, time=datetime(2026, 10, 4, tzinfo=UTC))
    october = invoices_of(customer)[0]
    (costs,) = costs_in([october], calls, [october.period], now=NOW)
    assert (costs.parts[0].whole, costs.parts[0].billed) == (D(7), D(5))


def test_many_invoices_take_as_many_statements_as_one(
    clock: object, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    calls = make_meter()
    plan = Plan.objects.create(key="Weekly")
    version = draft_version(plan)
    set_rate(version, product_item=calls.product_item, parameters={"model": "per_unit", "unit_price": "0.0051"})
    set_terms(version, interval="week")
    activate(plan)
    customer = make_customer("acme")
    put_on(customer, plan, date(2026, 9, 1))
    send("acme", "ApiCalls", 1000, time=datetime(2026, 9, 30, tzinfo=UTC))
    for _ in range(3):
        run_sweep()
    invoices = invoices_of(customer)
    assert len(invoices) == 12
    months = list(windows(Period(invoices[0].period_start, invoices[-1].period_end), "month", customer.zone))
    costs_in(invoices, calls, months, now=NOW)
    with django_assert_max_num_queries(5):
        found = costs_in(invoices, calls, months, now=NOW)
    assert sum(cost for one in found for cost in one.parts[0].costs) == D("5.10")


def test_a_meter_without_a_price_costs_nothing_by_any_invoice(clock: object) -> None:
    calls, unbilled = make_meter(), make_meter("Unbilled", used_for_billing=False)
    other = make_meter("Other")
    customer = make_customer("acme")
    put_on(customer, make_plan("Unit", {calls: {"model": "per_unit", "unit_price": "1"}}), date(2026, 11, 1))
    run_sweep()
    invoices = invoices_of(customer)
    spans = [invoices[0].period]
    assert [one.parts for one in costs_in(invoices, unbilled, spans, now=NOW)] == [()]
    assert [one.parts for one in costs_in(invoices, other, spans, now=NOW)] == [()]
    assert costs_in([], calls, spans, now=NOW) == []
