"""Workers at the same time: one invoice for a period, made final once, and nothing lost."""

from datetime import UTC, datetime, timedelta
from threading import Semaphore

import pytest
import time_machine
from django.db import transaction

from invoices import services
from invoices.adjustments import subject_of
from invoices.computing import compute
from invoices.models import Invoice, InvoiceEvent, NumberSeries
from pricing.assignments import set_quantity
from pricing.plans import activate, draft_version, set_rate
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate, set_billing_profile
from tests.factories import (
    STORY_RATE,
    make_customer,
    make_meter,
    make_plan,
    put_on,
    run_sweep,
    send,
)
from tests.invoices.november import MONTH_END, NOW
from tests.invoices.plans import ONE_EACH, fee, plan_with
from tests.racing import race, wait_for_a_blocked_backend


@pytest.mark.django_db(transaction=True)
class TestRaces:
    @pytest.fixture
    def old(self) -> Invoice:
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

    def test_changes_of_all_kinds_at_once_are_all_on_the_bill(self) -> None:
        customer = make_customer("acme")
        calls, storage = make_meter(), make_meter("Storage")
        today = datetime.now(UTC).date()
        first = (today.replace(day=1) - timedelta(days=40)).replace(day=1)
        plan = plan_with("Seats", {calls: ONE_EACH}, fee("seats", "10", prorated=False), fee("base", "7"))
        assignment = put_on(customer, plan, first)
        beside = plan_with("Storage", {storage: ONE_EACH})
        half = save_promotion(changes={"key": "half", "name": "Half", "percent": "50"})
        invoices = list(customer.invoices.values_list("pk", flat=True))
        assert (
            race(
                lambda: set_quantity(assignment, fee_key="seats", quantity=3, starts_on=today.replace(day=1)),
                lambda: set_quantity(assignment, fee_key="base", quantity=2, starts_on=today),
                lambda: apply_promotion(customer=customer, promotion=half, starts_on=first),
                lambda: set_billing_profile(customer, legal_name="Acme Inc."),
                lambda: save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "20", "is_default": True}),
                lambda: put_on(customer, beside, today),
                lambda: send("acme", "Storage", 5),
                lambda: [services.recalculate(pk) for pk in invoices],
                lambda: [services.close(pk) for pk in invoices],
                lambda: services.open_invoices(assignment),
            )
            == []
        )
        for _ in range(3):
            run_sweep()
        live = Invoice.objects.filter(status__in=Invoice.LIVE).order_by("assignment_id")
        for invoice, computed in zip(live, compute([subject_of(one) for one in live], now=NOW), strict=True):
            assert (invoice.total, invoice.subtotal) == (computed.draft.total, computed.draft.subtotal)
            assert {line.kind for line in invoice.lines.all()} >= {"usage", "promotion", "tax"}
        assert assignment.invoices.get(status="open").lines.get(fee_key="seats").amount == 30

    def test_a_period_has_the_version_that_was_activated_just_before_it(self) -> None:
        """It was not committed yet when the worker came to the period."""
        meter = make_meter()
        plan = make_plan("Basic", {meter: STORY_RATE})
        activated = Semaphore(0)

        def activate_slowly() -> None:
            with transaction.atomic():
                activate(plan)
                clock.move_to(MONTH_END)
                activated.release()
                wait_for_a_blocked_backend()

        def open_the_next() -> None:
            activated.acquire()
            services.open_invoices(assignment)

        with time_machine.travel(NOW, tick=False) as clock:
            assignment = put_on(make_customer("acme"), plan, NOW.date())
            set_rate(draft_version(plan), product_item=meter.product_item, parameters=ONE_EACH)
            clock.move_to(MONTH_END - timedelta(seconds=1))
            assert race(activate_slowly, open_the_next) == []
        versions = assignment.invoices.order_by("period_start").values_list("period_start", "plan_version__number")
        assert list(versions)[1:] == [(MONTH_END, 2)]
