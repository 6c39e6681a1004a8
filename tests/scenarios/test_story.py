"""The story over real HTTP with a running worker: from the meter to the bill."""

import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from django.db import connection

from invoices import services
from invoices.models import Invoice
from meters.keys import create_api_key
from meters.models import Event
from tests import servers
from tests.factories import STORY_RATE, make_meter, make_plan
from tests.scenarios.live import Live, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(live: Live) -> Iterator[httpx.Client]:
    _, key = create_api_key(name="AwesomeIntegrationApi", scopes=["ingest", "read", "write"])
    with httpx.Client(base_url=live.url, headers={"X-API-KEY": key}, timeout=15) as made:
        yield made


def jobs(values: list[int], prefix: str = "job") -> list[dict[str, Any]]:
    now = datetime.now(UTC).isoformat()
    return [
        {"id": f"{prefix}-{number}", "customer": "acme", "meter": "ApiCalls", "time": now, "value": str(value)}
        for number, value in enumerate(values)
    ]


def bill(client: httpx.Client, customer: str = "acme") -> dict[str, Any]:
    """The running invoice; empty where there is none yet."""
    found = client.get("/v1/invoices", params={"customer": customer, "status": "open"})
    return found.json()["data"][0] if found.status_code == 200 and found.json()["data"] else {}


def calls_and_total(client: httpx.Client) -> tuple[str, str] | None:
    invoice = bill(client)
    return (invoice["lines"][0]["quantity"], invoice["total"]) if invoice else None


def test_the_story(client: httpx.Client) -> None:
    # 1. A meter that is used for billing has a product item by itself.
    meter = {"key": "ApiCalls", "unit": "calls", "dimensions": ["source", "target"], "used_for_billing": True}
    assert client.post("/v1/meters", json=meter).status_code == 201
    # 3. The plan.
    make_plan("AwesomeIntegrationApi", {_meter(): STORY_RATE}, is_default=True)
    # 4. A customer signs up; its invoice for the running month exists.
    assert client.post("/v1/customers", json={"key": "acme", "name": "Acme"}).status_code == 201
    assert calls_and_total(client) == ("0", "0.00")

    # 2. and 5. Its usage counts, and the bill follows.
    first = jobs([1000] * 5)
    assert client.post("/v1/events", json=first).json()["accepted"] == 5
    wait_for(lambda: calls_and_total(client) == ("5000", "0.00"), 15)
    assert client.post("/v1/events", json=jobs([1], "one")).json()["accepted"] == 1
    wait_for(lambda: calls_and_total(client) == ("5001", "5.00"), 15)
    assert client.post("/v1/events", json=jobs([7299], "rest")).json()["accepted"] == 1
    wait_for(lambda: calls_and_total(client) == ("12300", "40.00"), 15)

    line = bill(client)["lines"][0]
    explanation = " ".join(line["explanation"])
    assert "5,000 of 5,000 free" in explanation
    assert "8 blocks x $5.00" in explanation
    assert [(step["kind"], step["amount"]) for step in line["steps"]] == [("included", "0"), ("blocks", "40")]

    # The same batch again changes nothing.
    assert client.post("/v1/events", json=first).json()["duplicate"] == 5
    usage = client.get("/v1/usage", params={"customer": "acme", "meter": "ApiCalls"}).json()
    assert usage["data"][0]["value"] == "12300"
    time.sleep(3)  # longer than a sweep
    assert calls_and_total(client) == ("12300", "40.00")

    # The next month starts at 0, and the last one becomes final as it is.
    month_end = Invoice.objects.get().period_end
    services.open_invoices(Invoice.objects.get().assignment, now=month_end)
    old, new = Invoice.objects.order_by("period_start")
    services.close(old.pk, now=month_end + timedelta(hours=24))
    old.refresh_from_db()
    assert (old.status, old.total) == (Invoice.Status.FINAL, 40)
    assert (new.period_start, new.total, new.lines.get().quantity) == (month_end, 0, 0)


def test_a_customer_is_discovered_by_its_first_event(client: httpx.Client) -> None:
    make_plan("AwesomeIntegrationApi", {make_meter(): STORY_RATE}, is_default=True)
    client.post("/v1/events", json=jobs([5001]))
    wait_for(lambda: calls_and_total(client) == ("5001", "5.00"), 15)


def test_the_invoice_follows_its_events_closely(client: httpx.Client, capsys: pytest.CaptureFixture[str]) -> None:
    make_plan("AwesomeIntegrationApi", {make_meter(): STORY_RATE}, is_default=True)
    client.post("/v1/customers", json={"key": "acme"})
    # The first one waits for the worker, which is still starting.
    client.post("/v1/events", json=jobs([1], "first"))
    wait_for(lambda: bill(client)["lines"][0]["quantity"] == "1", 60)
    delays = []
    for number in range(2, 22):
        client.post("/v1/events", json=jobs([1], f"n{number}"))
        answered = time.monotonic()
        wait_for(lambda count=str(number): bill(client)["lines"][0]["quantity"] == count, 15)
        delays.append(time.monotonic() - answered)
    with capsys.disabled():
        print(
            f"\n    the invoice followed the answer in {statistics.median(delays) * 1000:.0f} ms (median), "
            f"{max(delays) * 1000:.0f} ms (longest of {len(delays)})"
        )
    assert statistics.median(delays) < 10


def test_redis_gone_and_back_loses_nothing(client: httpx.Client) -> None:
    valkey = servers.valkey()
    make_plan("AwesomeIntegrationApi", {make_meter(): STORY_RATE}, is_default=True)
    client.post("/v1/customers", json={"key": "acme"})
    valkey.stop()
    try:
        assert client.get("/healthz").status_code == 503
        for number in range(3):
            answer = client.post("/v1/events", json=jobs([2000], f"gone{number}"))
            assert (answer.status_code, answer.json()["accepted"]) == (200, 1)
        # What was answered is counted, broker or not.
        usage = client.get("/v1/usage", params={"customer": "acme", "meter": "ApiCalls"}).json()
        assert usage["data"][0]["value"] == "6000"
    finally:
        valkey.start()
    wait_for(lambda: calls_and_total(client) == ("6000", "5.00"), 60)
    assert client.get("/healthz").status_code == 200


def test_a_killed_worker_loses_nothing(live: Live, client: httpx.Client) -> None:
    make_plan("AwesomeIntegrationApi", {make_meter(): STORY_RATE}, is_default=True)
    client.post("/v1/customers", json={"key": "acme"})
    live.kill("worker")
    client.post("/v1/events", json=jobs([6000]))
    live.start("worker")
    wait_for(lambda: calls_and_total(client) == ("6000", "5.00"), 60)


def test_a_killed_database_loses_no_answered_event(client: httpx.Client) -> None:
    postgres = servers.postgres()
    make_plan("AwesomeIntegrationApi", {make_meter(): STORY_RATE}, is_default=True)
    client.post("/v1/customers", json={"key": "acme"})
    connection.close()
    answered = 0
    for number in range(60):
        if number == 30:
            postgres.kill()
            assert client.post("/v1/events", json=jobs([1], "down")).status_code >= 500
            postgres.start()
        answer = client.post("/v1/events", json=jobs([1], f"n{number}"))
        if answer.status_code == 200:
            answered += answer.json()["accepted"]
    assert answered >= 59
    stored = Event.objects.exclude(sent_id="down-0").count()
    assert stored == answered
    wait_for(lambda: (calls_and_total(client) or ("", ""))[0] == str(Event.objects.count()), 60)


def _meter() -> Any:
    from meters.models import Meter

    return Meter.objects.get(key="ApiCalls")
