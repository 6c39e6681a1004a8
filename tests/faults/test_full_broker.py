"""A broker that takes nothing more: events and pages go on, and once it has room so do the bills."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from django.conf import settings
from django.test import Client
from rest_framework.test import APIClient

from invoices import due, wake
from invoices.backtests.backtest import start_backtest
from invoices.models import Backtest
from invoices.tasks import bills
from tests.factories import json_event, live_invoice, make_customer, make_meter, put_on, send
from tests.invoices.plans import ONE_EACH, plan_with
from tests.killing import database_url
from tests.scenarios.live import Live, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    monkeypatch.setattr(wake, "_paused_until", float("-inf"))
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushall()
        yield client
        give(client)
        client.flushall()


def take(client: redis.Redis) -> None:
    """It holds more than it may from here on, and refuses what would add to that (`noeviction`)."""
    client.config_set("maxmemory", 1)
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        client.set("anything", "1")


def give(client: redis.Redis) -> None:
    client.config_set("maxmemory", 0)


def test_events_pages_and_work_go_on(broker: redis.Redis, api: APIClient) -> None:
    acme = make_customer()
    plan = plan_with("Basic", {make_meter(): ONE_EACH})
    put_on(acme, plan, datetime.now(UTC).date())
    take(broker)
    sender = api()
    answer = sender.post("/v1/events", json_event(value=3), format="json")
    assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
    assert sender.get("/v1/customers").status_code == 200
    assert Client().get("/sign-in/").status_code == 200
    # Who hurries a worker is not kept by it; and what a worker is to do stands in the rows.
    backtest = start_backtest(plan=plan)
    assert backtest.status == Backtest.Status.WAITING
    bills.sweep()
    assert live_invoice(acme).total == 3


def test_worker_and_beat_live_through_it(broker: redis.Redis, tmp_path: Path) -> None:
    """Ticks that find no room are lost; the next ones that find some do the work."""
    acme = make_customer()
    put_on(acme, plan_with("Basic", {make_meter(): ONE_EACH}), datetime.now(UTC).date())
    installation = Live(database_url(), tmp_path)
    for name in ("worker", "beat"):
        installation.start(name)
    try:
        send("acme", "ApiCalls", 1)
        wait_for(lambda: live_invoice(acme).total == 1, 60)
        take(broker)
        send("acme", "ApiCalls", 1)
        wait_for(lambda: "SchedulingError" in (tmp_path / "beat.log").read_text(), 60)
        give(broker)
        wait_for(lambda: live_invoice(acme).total == 2 and due.stale_invoices(1) == [], 60)
        assert {name: one.poll() for name, one in installation.processes.items()} == {"worker": None, "beat": None}
    finally:
        for name in ("worker", "beat"):
            installation.kill(name)
