"""Sends what waits in a queue: batch by batch, each until it is answered."""

from __future__ import annotations

import gzip
import logging
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any, Union

import httpx

from tollmeter.counters import Counters
from tollmeter.errors import FactRejected, FactsDropped, Problem, SpoolFailed, TollmeterError, Unreachable, problem_of
from tollmeter.memory_queue import MemoryQueue
from tollmeter.spool import Spool

Queue = Union[MemoryQueue, Spool]
OnError = Callable[[TollmeterError], Any]
Connect = Callable[[], httpx.Client]

# Smaller bodies are in one packet anyway.
PACKED_FROM = 1_000
# However long a server asks to be left alone.
LONGEST_RETRY_AFTER = 3600.0

logger = logging.getLogger("tollmeter")


class Sender:
    """A thread that takes batches from a queue and posts them."""

    def __init__(
        self, queue: Queue, connect: Connect, *, retry_wait: float, retry_wait_max: float, on_error: OnError | None
    ) -> None:
        self._queue, self._connect, self._on_error = queue, connect, on_error
        self._retry_wait, self._retry_wait_max = retry_wait, retry_wait_max
        self.after_fork()

    def after_fork(self) -> None:
        # The parent's connections are not to be used here.
        self._http: httpx.Client | None = None
        self.thread: threading.Thread | None = None
        self.counted = Counters()
        self._told_of = 0
        # When to stop trying, once the client closes.
        self.deadline: float | None = None

    def start(self) -> None:
        with self._queue.changed:
            if self.thread is None:
                thread = threading.Thread(target=self.run, name="tollmeter", daemon=True)
                # Not while the interpreter ends: what waits is sent by whoever closes the client.
                with suppress(RuntimeError):
                    thread.start()
                    self.thread = thread

    def run(self) -> None:
        """Sends until the queue is closed and empty, or the deadline is over."""
        while not self._is_late():
            try:
                batch = self._queue.take()
                if batch is None:
                    break
                if not self._deliver(batch):
                    break
                self._queue.settle()
            except SpoolFailed as error:
                self.tell(error)
                self._pause(self._retry_wait)
            self._tell_of_queue()
        if self._http is not None:
            self._http.close()

    def _deliver(self, batch: list[bytes]) -> bool:
        """Posts the batch until it is answered for good; False: the client closed before it was."""
        tries = 0
        while not (tries and self._is_late()):
            error: Problem | Unreachable
            asked_to_wait = 0.0
            try:
                response = self._post(batch)
                outcomes = _read_outcomes(response, len(batch))
                read = problem_of(response) if outcomes is None else outcomes
                asked_to_wait = _retry_after(response)
            except Exception as failure:
                # Whatever it is, the facts must not be lost for it, nor this thread end.
                error = Unreachable(f"{type(failure).__name__}: {failure}")
            else:
                if isinstance(read, list):
                    self._count(batch, read)
                    return True
                if response.status_code == 413 and len(batch) > 1:
                    # The server takes less at a time than most do.
                    half = len(batch) // 2
                    return self._deliver(batch[:half]) and self._deliver(batch[half:])
                error = read
                if not _is_worth_another_try(response):
                    self._refused(batch, error)
                    return True
            tries += 1
            wait = max(asked_to_wait, self._backoff(tries))
            error.retry_in = wait
            self.tell(error)
            self._tell_of_queue()
            self._pause(wait)
            self._queue.keep()
        return False

    def _post(self, batch: list[bytes]) -> httpx.Response:
        if self._http is None:
            self._http = self._connect()
        body = b"[" + b",".join(batch) + b"]"
        headers = {"Content-Type": "application/json"}
        if len(body) >= PACKED_FROM:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        return self._http.post("/v1/events", content=body, headers=headers)

    def _count(self, batch: list[bytes], outcomes: list[dict[str, Any]]) -> None:
        duplicates: set[int] = set()
        rejected: dict[int, dict[str, Any]] = {}
        for outcome in outcomes:
            # A fact of several meters has an outcome for each.
            if outcome["outcome"] == "duplicate":
                duplicates.add(outcome["index"])
            else:
                rejected.setdefault(outcome["index"], outcome)
        with self._queue.changed:
            self.counted.rejected += len(rejected)
            self.counted.duplicate += len(duplicates - rejected.keys())
            self.counted.sent += len(batch) - len(duplicates | rejected.keys())
        errors = [FactRejected(batch[index], outcome) for index, outcome in rejected.items()]
        self._set_aside([(error.fact, str(error)) for error in errors if error.outcome == "rejected"])
        for error in errors:
            self.tell(error)

    def _refused(self, batch: list[bytes], problem: Problem) -> None:
        with self._queue.changed:
            self.counted.rejected += len(batch)
        self._set_aside([(fact, str(problem)) for fact in batch])
        self.tell(problem)

    def _set_aside(self, facts: list[tuple[bytes, str]]) -> None:
        try:
            self._queue.set_aside(facts)
        except SpoolFailed as error:
            self.tell(error)

    def _backoff(self, tries: int) -> float:
        """Longer after each try, and never in step with other clients."""
        longest = min(self._retry_wait * 2.0 ** min(tries - 1, 30), self._retry_wait_max)
        return longest * random.uniform(0.5, 1.0)

    def _pause(self, seconds: float) -> None:
        if self.deadline is not None:
            seconds = max(0.0, min(seconds, self.deadline - time.monotonic()))
        self._queue.pause(seconds)

    def _is_late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def _tell_of_queue(self) -> None:
        """What befell the queue where it could tell nobody."""
        if self._queue.failure is not None:
            with self._queue.changed:
                failure, self._queue.failure = self._queue.failure, None
            self.tell(failure)
        dropped = self._queue.dropped - self._told_of
        if dropped:
            self._told_of += dropped
            self.tell(FactsDropped(dropped, "The queue was full."))

    def tell(self, error: TollmeterError) -> None:
        if self._on_error is None:
            retry_in = getattr(error, "retry_in", None)
            logger.warning("%s%s", error, "" if retry_in is None else f" (next try in {retry_in:.1f} s)")
            return
        try:
            self._on_error(error)
        except Exception:
            logger.exception("on_error failed")


def _is_worth_another_try(response: httpx.Response) -> bool:
    # A success that cannot be read, and a redirect, are of something in between: the facts may have come in, or not.
    # No redirect is followed, as the key would go along; the facts wait until somebody has put the address right.
    return response.status_code < 400 or response.status_code == 429 or response.status_code >= 500


def _read_outcomes(response: httpx.Response, facts: int) -> list[dict[str, Any]] | None:
    """What became of the facts that were not accepted; None: this is no answer that says so."""
    if response.status_code not in (200, 422):
        return None
    try:
        outcomes = response.json()["outcomes"]
        for outcome in outcomes:
            if type(outcome["index"]) is not int or not 0 <= outcome["index"] < facts:
                return None
            if outcome["outcome"] not in ("duplicate", "conflict", "rejected"):
                return None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return outcomes if isinstance(outcomes, list) else None


def _retry_after(response: httpx.Response) -> float:
    """Seconds (or a date) that the server asks to be left alone for."""
    text = response.headers.get("Retry-After", "")
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return 0.0
    # Not a number is no wait.
    return min(seconds, LONGEST_RETRY_AFTER) if seconds > 0 else 0.0
