"""The doctor's checks of who does the work, and of what waits, see what is wrong for real."""

from datetime import date, timedelta
from typing import Any

import pytest
import redis
from django.utils import timezone

from config.doctor import of_work
from config.doctor.findings import State
from invoices import services
from invoices.models import AuditRun, FailingWork, Invoice, Mail, OutboxEvent, WebhookDelivery, WebhookEndpoint
from meters import heartbeats
from meters.models import Heartbeat
from tests import servers
from tests.config.doctor import BEAT, WORKER, ago, sees
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep
from tests.kept import kept

pytestmark = pytest.mark.django_db


def test_no_broker() -> None:
    valkey = servers.valkey()
    sees(of_work.broker, State.OK, "messages wait")
    valkey.stop()
    try:
        sees(of_work.broker, State.FAILED, "does not answer", "nothing is lost")
    finally:
        valkey.start()


def test_a_broker_that_is_full_or_not_emptied(settings: Any) -> None:
    servers.valkey()
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        broker.lpush("celery", *range(of_work.MANY_MESSAGES + 1))
        try:
            sees(of_work.broker, State.WARNING, "messages wait", "start more of them")
        finally:
            broker.delete("celery")
        broker.config_set("maxmemory", int(broker.info("memory")["used_memory"] * 1.01))
        try:
            sees(of_work.broker, State.WARNING, "MiB in use of", "Raise its maxmemory")
        finally:
            broker.config_set("maxmemory", 0)


def silent_for(**span: int) -> None:
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(**span))


def test_the_beat() -> None:
    sees(of_work.beat, State.FAILED, "never seen", "config.start beat")
    heartbeats.note(BEAT, "here")
    sees(of_work.beat, State.OK, "here, seen 0 seconds ago")
    heartbeats.note(BEAT, "there")
    sees(of_work.beat, State.WARNING, "2 of them", "stop the others")
    silent_for(minutes=3)
    sees(of_work.beat, State.FAILED, "seen 3 minutes ago", "no bill closes")


def test_workers() -> None:
    sees(of_work.worker, State.FAILED, "never seen", "config.start worker")
    heartbeats.note(WORKER, "celery@one")
    heartbeats.note(WORKER, "celery@two")
    sees(of_work.worker, State.OK, "celery@one 0 seconds ago")
    silent_for(seconds=100)
    sees(of_work.worker, State.WARNING, "100 seconds ago", "see the worker's log")
    silent_for(hours=3)
    sees(of_work.worker, State.FAILED, "was the last, 3 hours ago", "start it again")


def test_who_was_silent_for_long_is_forgotten() -> None:
    heartbeats.note(WORKER, "celery@old")
    heartbeats.note(BEAT, "old")
    silent_for(days=2)
    heartbeats.note(WORKER, "celery@new")
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {"celery@new", "old"}


# --- What waits ---


@pytest.fixture
@kept()
def invoice() -> Invoice:
    meter = make_meter()
    put_on(make_customer(), make_plan("Basic", {meter: STORY_RATE}), date(2026, 1, 1))
    run_sweep()
    return Invoice.objects.order_by("-period_start").first() or pytest.fail("none")


def overtake(invoice: Invoice, **ago: int) -> None:
    Invoice.objects.filter(pk=invoice.pk).update(is_stale=True, computed_at=timezone.now() - timedelta(**ago))


def test_an_invoice_that_nobody_brings_up_to_date(invoice: Invoice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_work, "LOOK_AGAIN_SECONDS", 0.01)
    sees(of_work.stale_invoice, State.OK, "none")
    overtake(invoice, seconds=20)
    sees(of_work.stale_invoice, State.OK, "computed 20 seconds ago")
    overtake(invoice, minutes=5)
    sees(of_work.stale_invoice, State.WARNING, f"invoice {invoice.pk}, computed 5 minutes ago", "See to worker")
    overtake(invoice, days=3)
    sees(of_work.stale_invoice, State.FAILED, "computed 3 days ago", "the worker's log")


def test_an_old_invoice_that_was_overtaken_just_now(invoice: Invoice, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker takes it up while the doctor waits."""
    overtake(invoice, days=3)
    monkeypatch.setattr("config.doctor.of_work.time.sleep", lambda _: services.recalculate_stale([invoice.pk]))
    sees(of_work.stale_invoice, State.OK, "is being taken up")


def test_periods_that_nobody_closes(invoice: Invoice) -> None:
    sees(of_work.closing, State.OK, "nothing waits")
    Invoice.objects.filter(pk=invoice.pk).update(period_end=timezone.now() - timedelta(hours=5))
    sees(of_work.closing, State.FAILED, "1 wait, the oldest for 5 hours", "worker and beat")


def tell(**fields: Any) -> OutboxEvent:
    event = {"type": "invoice.paid", "about": "invoice:1", "data": {}, "message_id": "m", "created_at": ago(hours=1)}
    return OutboxEvent.objects.create(**event | fields)


def test_events_that_nobody_spreads() -> None:
    tell(message_id="later", not_before=timezone.now() + timedelta(minutes=1))
    sees(of_work.outbox, State.OK, "nothing waits")
    tell()
    sees(of_work.outbox, State.FAILED, "1 wait, the oldest for 60 minutes", "See to the worker")


def test_mails_that_wait_or_were_given_up() -> None:
    mail = Mail.objects.create(kind="invoice", about="x", recipient="a@b.example", created_at=ago(hours=1))
    Mail.objects.update(next_try_at=timezone.now() + timedelta(minutes=5))
    sees(of_work.mails, State.OK, "1 wait")
    Mail.objects.update(next_try_at=ago(minutes=4))
    sees(of_work.mails, State.WARNING, "1 wait, the oldest for 4 minutes", "the mail server")
    Mail.objects.filter(pk=mail.pk).update(status=Mail.Status.FAILED)
    sees(of_work.mails, State.WARNING, "nothing waits; 1 were given up in the last day", "with the reason")


def test_webhooks_that_wait_or_were_given_up() -> None:
    endpoint = WebhookEndpoint.objects.create(
        url="https://receiver.example", secret="whsec_eA==", created_at=ago(days=1)
    )
    delivery = WebhookDelivery.objects.create(
        endpoint=endpoint, event=tell(), about="invoice:1", created_at=ago(hours=1), next_try_at=ago(minutes=20)
    )
    sees(of_work.webhooks, State.FAILED, "1 wait, the oldest for 20 minutes", "Webhook deliveries")
    WebhookDelivery.objects.filter(pk=delivery.pk).update(status=WebhookDelivery.Status.FAILED)
    sees(of_work.webhooks, State.WARNING, "1 were given up in the last day", "Webhook deliveries")


def test_work_that_fails() -> None:
    sees(of_work.failing_work, State.OK, "none parked")
    for number, next_try_at in enumerate((timezone.now(), None)):
        FailingWork.objects.create(
            kind="close",
            object_id=number,
            error="x",
            first_at=ago(hours=1),
            last_at=ago(hours=1),
            next_try_at=next_try_at,
        )
        expected = [(State.WARNING, "none parked, 1 tried again"), (State.FAILED, "1 parked, 1 tried again")][number]
        sees(of_work.failing_work, *expected, "Failing work")


def test_the_last_audit() -> None:
    sees(of_work.audit, State.OK, "none yet")
    run = AuditRun.objects.create(started_at=ago(hours=3), finished_at=ago(hours=2), status=AuditRun.Status.DONE)
    sees(of_work.audit, State.OK, "0 findings 2 hours ago")
    AuditRun.objects.filter(pk=run.pk).update(finished_at=ago(days=4))
    sees(of_work.audit, State.WARNING, "4 days ago", "one each night")
    AuditRun.objects.filter(pk=run.pk).update(found=2)
    sees(of_work.audit, State.FAILED, "2 findings", "Look at them")
