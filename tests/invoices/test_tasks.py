"""The worker's side: one bad thing holds up no other, and a hint is only a hint."""

import pytest
import redis
from django.conf import settings

from invoices import services, tasks, wake
from invoices.models import Invoice
from meters.models import Customer
from tests import servers
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, send


@pytest.mark.django_db
def test_one_that_fails_holds_up_no_other(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    poison, healthy = make_customer("a-poison"), make_customer("b-healthy")
    for customer in (poison, healthy):
        send(customer.key, "ApiCalls", 5001)
    bad = live_invoice(poison).pk
    real = services.recalculate

    def recalculate(pk: int) -> bool:
        if pk == bad:
            raise RuntimeError("cannot be computed")
        return real(pk)

    monkeypatch.setattr(services, "recalculate", recalculate)
    recalculate.__name__ = "recalculate"
    tasks.sweep()
    assert live_invoice(healthy).total == 5
    assert "cannot be computed" in caplog.text


@pytest.mark.django_db
def test_the_sweep_takes_in_discovered_customers_and_bills_them() -> None:
    make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    for number in range(5):
        send(f"new-{number}", "ApiCalls", 5001)
    assert not Invoice.objects.exists()
    tasks.sweep()
    assert list(Invoice.objects.values_list("total", flat=True)) == [5] * 5
    assert not Customer.objects.filter(onboarded_at=None).exists()


@pytest.mark.django_db
def test_opening_stops_after_a_while_and_the_next_tick_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    for number in range(3):
        make_customer(f"c{number}")
    Invoice.objects.all().delete()
    monkeypatch.setattr(tasks, "OPENING_SECONDS", 0)
    for opened in (1, 2, 3, 3):
        tasks.close_periods()
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
