"""The beat keeps its pace whatever is done to the time of day. Celery's own waits until a clock that was put back is
again where it had been, and for so long no bill would be closed."""

import socket
import time
from typing import Any

from celery.beat import PersistentScheduler, ScheduleEntry
from django.db import DatabaseError, connection

# How often an entry is looked at anew, however far ahead its next time is: a clock may be put forward, too.
LONGEST = 60.0


class SteadyScheduler(PersistentScheduler):
    """Counts the seconds between two ticks by a clock that nobody puts forward or back."""

    _signs_at = 0.0

    def setup_schedule(self) -> None:
        super().setup_schedule()
        for entry in self.schedule.values():
            _have_run(entry)

    def tick(self, *arguments: Any, **named: Any) -> Any:
        self._sign_of_life()
        return super().tick(*arguments, **named)

    def _sign_of_life(self) -> None:
        """Tells the database now and then that the beat is there; what it sends goes out without the database, too."""
        if time.monotonic() < self._signs_at:
            return
        from meters import heartbeats
        from meters.models import Heartbeat

        self._signs_at = time.monotonic() + heartbeats.EVERY.total_seconds()
        try:
            heartbeats.note(Heartbeat.Kind.BEAT, socket.gethostname())
        except DatabaseError:
            # It was lost with the database, and is made anew.
            connection.close()

    def is_due(self, entry: ScheduleEntry) -> Any:
        _have_run(entry)
        return super().is_due(entry)

    def _when(self, entry: ScheduleEntry, next_time_to_run: float | None, mktime: Any = None) -> float:
        return time.monotonic() + min(next_time_to_run or 0.0, LONGEST)


def _have_run(entry: ScheduleEntry) -> None:
    """What ran last at a time that is yet to come, by a clock that has been put back since, ran last now."""
    now = entry.default_now()
    entry.last_run_at = min(entry.last_run_at or now, now)
