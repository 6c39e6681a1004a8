"""The open invoice: there with the assignment, following usage, saying why."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine

from invoices import due, services
from invoices.estimates import projection
from invoices.lines.explained import rows_of, sentences_of
from invoices.models import InvoiceLine
from meters.models import Customer
from pricing.plans import activate, draft_version, set_rate
from tests.factories import (
    STORY_RATE,
    live_invoice,
    make_customer,
    make_meter,
    make_plan,
    put_on,
    run_sweep,
    send,
)
from tests.invoices.november import MONTH_END, NOW

pytestmark = pytest.mark.usefixtures("november")


class TestTheOpenInvoice:
    def test_exists_when_the_assignment_does(self, acme: Customer) -> None:
        invoice = live_invoice(acme)
        assert (invoice.period_start, invoice.period_end) == (datetime(2026, 11, 22, tzinfo=UTC), MONTH_END)
        assert (invoice.total, invoice.currency, invoice.lines.get().quantity) == (0, "USD", 0)

    def test_exists_for_a_customer_discovered_by_its_first_event(self, acme: Customer) -> None:
        send("newcomer", "ApiCalls", 5001)
        run_sweep()
        assert live_invoice(Customer.objects.get(key="newcomer")).total == 5

    @pytest.mark.parametrize(
        ("calls", "total", "details"),
        [
            (0, "0", ["0 of 5,000 free"]),
            (4999, "0", ["4,999 of 5,000 free"]),
            (5000, "0", ["5,000 of 5,000 free"]),
            (5001, "5", ["5,000 of 5,000 free", "1 call = 1 block x $5.00"]),
            (6000, "5", ["5,000 of 5,000 free", "1,000 calls = 1 block x $5.00"]),
            (12300, "40", ["5,000 of 5,000 free", "7,300 calls = 8 blocks x $5.00"]),
        ],
        ids=str,
    )
    def test_follows_usage_and_says_why(self, acme: Customer, calls: int, total: str, details: list[str]) -> None:
        if calls:
            send("acme", "ApiCalls", calls)
        run_sweep()
        invoice = live_invoice(acme)
        line = invoice.lines.get()
        assert (invoice.total, line.amount, line.quantity) == (Decimal(total), Decimal(total), calls)
        assert [row.detail for row in rows_of(line)] == details
        assert sum(row.amount for row in rows_of(line)) == line.amount
        assert line.rate == STORY_RATE

    def test_says_where_it_rounds(self, db: None) -> None:
        meter = make_meter()
        customer = make_customer("acme")
        put_on(customer, make_plan("Fine", {meter: {"model": "per_unit", "unit_price": "0.0033"}}), NOW.date())
        for calls, words in ((1, "$0.0033 is rounded to $0.00."), (500, "500 calls x $0.0033 = $1.65.")):
            send("acme", "ApiCalls", calls - live_invoice(customer).lines.get().quantity)
            run_sweep()
            assert sentences_of(live_invoice(customer).lines.get())[-1] == words

    def test_is_computed_twice_without_effect(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 12300)
        run_sweep()
        invoice = live_invoice(acme)
        before = list(invoice.lines.values())
        assert services.recalculate(invoice.pk) is False
        assert list(invoice.lines.values()) == before

    def test_is_stale_exactly_when_usage_is_newer(self, acme: Customer) -> None:
        assert due.stale_invoices(10) == []
        send("acme", "ApiCalls", id="1", time=NOW)
        invoice = live_invoice(acme)
        assert due.stale_invoices(10) == [invoice.pk]
        run_sweep()
        assert due.stale_invoices(10) == []
        send("acme", "ApiCalls", id="1", time=NOW)  # a duplicate
        assert due.stale_invoices(10) == []

    def test_counts_only_its_own_period(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 5001, time=datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC))
        send("acme", "ApiCalls", 3, time=datetime(2026, 11, 22, tzinfo=UTC))
        run_sweep()
        assert live_invoice(acme).lines.get().quantity == 3

    def test_lists_usage_that_nothing_prices(self, acme: Customer) -> None:
        make_meter("Storage", unit="GB")
        make_meter("Silent", unit="GB")
        send("acme", "Storage", 7)
        run_sweep()
        line = live_invoice(acme).lines.get(kind=InvoiceLine.Kind.UNPRICED)
        assert (line.name, line.quantity, line.amount, line.rate) == ("Storage", 7, 0, None)
        assert sentences_of(line) == ["No rate prices this usage, so nothing is charged for it."]

    def test_no_longer_tells_unpriced_usage_of_a_meter_that_is_not_billed(self, acme: Customer) -> None:
        storage = make_meter("Storage")
        send("acme", "Storage", 5)
        run_sweep()
        assert live_invoice(acme).lines.filter(kind="unpriced").count() == 1
        storage.used_for_billing = False
        storage.save()
        run_sweep()
        assert not live_invoice(acme).lines.filter(kind="unpriced").exists()

    def test_lists_unpriced_usage_of_the_days_that_nothing_prices(self, acme: Customer) -> None:
        storage = make_meter("Storage", unit="GB")
        for day, amount in ((23, 7), (25, 20), (28, 300)):
            send("acme", "Storage", amount, time=datetime(2026, 11, day, 12, tzinfo=UTC), now=MONTH_END)
        run_sweep()
        assert [line.quantity for line in live_invoice(acme).lines.filter(kind="unpriced")] == [327]
        with time_machine.travel(datetime(2026, 11, 26, tzinfo=UTC), tick=False):
            beside = make_plan("Storage", {storage: {"model": "per_unit", "unit_price": "1"}})
            put_on(acme, beside, date(2026, 11, 24), date(2026, 11, 26))
            run_sweep()
        calls, extra = acme.invoices.order_by("assignment_id")
        assert [line.quantity for line in calls.lines.filter(kind="unpriced")] == [7, 300]
        assert (extra.total, extra.lines.count()) == (20, 1)

    def test_notices_a_product_item_that_is_new(self, acme: Customer) -> None:
        meter = make_meter("Storage", used_for_billing=False)
        send("acme", "Storage", 7)
        run_sweep()
        assert live_invoice(acme).lines.count() == 1
        meter.used_for_billing = True
        meter.save()
        run_sweep()
        assert live_invoice(acme).lines.get(kind="unpriced").quantity == 7

    def test_bears_more_than_any_event_can_hold(self, acme: Customer) -> None:
        for _ in range(2):
            send("acme", "ApiCalls", "9" * 24)
        run_sweep()
        invoice = live_invoice(acme)
        assert invoice.lines.get().quantity == 2 * Decimal("9" * 24)
        assert invoice.total == (2 * Decimal("9" * 24) - 5000 + 2) / 1000 * 5
        assert projection(invoice, now=invoice.period_start + timedelta(days=2)) is not None

    def test_takes_new_prices_from_its_next_period_on(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 12300)
        plan = acme.assignments.get().plan
        item = live_invoice(acme).lines.get().product_item
        set_rate(draft_version(plan), product_item=item, parameters={"model": "per_unit", "unit_price": "1"})
        activate(plan)
        run_sweep()
        assert live_invoice(acme).total == 40
        with time_machine.travel(MONTH_END + timedelta(hours=1), tick=False):
            send("acme", "ApiCalls", 3)
            run_sweep()
            assert acme.invoices.get(period_start=MONTH_END).total == 3


def test_a_recalculation_takes_few_queries(acme: Customer, django_assert_max_num_queries) -> None:
    send("acme", "ApiCalls", 12300)
    run_sweep()
    send("acme", "ApiCalls", 1000)
    # Two of them ask, for all invoices of a chunk, whether webhooks want to know and whether an alert is reached.
    with django_assert_max_num_queries(16):
        services.recalculate(live_invoice(acme).pk)
