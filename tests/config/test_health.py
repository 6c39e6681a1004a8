"""The health check against servers that answer, that are gone and that hang."""

import signal
import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from config import servers as embedded
from tests import servers

pytestmark = pytest.mark.django_db(transaction=True)


def test_healthy(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "database": "ok", "broker": "ok"})
    assert "no-store" in answer["Cache-Control"]
    assert client.head("/healthz").status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_only_reading_is_allowed(method: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert getattr(strict, method)("/healthz").status_code == 405


@pytest.fixture
def hanging() -> Iterator[list[embedded.Server]]:
    """Servers put in here are stopped in their tracks: they accept a connection and never answer."""
    stopped: list[embedded.Server] = []
    yield stopped
    for server in stopped:
        assert server.process
        server.process.send_signal(signal.SIGCONT)


def test_no_broker(client: Client) -> None:
    valkey = servers.valkey()
    valkey.stop()
    try:
        answer = client.get("/healthz")
    finally:
        valkey.start()
    assert (answer.status_code, answer.json()) == (503, {"status": "failed", "database": "ok", "broker": "failed"})
    assert client.get("/healthz").status_code == 200


def test_no_database(client: Client) -> None:
    postgres = servers.postgres()
    connection.close()
    postgres.stop()
    try:
        answer = client.get("/healthz")
    finally:
        postgres.start()
    assert (answer.status_code, answer.json()) == (503, {"status": "failed", "database": "failed", "broker": "ok"})
    assert client.get("/healthz").status_code == 200


def test_servers_that_hang_are_not_waited_for(client: Client, hanging: list[embedded.Server]) -> None:
    for server in (servers.valkey(), servers.postgres()):
        assert server.process
        server.process.send_signal(signal.SIGSTOP)
        hanging.append(server)
    began = time.monotonic()
    answer = client.get("/healthz")
    assert time.monotonic() - began < 4
    assert (answer.status_code, answer.json()) == (503, {"status": "failed", "database": "failed", "broker": "failed"})


def test_the_answer_holds_no_secret(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CELERY_BROKER_URL", "redis://:hidden@127.0.0.1:1/0")
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert b"hidden" not in answer.content
    assert b"127.0.0.1" not in answer.content
