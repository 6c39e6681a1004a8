"""PostgreSQL killed in the middle of ingest: every answered event is there once, and usage equals a recount."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import InterfaceError, OperationalError, connection

from meters.decoding import EventIn
from meters.events import Recorded, record_events
from meters.models import Event, EventKey
from tests import servers
from tests.factories import event, make_customer, make_meter
from tests.meters.rollups import assert_rollups_equal_events

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC).replace(microsecond=0)


class Sender(threading.Thread):
    """Sends batches, and each again until it is answered, as a careful client does."""

    def __init__(self, number: int, stop: threading.Event) -> None:
        super().__init__()
        self.number, self.stop = number, stop
        self.answered: list[tuple[list[EventIn], Recorded]] = []
        self.failures = 0

    def run(self) -> None:
        batch = 0
        while not self.stop.is_set() or not self.answered:
            events = [
                event(
                    f"customer-{(batch + n) % 5}",
                    "Users" if n % 3 else "ApiCalls",
                    n,
                    id=f"{self.number}-{batch}-{n}",
                    time=NOW - timedelta(minutes=n * 7),
                    user=str(n % 4),
                )
                for n in range(50)
            ]
            self.answered.append((events, self._send(events)))
            batch += 1
        connection.close()

    def _send(self, events: list[EventIn]) -> Recorded:
        while True:
            try:
                return record_events(events, now=NOW)
            except (OperationalError, InterfaceError):
                self.failures += 1
                connection.close()
                time.sleep(0.05)


def test_killed_in_the_middle_of_ingest() -> None:
    postgres = servers.postgres()
    make_meter()
    make_meter("Users", aggregation="unique_count", unique_dimension="user")
    for number in range(5):
        make_customer(f"customer-{number}")
    connection.close()
    stop = threading.Event()
    senders = [Sender(number, stop) for number in range(4)]
    for sender in senders:
        sender.start()
    for _ in range(3):
        time.sleep(0.4)
        postgres.kill()
        postgres.start()
    time.sleep(0.4)
    stop.set()
    for sender in senders:
        sender.join()

    assert sum(sender.failures for sender in senders) > 0  # it was in the middle
    sent = {e.id for sender in senders for events, _ in sender.answered for e in events}
    stored = list(Event.objects.values_list("sent_id", flat=True))
    assert len(stored) == len(set(stored))
    assert set(stored) == sent
    assert EventKey.objects.count() == len(stored)
    for sender in senders:
        for events, recorded in sender.answered:
            # Committed without an answer, a batch is a duplicate when it comes again.
            assert recorded.accepted + recorded.duplicate == len(events)
    assert_rollups_equal_events()
