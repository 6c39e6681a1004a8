"""Ends of assignments, moved to and fro: the live invoice follows, a final one stands."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.core.exceptions import ValidationError

from invoices.due import uncovered_assignments
from invoices.models import Invoice
from meters.customers import update_customer
from meters.models import Customer
from pricing.assignments import end
from pricing.models import Assignment
from pricing.plans import activate, draft_version, set_rate
from tests.factories import (
    live_invoice,
    make_customer,
    put_on,
    run_sweep,
    send,
)
from tests.invoices.november import MONTH_END, NOW

pytestmark = pytest.mark.usefixtures("november")


class TestTheLiveInvoice:
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


@pytest.mark.parametrize(
    ("zone", "day"), [("Atlantic/Azores", date(2026, 10, 25)), ("America/Havana", date(2026, 11, 1))]
)
class TestMidnightsThatComeTwice:
    def test_an_assignment_that_ends_then_is_done(self, acme: Customer, zone: str, day: date) -> None:
        customer = make_customer("twice", time_zone=zone)
        assignment = put_on(customer, acme.assignments.get().plan, date(2026, 9, 15), day)
        assert assignment.invoices.latest("period_start").period_end == assignment.ends_at
        assert uncovered_assignments(NOW, 10) == []

    def test_the_day_that_begins_then_is_still_missing(self, acme: Customer, zone: str, day: date) -> None:
        customer = make_customer("twice", time_zone=zone)
        assignment = put_on(customer, acme.assignments.get().plan, date(2026, 9, 15), day)
        Assignment.objects.filter(pk=assignment.pk).update(ends_on=day + timedelta(days=1))
        assert uncovered_assignments(NOW, 10) == [assignment]
