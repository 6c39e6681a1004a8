"""The worker's side: one bad thing holds up no other, and a hint is only a hint."""

from datetime import timedelta

import pytest
import redis
from django.conf import settings
from django.utils import timezone

from invoices import due, pricing_of, wake
from invoices.models import Invoice
from invoices.tasks import bills
from meters.models import Customer
from pricing.models import Rate
from tests import servers
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, put_on, send


@pytest.mark.django_db
@pytest.mark.parametrize("bad", range(5))
def test_one_that_fails_holds_up_no_other(bad: int, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever it stands in the chunk."""
    meter = make_meter()
    good, broken = make_plan("Good", {meter: STORY_RATE}), make_plan("Broken", {meter: STORY_RATE})
    customers = [make_customer(f"c{number}") for number in range(5)]
    for number, customer in enumerate(customers):
        put_on(customer, broken if number == bad else good, timezone.now().date())
        send(customer.key, "ApiCalls", 5001)
    Rate.objects.filter(plan_version__plan=broken).update(parameters={"model": "unheard of"})
    pricing_of.forget()
    bills.sweep()
    assert [live_invoice(customer).total for customer in customers] == [0 if n == bad else 5 for n in range(5)]
    failed = live_invoice(customers[bad]).pk
    assert f"recalculate {failed} failed" in caplog.text
    # It is left alone for a moment, and then due again.
    assert due.stale_invoices(10) == []
    assert due.stale_invoices(10, now=timezone.now() + timedelta(minutes=1)) == [failed]


@pytest.mark.django_db
def test_the_sweep_takes_in_discovered_customers_and_bills_them() -> None:
    make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    for number in range(5):
        send(f"new-{number}", "ApiCalls", 5001)
    assert not Invoice.objects.exists()
    bills.sweep()
    assert list(Invoice.objects.values_list("total", flat=True)) == [5] * 5
    assert not Customer.objects.filter(onboarded_at=None).exists()


@pytest.mark.django_db
def test_opening_stops_after_a_while_and_the_next_tick_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    for number in range(3):
        make_customer(f"c{number}")
    Invoice.objects.all().delete()
    monkeypatch.setattr(bills, "OPENING_SECONDS", 0)
    for opened in (1, 2, 3, 3):
        bills.close_periods()
        assert Invoice.objects.count() == opened


class TestWaking:
    @pytest.fixture
    def broker(self):
        client = redis.Redis.from_url(settings.REDIS_URL)
        client.flushall()
        yield client
        client.flushall()

    def test_many_changes_leave_one_message(self, broker: redis.Redis) -> None:
        for _ in range(100):
            wake.wake()
        assert broker.llen("celery") == 1

    def test_a_change_after_the_message_was_taken_up_leaves_another(self, broker: redis.Redis) -> None:
        wake.wake()
        wake.taken_up()
        wake.wake()
        assert broker.llen("celery") == 2

    def test_without_a_broker_nothing_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        valkey = servers.valkey()
        valkey.stop()
        try:
            wake.wake()
            wake.taken_up()
        finally:
            valkey.start()
        assert "the sweep will find the change" in caplog.text
