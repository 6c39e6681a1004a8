"""Four writers on one hot customer that send the same ids in different order: whatever they do, no deadlock."""

import random
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db import connection

from meters.decoding import EventIn
from meters.events import record_events
from meters.ids import uuid7
from tests.benchmarks.dataset import METER, SYSTEMS

WRITERS = 4
EVENTS = 40_000
BATCH = 500


def measure() -> tuple[int, int, int, float]:
    """Events sent by all together, those accepted, deadlocks, and seconds. Each writer has a process's own way to the
    database: a transaction around each batch keeps them from sharing a commit."""
    now = datetime.now(UTC)
    chance = random.Random(4)
    events = [
        EventIn(
            id=uuid7(),
            customer="bench-hot",
            meter=METER,
            value=Decimal(chance.randrange(1000)),
            time=now - timedelta(seconds=chance.randrange(3600)),
            dimensions={"source": chance.choice(SYSTEMS)},
        )
        for _ in range(EVENTS)
    ]
    deadlocks = _deadlocks()
    accepted: list[int] = []
    raised: list[Exception] = []

    def write(number: int) -> None:
        from django.db import transaction

        mine = random.Random(number).sample(events, len(events))
        try:
            for first in range(0, len(mine), BATCH):
                with transaction.atomic():
                    recorded = record_events(mine[first : first + BATCH])
                accepted.append(recorded.accepted)
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=[number]) for number in range(WRITERS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    if raised:
        raise raised[0]
    if sum(accepted) != EVENTS:
        raise RuntimeError(f"{sum(accepted):,} of {EVENTS:,} ids were counted")
    return WRITERS * EVENTS, sum(accepted), _deadlocks() - deadlocks, took


def _deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
