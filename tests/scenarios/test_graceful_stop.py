"""Asked to end by SIGTERM, each process finishes what it is at, as it is started in production."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psycopg
import pytest
from django.conf import settings

from config import healthy
from config.services import BASE_DIR
from invoices.tasks.signs import sign_of_life
from meters.keys import create_api_key
from meters.models import Customer, Event, Heartbeat
from tests.factories import make_customer, make_meter
from tests.killing import database_url, wait_for_waiting
from tests.scenarios.live import wait_for

NAMES = ("web", "worker", "beat")


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


@pytest.fixture
def processes(transactional_db: None, port: int, tmp_path: Path) -> Iterator[dict[str, "subprocess.Popen[bytes]"]]:
    variables = {
        "DATABASE_URL": database_url(),
        "PORT": str(port),
        "WEB_PROCESSES": "1",
        "WORKER_PROCESSES": "1",
        "TOLLMETER_DATA": str(tmp_path),
        "STATIC_DIR": str(settings.STATIC_ROOT),
    }
    started = {}
    with (tmp_path / "log").open("ab") as log:
        for name in NAMES:
            started[name] = subprocess.Popen(
                [sys.executable, "-m", "config.start", name],
                cwd=BASE_DIR,
                env=os.environ | variables,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    yield started
    for process in started.values():
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Who writes there has to wait."""
    with psycopg.connect(database_url()) as holder:
        holder.execute(f"LOCK TABLE {table} IN EXCLUSIVE MODE")
        yield
        holder.rollback()


def test_each_process_finishes_what_it_is_at(
    processes: dict[str, "subprocess.Popen[bytes]"], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url())
    monkeypatch.setenv("PORT", str(port))
    make_meter()
    make_customer(time_zone="UTC")
    _, key = create_api_key(name="test", scopes=["ingest"])
    for name in NAMES:
        wait_for(lambda name=name: not healthy.main(name), 60)
    web, worker, beat = (processes[name] for name in NAMES)

    # The beat has nothing that it could lose.
    beat.terminate()
    assert beat.wait(10) == 0

    # A request that is being answered gets its answer, and no new one is taken.
    answers: list[httpx.Response] = []
    event = {"customer": "acme", "meter": "ApiCalls", "value": 1, "id": "the last one"}

    def send() -> None:
        headers = {"X-API-KEY": key}
        answers.append(httpx.post(f"http://127.0.0.1:{port}/v1/events", json=event, headers=headers, timeout=30))

    sender = threading.Thread(target=send)
    with locked("meters_eventkey"):
        sender.start()
        wait_for_waiting(1)
        web.terminate()
        wait_for(lambda: not _is_open(port), 10)
        assert web.poll() is None
    sender.join(30)
    assert [answer.status_code for answer in answers] == [200]
    assert answers[0].json()["accepted"] == 1
    assert web.wait(15) == 0
    assert Event.objects.filter(customer=Customer.objects.get()).count() == 1

    # A task that a worker is at is done to its end.
    before = Heartbeat.objects.get(kind=Heartbeat.Kind.WORKER)
    with locked("meters_heartbeat"):
        sign_of_life.delay()
        wait_for_waiting(1)
        worker.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(1)
    assert worker.wait(15) == 0
    assert Heartbeat.objects.get(kind=Heartbeat.Kind.WORKER).seen_at > before.seen_at

    monkeypatch.setattr(healthy, "SILENT_SECONDS", 0)
    assert "refused" in healthy.main("web")
    assert "seconds ago" in healthy.main("worker")


def _is_open(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False
