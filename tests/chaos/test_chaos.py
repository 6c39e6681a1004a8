"""A short round of `make chaos`, on the servers of the session: each kind of part is killed, and one held still."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from django.conf import settings

from tests import servers
from tests.chaos.checks import Figures, all_breaches
from tests.chaos.disturbing import Disturber
from tests.chaos.installation import Installation
from tests.chaos.outside import Outside, outside
from tests.chaos.rounds import final_invoices, settle
from tests.chaos.scene import DAYS, Scene, make_scene
from tests.chaos.senders import Memory, Sender
from tests.killing import database_url

pytestmark = pytest.mark.django_db(transaction=True)

CUSTOMERS, SENDERS = 6, 3
SECONDS = 120


@pytest.fixture
def others() -> Iterator[Outside]:
    with outside() as found:
        yield found


@pytest.fixture
def scene(transactional_db: None, others: Outside) -> Scene:
    return make_scene(CUSTOMERS, others.receiver.url, datetime.now(UTC))


@pytest.fixture
def installation(scene: Scene, others: Outside, tmp_path: Path) -> Iterator[Installation]:
    redis.Redis.from_url(settings.REDIS_URL).flushall()
    environment = others.environment | {"DATABASE_URL": database_url(), "LOG_LEVEL": "ERROR"}
    with Installation(tmp_path, servers.postgres(), servers.valkey(), environment, webs=2, workers=2) as running:
        yield running


def test_everything_once_whatever_dies(installation: Installation, scene: Scene, others: Outside) -> None:
    memory = Memory()
    senders = [Sender(f"sender-{n}", f"short/{n}", scene, installation, memory) for n in range(SENDERS)]
    for sender in senders:
        sender.start()
    disturber = Disturber("short", installation, 0)
    disturber.away = (0.0, 0.1)
    answered(memory, 30)
    installation.webs[0].kill()
    installation.workers[0].kill()
    answered(memory, 30)  # by the other one
    installation.webs[0].start()
    installation.workers[0].start()
    disturber.kill_database()
    disturber.kill_broker()
    disturber.flush_broker()
    answered(memory, 30)
    disturber.kill_backend()
    disturber.kill_part(installation.beat)
    disturber.kill_part(installation.workers[1])
    disturber.hold(disturber.database_pids, seconds=0.5)
    installation.put_forward(disturber.clock_step * 6)
    answered(memory, 30)
    for sender in senders:
        sender.stop.set()
        sender.patience_ends = time.monotonic() + SECONDS
    for sender in senders:
        sender.join(SECONDS)
    assert settle(installation, SECONDS) == []
    figures = Figures()
    assert all_breaches(memory, others, figures, installation.now()) == []
    # It was what it was meant to be.
    assert memory.outcomes["answered while a web server was down"]
    assert memory.outcomes["no answer"] + memory.outcomes["503"]
    assert final_invoices() >= CUSTOMERS * (DAYS - 1)
    assert figures.webhooks > figures.finals == figures.mails


def answered(memory: Memory, more: int) -> None:
    """Waits until so many more events have been answered."""
    wanted, end = len(memory.answered) + more, time.monotonic() + SECONDS
    while len(memory.answered) < wanted:
        assert time.monotonic() < end, (memory.outcomes, memory.faults)
        time.sleep(0.02)
