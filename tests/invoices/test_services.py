"""Invoices: opened with the assignment, following usage, closed on time; once, whoever else tries."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from invoices import due, services
from invoices.estimates import daily_costs, projection
from invoices.explained import rows_of, sentences_of
from invoices.models import Invoice, InvoiceEvent, InvoiceLine, NumberSeries
from meters.customers import update_customer
from meters.models import Customer
from pricing.assignments import end
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
from tests.racing import race

NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
MONTH_END = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def acme(db: None) -> Customer:
    make_plan("AwesomeIntegrationApi", {make_meter(): STORY_RATE}, is_default=True)
    return make_customer("acme")


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

    def test_ends_where_the_assignment_ends(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 6000, time=NOW - timedelta(hours=1))
        send("acme", "ApiCalls", 9000, time=NOW + timedelta(hours=12))
        end(acme.assignments.get(), ends_on=date(2026, 11, 23))
        invoice = live_invoice(acme)
        assert (invoice.period_end, invoice.total) == (datetime(2026, 11, 23, tzinfo=UTC), 5)
        with time_machine.travel(MONTH_END + timedelta(days=40), tick=False):
            run_sweep()
            assert acme.invoices.count() == 1

    def test_is_void_where_the_assignment_no_longer_reaches_it(self, acme: Customer) -> None:
        assignment = acme.assignments.get()
        with time_machine.travel(MONTH_END + timedelta(hours=2), tick=False):
            run_sweep()
            send("acme", "ApiCalls", 9000)
            end(assignment, ends_on=date(2026, 12, 1))
            run_sweep()
            statuses = list(acme.invoices.order_by("period_start").values_list("status", flat=True))
            assert statuses == [Invoice.Status.GRACE, Invoice.Status.VOID]

    def test_goes_on_where_the_end_is_taken_back(self, acme: Customer) -> None:
        assignment = end(acme.assignments.get(), ends_on=date(2026, 11, 23))
        with time_machine.travel(datetime(2026, 11, 23, 12, tzinfo=UTC), tick=False):
            run_sweep()
            assert live_invoice(acme).status == Invoice.Status.GRACE
            send("acme", "ApiCalls", 6000)
            end(assignment, ends_on=date(2026, 11, 26))
            invoice = live_invoice(acme)
            assert (invoice.status, invoice.total) == (Invoice.Status.OPEN, 5)
            assert invoice.period_end == datetime(2026, 11, 26, tzinfo=UTC)
            assert acme.invoices.count() == 1


class TestEndsThatAreMoved:
    """A free tier is given once, and a final invoice is never contradicted."""

    def test_an_end_in_the_past_leaves_the_whole_grace_time(self, acme: Customer) -> None:
        assignment = acme.assignments.get()
        with time_machine.travel(datetime(2026, 11, 27, 12, tzinfo=UTC), tick=False):
            end(assignment, ends_on=date(2026, 11, 24))
            run_sweep()
            assert acme.invoices.get().status == Invoice.Status.GRACE
            end(assignment, ends_on=date(2026, 12, 1))
            run_sweep()
            assert acme.invoices.get().status == Invoice.Status.OPEN
            end(assignment, ends_on=date(2026, 11, 24))
        with time_machine.travel(datetime(2026, 11, 28, 12, tzinfo=UTC), tick=False):
            run_sweep()
            assert acme.invoices.get().status == Invoice.Status.FINAL
            with pytest.raises(ValidationError, match=r"2026-0001, up to 24 Nov 2026, is final"):
                end(assignment, ends_on=date(2026, 12, 1))

    def test_an_end_inside_a_final_invoice_is_refused(self, acme: Customer) -> None:
        with time_machine.travel(MONTH_END + timedelta(hours=25), tick=False):
            run_sweep()
            with pytest.raises(ValidationError, match="is final"):
                end(acme.assignments.get(), ends_on=date(2026, 11, 25))
            assert acme.assignments.get().ends_on is None
            end(acme.assignments.get(), ends_on=date(2026, 12, 1))

    def test_a_changed_time_zone_moves_no_period(self, acme: Customer) -> None:
        update_customer(acme, changes={"time_zone": "America/New_York"})
        with time_machine.travel(datetime(2027, 1, 15, tzinfo=UTC), tick=False):
            run_sweep()
            run_sweep()
        bounds = [invoice.period_end for invoice in acme.invoices.order_by("period_start")]
        assert bounds == [MONTH_END, datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)]

    def test_prices_are_those_of_the_periods_beginning_however_late_the_worker(self, acme: Customer) -> None:
        plan = acme.assignments.get().plan
        item = live_invoice(acme).lines.get().product_item
        with time_machine.travel(MONTH_END + timedelta(hours=9), tick=False):
            set_rate(draft_version(plan), product_item=item, parameters={"model": "per_unit", "unit_price": "1"})
            activate(plan)
            send("acme", "ApiCalls", 3)
            run_sweep()
            assert acme.invoices.get(period_start=MONTH_END).total == 0
        with time_machine.travel(datetime(2027, 1, 1, 9, tzinfo=UTC), tick=False):
            send("acme", "ApiCalls", 3)
            run_sweep()
            assert acme.invoices.get(period_start=datetime(2027, 1, 1, tzinfo=UTC)).total == 3


class TestMonthEnds:
    def test_open_grace_final(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 12300)
        with time_machine.travel(MONTH_END - timedelta(seconds=1), tick=False):
            run_sweep()
            assert acme.invoices.get().status == Invoice.Status.OPEN
        with time_machine.travel(MONTH_END, tick=False):
            run_sweep()
            old, new = acme.invoices.order_by("period_start")
            assert (old.status, old.number, old.total) == (Invoice.Status.GRACE, "", 40)
            assert (new.status, new.total, new.period_start) == (Invoice.Status.OPEN, 0, old.period_end)
        with time_machine.travel(MONTH_END + timedelta(hours=23), tick=False):
            send("acme", "ApiCalls", 1000, time=MONTH_END - timedelta(seconds=1))  # late, and in time
            run_sweep()
            old.refresh_from_db()
            assert (old.status, old.total) == (Invoice.Status.GRACE, 45)
        with time_machine.travel(MONTH_END + timedelta(hours=24), tick=False):
            run_sweep()
            old.refresh_from_db()
            assert (old.status, old.number, old.total) == (Invoice.Status.FINAL, "2026-0001", 45)
            assert (old.customer_name, old.plan_name) == ("acme", "AwesomeIntegrationApi")
            assert list(old.events.values_list("kind", flat=True)) == ["opened", "grace", "finalized"]

    def test_a_final_invoice_never_changes(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 12300)
        with time_machine.travel(MONTH_END + timedelta(hours=25), tick=False):
            run_sweep()
            before = (acme.invoices.filter(number="2026-0001").values().get(), list(InvoiceLine.objects.values()))
            send("acme", "ApiCalls", 9999, time=NOW)
            invoice = acme.invoices.get(number="2026-0001")
            services.recalculate(invoice.pk)
            services.close(invoice.pk)
            run_sweep()
            after = (acme.invoices.filter(number="2026-0001").values().get(), list(InvoiceLine.objects.values()))
            assert after[0] == before[0]
            assert before[1][0] in after[1]

    def test_months_of_standing_still_are_made_up_for(self, acme: Customer) -> None:
        with time_machine.travel(datetime(2027, 3, 10, tzinfo=UTC), tick=False):
            run_sweep()
            run_sweep()
            invoices = list(acme.invoices.order_by("period_start"))
        assert [invoice.period_start.month for invoice in invoices] == [11, 12, 1, 2, 3]
        assert [invoice.number for invoice in invoices] == ["2027-0001", "2027-0002", "2027-0003", "2027-0004", ""]
        for before, after in zip(invoices, invoices[1:], strict=False):
            assert before.period_end == after.period_start

    @pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
    def test_are_local_midnights_across_clock_changes(self, acme: Customer, zone: str) -> None:
        customer = make_customer("local", time_zone=zone)
        with time_machine.travel(datetime(2027, 12, 15, tzinfo=UTC), tick=False):
            run_sweep()
        for invoice in customer.invoices.all():
            start, stop = (bound.astimezone(ZoneInfo(zone)) for bound in (invoice.period_start, invoice.period_end))
            assert (stop.day, stop.hour, stop.minute) == (1, 0, 0)
            assert (start.hour, start.minute) == (0, 0)

    def test_numbers_have_no_gap(self, acme: Customer) -> None:
        for number in range(5):
            make_customer(f"c{number}")
        with time_machine.travel(MONTH_END + timedelta(hours=25), tick=False):
            run_sweep()
            numbers = Invoice.objects.filter(status="final").order_by("number").values_list("number", flat=True)
            assert list(numbers) == [f"2026-{number:04}" for number in range(1, 7)]
        with time_machine.travel(datetime(2027, 1, 3, tzinfo=UTC), tick=False):
            run_sweep()
            assert Invoice.objects.filter(number="2027-0001").exists()

    def test_the_database_refuses_a_second_invoice_for_a_period(self, acme: Customer) -> None:
        invoice = live_invoice(acme)
        invoice.pk = None
        with pytest.raises(IntegrityError, match="invoice_one_per_period"), transaction.atomic():
            invoice.save(force_insert=True)


class TestEstimates:
    def test_daily_costs_add_up_to_the_line(self, acme: Customer) -> None:
        with time_machine.travel(datetime(2026, 11, 25, 12, tzinfo=UTC), tick=False):
            for day, calls in ((22, 5000), (23, 1), (25, 7299)):
                send("acme", "ApiCalls", calls, time=datetime(2026, 11, day, 11, tzinfo=UTC))
            run_sweep()
            costs = daily_costs(live_invoice(acme), now=datetime(2026, 11, 25, 12, tzinfo=UTC))
        assert costs.totals == (0, 5, 0, 35)
        assert sum(costs.totals) == live_invoice(acme).total

    def test_projection_prices_the_projected_quantity(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 3000, time=NOW)
        run_sweep()
        invoice = live_invoice(acme)
        assert projection(invoice, now=invoice.period_start + timedelta(hours=23)) is None
        # A third of nine days is over: 9,000 calls, 4,000 of them billed, 4 blocks.
        projected = projection(invoice, now=invoice.period_start + timedelta(days=3))
        assert projected is not None
        assert (projected.lines[0].quantity, projected.total) == (9000, 20)
        assert projection(invoice, now=invoice.period_end) is None


def test_a_recalculation_takes_few_queries(acme: Customer, django_assert_max_num_queries) -> None:
    send("acme", "ApiCalls", 12300)
    run_sweep()
    send("acme", "ApiCalls", 1000)
    with django_assert_max_num_queries(12):
        services.recalculate(live_invoice(acme).pk)


@pytest.mark.django_db(transaction=True)
class TestRaces:
    @pytest.fixture(autouse=True)
    def _clock(self):
        """Threads and a frozen clock do not go together."""
        return

    @pytest.fixture
    def old(self, _clock) -> Invoice:
        """An invoice whose grace time is over."""
        customer = make_customer("acme")
        plan = make_plan("Basic", {make_meter(): STORY_RATE})
        today = datetime.now(UTC).date()
        first = (today.replace(day=1) - timedelta(days=40)).replace(day=1)
        put_on(customer, plan, first)
        return customer.invoices.order_by("period_start")[0]

    def test_many_workers_make_one_final_invoice(self, old: Invoice) -> None:
        send("acme", "ApiCalls", 12300, time=old.period_start)
        jobs = [lambda: services.close(old.pk), lambda: services.recalculate(old.pk)] * 3
        assert race(*jobs) == []
        old.refresh_from_db()
        assert (old.status, old.total, old.lines.count()) == (Invoice.Status.FINAL, 40, 1)
        assert InvoiceEvent.objects.filter(invoice=old, kind="finalized").count() == 1
        assert NumberSeries.objects.get().last == 1

    def test_many_workers_open_one_invoice(self, old: Invoice) -> None:
        assignment = old.assignment
        Invoice.objects.all().delete()
        assert race(*[lambda: services.open_invoices(assignment)] * 4) == []
        starts = list(Invoice.objects.values_list("period_start", flat=True))
        assert len(starts) == len(set(starts)) >= 2

    def test_events_and_recalculation_at_once_lose_nothing(self, old: Invoice) -> None:
        live = Invoice.objects.filter(status="open").order_by("-period_start")[0]

        def send_some() -> None:
            for _ in range(20):
                send("acme", "ApiCalls", 100)

        def recalculate_some() -> None:
            for _ in range(20):
                services.recalculate(live.pk)

        assert race(send_some, send_some, send_some, recalculate_some, recalculate_some) == []
        run_sweep()
        live.refresh_from_db()
        assert (live.lines.get().quantity, live.total) == (6000, 5)
