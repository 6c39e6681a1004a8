"""An installation that is watched: web server, worker and beat, their lines and their figures."""

import base64
import json
import os
import socket
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from django.conf import settings
from django.utils import timezone

from invoices.models import Mail, OutboxEvent, WebhookEndpoint
from meters.keys import create_api_key
from meters.models import Event
from tests.conftest import _database_url
from tests.factories import json_event, make_customer, make_meter
from tests.scenarios.live import Live, wait_for

SECRET = "s3cr3t0fAnna"
TOKEN = "token-of-prometheus"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def lines(folder: Path) -> list[dict[str, Any]]:
    """All that is logged: each line is an object, but for what Celery greets with."""
    found = []
    for file in folder.glob("*.log"):
        text = file.read_text()
        logged = text if file.name == "web.log" else text[text.find("\n{") + 1 :] if "\n{" in text else ""
        found += [json.loads(line) for line in logged.splitlines() if line.endswith("}")]
    return found


def unknown_task() -> str:
    """A message as Celery writes it, of a task that there is not."""
    body = base64.b64encode(json.dumps([[SECRET], {SECRET: SECRET}, {}]).encode()).decode()
    headers = {"lang": "py", "task": "nobody.knows_it", "id": str(uuid.uuid4()), "argsrepr": f"('{SECRET}',)"}
    properties = {
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "celery"},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": str(uuid.uuid4()),
    }
    kinds = {"content-encoding": "utf-8", "content-type": "application/json"}
    return json.dumps({"body": body, "headers": headers, "properties": properties, **kinds})


def send_secrets(client: httpx.Client, key: str) -> None:
    hidden = {
        "Cookie": f"sessionid={SECRET}; csrftoken={SECRET}",
        "Referer": f"https://x/{SECRET}",
        "User-Agent": SECRET,
        "X-Forwarded-For": SECRET,
        "X-Api-Key": SECRET,
    }
    good = {"Authorization": f"Bearer {key}"}
    event = json_event(id=SECRET, meter=SECRET, dimensions={SECRET: SECRET})
    for body in (f'{{"id": "{SECRET}', f'[{{"value": "{SECRET}"}}]', "9" * 5000, json.dumps([event] * 3)):
        client.post("/v1/events", content=body, headers=good | {"Content-Type": "application/json"})
        client.post(f"/v1/events?{SECRET}={SECRET}", content=body, headers=hidden)
    client.post("/v1/customers", json={"key": SECRET, "time_zone": SECRET}, headers=good)
    for _ in range(2):
        client.post("/v1/customers", json={"key": SECRET, "name": SECRET}, headers=good)
    client.post("/v1/customers", json={"key": f"{SECRET}\0"}, headers=good)
    client.get(f"/v1/usage?customer={SECRET}&from={SECRET}", headers=good)
    for path in (f"/v1/customers/{SECRET}", f"/sign-in/link/{SECRET}/", f"/enter/{SECRET}/", f"/{SECRET}?{SECRET}"):
        client.get(path, headers=hidden)
    client.post("/sign-in/", data={"username": SECRET, "password": SECRET}, headers=hidden)
    client.post("/sign-in/", files={SECRET: (SECRET, SECRET)})
    client.get("/sign-in/", headers={"Host": f"{SECRET}.example"})
    client.request(SECRET.upper(), "/")


@pytest.mark.django_db(transaction=True)
def test_every_line_is_an_object_and_tells_no_secret_and_figures_are_of_all_processes(tmp_path: Path) -> None:
    make_meter("ApiCalls", dimensions=[])
    make_customer("acme")
    _, key = create_api_key(name="test", scopes=["ingest", "read", "write"])
    now = timezone.now()
    Mail.objects.create(
        kind="x",
        about="x",
        recipient=f"{SECRET}@x.example",
        subject=SECRET,
        text=SECRET,
        next_try_at=now,
        created_at=now,
    )
    WebhookEndpoint.objects.create(url=f"https://127.0.0.1:1/{SECRET}", secret=f"whsec_{SECRET}", allow_private=True)
    OutboxEvent.objects.create(type="invoice.paid", about="x", data={SECRET: 1}, message_id=SECRET, created_at=now)
    broker = redis.Redis.from_url(settings.REDIS_URL)
    broker.flushall()
    running = Live(_database_url(), tmp_path)
    figures = f"127.0.0.1:{free_port()}"
    running.environment |= {
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
        "ACCESS_LOG": "true",
        "METRICS_TOKEN": TOKEN,
        "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "figures"),
        "METRICS_LISTEN": figures,
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": "1",
        "EMAIL_FROM": "a@b.example",
        "EMAIL_BACKEND": "",
    }
    with running:
        broker.lpush("celery", unknown_task())
        with httpx.Client(base_url=running.url) as client:
            send_secrets(client, key)
            sent = client.post(
                "/v1/events",
                json=json_event(id="one"),
                headers={"Authorization": f"Bearer {key}", "X-Request-ID": "from-a-proxy"},
            )
            assert (sent.json()["accepted"], sent.headers["X-Request-ID"]) == (1, "from-a-proxy")
            assert Event.objects.count() == 1
            swept = "invoices.tasks.bills.sweep"
            wait_for(
                lambda: any(
                    one.get("task") == swept and one.get("request_id") == "from-a-proxy" for one in lines(tmp_path)
                ),
                20,
            )
            wait_for(lambda: Mail.objects.get().attempts and not OutboxEvent.objects.filter(spread_at=None), 20)
            asked = [
                client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text,
                httpx.get(f"http://{figures}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text,
            ]
            assert client.get("/metrics").status_code == 404
    for text in asked:
        assert 'tollmeter_events_total{outcome="accepted"} 1.0' in text
        assert f'tollmeter_task_seconds_count{{outcome="success",task="{swept}"}}' in text
        assert SECRET not in text
    assert ["tollmeter_database_up 1.0" in text for text in asked] == [True, False]
    logged = lines(tmp_path)
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(one) for one in logged))
    of_request = [one for one in logged if one.get("request_id") == "from-a-proxy"]
    assert {one["logger"] for one in of_request} >= {"tollmeter.access", "tollmeter.tasks"}
    messages = "\n".join(one["message"] for one in logged)
    assert "a message was thrown away" in messages
    assert "task nobody.knows_it" in messages
    assert "was not sent: ConnectionRefusedError: Connection refused" in messages
    assert sum(one["logger"] == "tollmeter.access" for one in logged) > 15
    everything = "".join(file.read_text() for file in tmp_path.glob("*.log"))
    for secret in (SECRET, SECRET.upper(), key, key[8:], TOKEN, str(settings.SECRET_KEY), os.environ["DATABASE_URL"]):
        assert secret not in everything
