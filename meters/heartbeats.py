"""Signs of life of the processes that nobody asks, in rows: they can be read when the broker is gone, too.

The beat writes its own, from where it sends its messages. A worker's is written by a task, so it says that the whole
way from the beat through the broker to the worker is open, and that the worker has a process to spare.
"""

from datetime import timedelta

from django.db import connection

from meters import heartbeats_sql
from meters.models import Heartbeat

# How often there is one.
EVERY = timedelta(seconds=10)
# Who was silent for so long is gone for good, and was replaced under another name.
FORGOTTEN = timedelta(days=1)


def note(kind: Heartbeat.Kind, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            heartbeats_sql.NOTE, {"kind": kind.value, "name": name[:200], "forgotten": FORGOTTEN.total_seconds()}
        )


def heard_of(kind: Heartbeat.Kind) -> list[tuple[str, timedelta]]:
    """Names and how long ago each was last seen, the latest first."""
    with connection.cursor() as cursor:
        cursor.execute(heartbeats_sql.HEARD_OF, {"kind": kind.value})
        return [(name, ago) for name, ago in cursor.fetchall()]
