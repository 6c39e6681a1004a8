"""Since when events are here: those of months that are retired are in an archive.

Of such a month the keys stay for ever, and so do the buckets and the different values. What is made of single events
cannot be read of it: whoever tries gets EventsRetired, and no figure that lacks something.
"""

import time
from datetime import UTC, datetime

from django.db.models import Max

from meters.models import RetiredMonth
from meters.periods import next_month

# How long, in nanoseconds, a process goes on with what it knew. A month is closed for longer before its events go.
LIVE = 10**9
LONG_AGO = -(2**62)

_before: datetime | None = None
_read_at = LONG_AGO


class EventsRetired(Exception):
    """Single events from before `before` are needed, and are not here any more."""

    def __init__(self, before: datetime) -> None:
        super().__init__(
            f"Events before {before:%Y-%m-%d} (UTC) are retired: they are kept in an archive. What is made of single "
            "events cannot be told of that time."
        )
        self.before = before


def retired_before() -> datetime | None:
    """Events that were before this instant are retired; None: none are."""
    global _before, _read_at
    now = time.monotonic_ns()
    if now - _read_at > LIVE:
        last = RetiredMonth.objects.aggregate(last=Max("month"))["last"]
        _before = None if last is None else datetime.combine(next_month(last), datetime.min.time(), UTC)
        _read_at = now
    return _before


def forget() -> None:
    """Lets the process ask again."""
    global _read_at
    _read_at = LONG_AGO
