"""Invoices at the end of their month: open, grace, final; numbered without a gap."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import IntegrityError, transaction

from invoices import services
from invoices.models import Invoice, InvoiceLine
from meters.models import Customer
from tests.factories import (
    live_invoice,
    make_customer,
    run_sweep,
    send,
)
from tests.invoices.november import MONTH_END, NOW

pytestmark = pytest.mark.usefixtures("november")


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
            lines = InvoiceLine.objects.filter(invoice__number="2026-0001")
            before = (acme.invoices.filter(number="2026-0001").values().get(), list(lines.values()))
            send("acme", "ApiCalls", 9999, time=NOW)
            invoice = acme.invoices.get(number="2026-0001")
            services.recalculate(invoice.pk)
            services.close(invoice.pk)
            run_sweep()
            after = (acme.invoices.filter(number="2026-0001").values().get(), list(lines.values()))
            # All but the note that it has been rated again: the next invoice has the difference.
            assert (after[0] | {"rerated_version": 1}, after[1]) == before
            assert live_invoice(acme).lines.get(kind="correction").corrects == invoice

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
