"""Usage that comes, or is voided, after its invoice is final: no cent is lost, and none is charged twice."""

from datetime import date
from decimal import Decimal

import pytest
import time_machine

from invoices import due, services
from invoices.models import Correction, Invoice, InvoiceLine
from meters.models import Customer
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.late import at, corrections, rerate, said, unvoid, void, work_at
from tests.invoices.plans import ONE_EACH, plan_with


@pytest.fixture
def clock() -> time_machine.Traveller:
    with time_machine.travel(at(9, 1), tick=False) as traveller:
        yield traveller


@pytest.fixture
def acme(clock: time_machine.Traveller, db: None) -> Customer:
    """A customer at $1 a call from September on, with $40 on its first invoice, which is final."""
    calls = make_meter("Calls")
    customer = make_customer("acme")
    put_on(customer, plan_with("Basic", {calls: ONE_EACH}), date(2026, 9, 1))
    clock.move_to(at(9, 20))
    send("acme", "Calls", 30, time=at(9, 10), id="first")
    send("acme", "Calls", 10, time=at(9, 11), id="second")
    work_at(clock, at(10, 3))
    clock.move_to(at(10, 5))
    return customer


def september(customer: Customer) -> Invoice:
    return customer.invoices.get(period_start=at(9, 1, 0), is_correction=False)


class TestOnTheNextInvoice:
    def test_what_was_in_time_corrects_nothing(self, acme: Customer) -> None:
        assert september(acme).status == Invoice.Status.FINAL
        assert due.late_customers(10) == []
        send("acme", "Calls", 5)
        assert due.late_customers(10) == []
        rerate(acme)
        assert not Correction.objects.exists()
        assert corrections(live_invoice(acme)) == []

    def test_an_event_that_comes_late_is_a_line_of_the_next_invoice(self, acme: Customer) -> None:
        send("acme", "Calls", 5, time=at(9, 30, 23))
        assert due.late_customers(10) == [acme.pk]
        run_sweep()
        final, live = september(acme), live_invoice(acme)
        assert (final.total, final.lines.get().amount) == (40, 40)
        assert said(live) == [
            ("usage", "Calls", Decimal(0)),
            ("correction", "Calls, 1–30 Sep 2026 (2026-0001)", Decimal(5)),
        ]
        assert (live.subtotal, live.total) == (5, 5)
        line = live.lines.get(kind="correction")
        assert (line.quantity, line.corrects, line.product_item.name) == (5, final, "Calls")
        assert sum(Decimal(step["amount"]) for step in line.steps) == 5
        assert sum(Decimal(step.get("quantity", 0)) for step in line.steps) == 5
        assert due.late_customers(10) == []

    def test_late_after_late_adds_up(self, acme: Customer, clock: time_machine.Traveller) -> None:
        send("acme", "Calls", 5, time=at(9, 30))
        run_sweep()
        send("acme", "Calls", 2, time=at(9, 12))
        run_sweep()
        assert [amount for _, amount in corrections(live_invoice(acme))] == [7]
        work_at(clock, at(11, 3))
        october = acme.invoices.get(period_start=at(10, 1, 0))
        assert (october.status, october.total) == ("final", 7)
        clock.move_to(at(11, 5))
        send("acme", "Calls", 100, time=at(9, 12))
        run_sweep()
        live = live_invoice(acme)
        assert corrections(live) == [("Calls, 1–30 Sep 2026 (2026-0001)", 100)]
        assert live.lines.get(kind="correction").quantity == 100
        assert september(acme).events.filter(kind="corrected").count() == 1

    def test_a_void_is_taken_back_from_the_next_invoice(self, acme: Customer) -> None:
        void("second")
        run_sweep()
        live = live_invoice(acme)
        assert corrections(live) == [("Calls, 1–30 Sep 2026 (2026-0001)", -10)]
        assert live.total == -10
        unvoid("second")
        run_sweep()
        assert corrections(live_invoice(acme)) == []
        assert not Correction.objects.exists()

    def test_a_void_takes_the_last_correction_back(self, acme: Customer, clock: time_machine.Traveller) -> None:
        send("acme", "Calls", 5, time=at(9, 30), id="late")
        work_at(clock, at(11, 3))
        assert acme.invoices.get(period_start=at(10, 1, 0)).total == 5
        void("late")
        work_at(clock, at(11, 5))
        live = live_invoice(acme)
        assert corrections(live) == [("Calls, 1–30 Sep 2026 (2026-0001)", -5)]
        assert live.lines.get(kind="correction").quantity == -5
        work_at(clock, at(12, 5))
        assert corrections(live_invoice(acme)) == []

    def test_is_carried_by_the_earliest_live_invoice(self, acme: Customer, clock: time_machine.Traveller) -> None:
        work_at(clock, at(11, 1, 1))
        grace, live = acme.invoices.filter(status__in=Invoice.LIVE).order_by("period_start")
        send("acme", "Calls", 5, time=at(9, 30))
        run_sweep()
        assert (grace.lines.filter(kind="correction").count(), live.lines.filter(kind="correction").count()) == (1, 0)

    def test_running_again_changes_nothing(self, acme: Customer) -> None:
        send("acme", "Calls", 5, time=at(9, 30))
        run_sweep()
        before = list(InvoiceLine.objects.order_by("pk").values())
        stored = list(Correction.objects.values())
        for _ in range(2):
            rerate(acme)
            services.recalculate(live_invoice(acme).pk)
            run_sweep()
        assert list(InvoiceLine.objects.order_by("pk").values()) == before
        assert list(Correction.objects.values()) == stored

    def test_closing_has_what_came_just_before(self, acme: Customer, clock: time_machine.Traveller) -> None:
        work_at(clock, at(11, 1, 1))
        send("acme", "Calls", 5, time=at(9, 30))
        october = acme.invoices.get(period_start=at(10, 1, 0))
        services.close(october.pk, now=at(11, 3))
        october.refresh_from_db()
        assert (october.status, october.total) == ("final", 5)
