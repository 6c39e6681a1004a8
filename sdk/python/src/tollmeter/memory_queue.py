"""Facts that wait in memory until they are sent."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Literal

from tollmeter.errors import Closed, QueueFull, SpoolFailed

WhenFull = Literal["block", "drop_oldest", "raise"]


class MemoryQueue:
    """A bounded queue: many put, one takes batches. What was taken stays `queued` until it is settled.

    `changed` guards it, and whatever else belongs to a client: with this one lock held, a process can be forked.
    """

    # Whether facts outlive the process.
    lasts = False
    # What went wrong where nobody could be told, as it may with a file.
    failure: SpoolFailed | None = None

    def __init__(
        self, *, size: int, when_full: WhenFull, batch_size: int, batch_bytes: int, batch_seconds: float
    ) -> None:
        self.size, self.when_full = size, when_full
        self.batch_size, self.batch_bytes, self.batch_seconds = batch_size, batch_bytes, batch_seconds
        self.closing = False
        self._flushing = 0
        self.after_fork()

    def after_fork(self) -> None:
        """Begins anew in a process that was just forked: what waited is its parent's, which sends it."""
        # What `changed` waits with; alone it is faster to take.
        self._lock = threading.RLock()
        self.changed = threading.Condition(self._lock)
        self._facts: deque[bytes] = deque()
        self._in_flight: list[bytes] = []
        # Facts have numbers: those put so far, those that left the queue, and those that were taken before the batch.
        self._put = self._left = self._before_flight = 0
        self._flushing = 0
        # For want of room.
        self.dropped = 0

    def put(self, fact: bytes) -> None:
        with self._lock:
            if self.closing:
                raise Closed("This client is closed.")
            if len(self._facts) >= self.size:
                self._make_room()
            self._facts.append(fact)
            self._put += 1
            # Whoever takes waits for the first one, and then for a whole batch.
            if len(self._facts) in (1, self.batch_size):
                self.changed.notify_all()

    def _make_room(self) -> None:
        if self.when_full == "raise":
            raise QueueFull(f"{self.size:,} facts wait already.")
        if self.when_full == "drop_oldest":
            self._facts.popleft()
            self._left += 1
            self.dropped += 1
            return
        while len(self._facts) >= self.size:
            self.changed.wait()
            if self.closing:
                raise Closed("This client is closed.")

    def is_full(self) -> bool:
        return len(self._facts) >= self.size

    def take(self) -> list[bytes] | None:
        """The next batch, as soon as it is full or its first fact has waited for `batch_seconds`; None: closed, and
        nothing is left."""
        with self.changed:
            while not self._facts:
                if self.closing:
                    return None
                self.changed.wait()
            end = time.monotonic() + self.batch_seconds
            while len(self._facts) < self.batch_size and not self.closing and not self._flushing:
                left = end - time.monotonic()
                if left <= 0:
                    break
                self.changed.wait(left)
            self._before_flight = self._left
            self._in_flight = self._pop_batch()
            self.changed.notify_all()
            return self._in_flight

    def _pop_batch(self) -> list[bytes]:
        batch: list[bytes] = []
        room = self.batch_bytes
        while self._facts and len(batch) < self.batch_size:
            room -= len(self._facts[0]) + 1
            if room < 0 and batch:
                break
            batch.append(self._facts.popleft())
            self._left += 1
        return batch

    def settle(self) -> None:
        """What was taken is done with: answered, or given up."""
        with self.changed:
            self._in_flight = []
            self.changed.notify_all()

    def set_aside(self, facts: list[tuple[bytes, str]]) -> None:
        """Facts that the server refused, and why. Memory keeps them for nobody."""

    def keep(self) -> None:
        """Says that whoever takes is still at work."""

    def queued(self) -> int:
        return len(self._facts) + len(self._in_flight)

    def wait_settled(self, seconds: float | None) -> bool:
        """Waits until all that was put before is settled, and makes whoever takes hurry; whether it is."""
        with self.changed:
            mark = self._put
            self._flushing += 1
            self.changed.notify_all()
            try:
                return self.changed.wait_for(lambda: self.settled() >= mark, seconds)
            finally:
                self._flushing -= 1

    def settled(self) -> int:
        """How many of all that were put are settled, in their order."""
        return self._before_flight if self._in_flight else self._left

    def close(self) -> None:
        """Takes nothing more in; what waits can still be taken."""
        with self.changed:
            self.closing = True
            self.changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Waits, but not once the client closes meanwhile."""
        with self.changed:
            if not self.closing:
                self.changed.wait_for(lambda: self.closing, seconds)
                return
        time.sleep(seconds)

    def release(self) -> None:
        """Nothing to let go of."""

    def give_up(self) -> int:
        """Drops what is left; how many that was."""
        with self.changed:
            left = len(self._facts) + len(self._in_flight)
            self._left = self._put
            self._facts.clear()
            self._in_flight = []
            self.changed.notify_all()
            return left
