"""The client: `meter()` notes a fact and returns; a thread sends it (memory_queue.py or spool.py, then sender.py)."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import time as clock
from collections.abc import Mapping, Sequence
from datetime import datetime
from multiprocessing.util import Finalize
from types import TracebackType
from typing import Any

import httpx

from tollmeter import forks, reads
from tollmeter.counters import Counters
from tollmeter.errors import FactsDropped, Unreachable
from tollmeter.facts import Number, encode, new_id
from tollmeter.http import Server, answer_of
from tollmeter.memory_queue import MemoryQueue, WhenFull
from tollmeter.sender import OnError, Queue, Sender
from tollmeter.spool import Spool


class Tollmeter:
    """A connection to a Tollmeter server, for a whole process: make one and keep it.

    `api_key` and `base_url` are taken from TOLLMETER_API_KEY and TOLLMETER_URL where they are left out. With `spool`,
    the path of a file, facts survive the end of the process and wait there while the server is away.
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        *,
        spool: str | os.PathLike[str] | None = None,
        queue_size: int | None = None,
        when_full: WhenFull = "drop_oldest",
        batch_size: int = 500,
        batch_bytes: int = 1_000_000,
        batch_seconds: float = 1.0,
        retry_wait: float = 0.5,
        retry_wait_max: float = 60.0,
        timeout: float = 30.0,
        close_timeout: float = 5.0,
        on_error: OnError | None = None,
    ) -> None:
        if when_full not in ("block", "drop_oldest", "raise"):
            raise ValueError('when_full is "block", "drop_oldest" or "raise".')
        above_zero = {
            "queue_size": 1 if queue_size is None else queue_size,
            "batch_size": batch_size,
            "batch_bytes": batch_bytes,
            "retry_wait": retry_wait,
            "retry_wait_max": retry_wait_max,
            "timeout": timeout,
        }
        for name, number in above_zero.items():
            if not number > 0:
                raise ValueError(f"{name} is a number above zero.")
        self.server = Server(api_key, base_url, timeout)
        self.close_timeout = close_timeout
        batches: dict[str, Any] = {
            "when_full": when_full,
            "batch_size": batch_size,
            "batch_bytes": batch_bytes,
            "batch_seconds": batch_seconds,
        }
        self.queue: Queue
        if spool is None:
            self.queue = MemoryQueue(size=queue_size or 100_000, **batches)
        else:
            # Whoever waits for the next try, or for an answer, is still there.
            lease = 2 * (retry_wait_max + timeout)
            self.queue = Spool(spool, size=queue_size or 1_000_000, lease_seconds=lease, **batches)
        self.sender = Sender(
            self.queue,
            self.server.connect,
            retry_wait=retry_wait,
            retry_wait_max=retry_wait_max,
            on_error=on_error,
        )
        self._lost = 0
        self._reader: httpx.Client | None = None
        forks.remember(self)
        self._ends_with: int | None = None
        self._close_at_exit()
        if self.queue.lasts:
            # What an earlier process left in the file is sent now.
            self._start()

    def meter(
        self,
        customer: str,
        meter: str | None = None,
        value: Number = 1,
        *,
        values: Mapping[str, Number] | None = None,
        dimensions: Mapping[str, str] | None = None,
        time: datetime | None = None,
        id: str | None = None,
    ) -> str:
        """Notes that a customer used so much of a meter, and returns the fact's id at once.

        `values` in place of `meter` and `value` feeds several meters: `{"ApiCalls": 1, "Records": 52}`. The time is
        now, if it is left out. Give an `id` of your own where the same fact may be noted twice.
        """
        fact_id = id or new_id()
        self.put(
            encode(
                id=fact_id,
                customer=customer,
                meter=meter,
                value=value,
                values=values,
                time=time,
                dimensions=dimensions,
            )
        )
        return fact_id

    def put(self, fact: bytes) -> None:
        """Queues a fact that is JSON already, as `tollmeter.facts.encode()` makes it."""
        self.queue.put(fact)
        if self.sender.thread is None:
            self._start()

    def _start(self) -> None:
        self.sender.start()
        self._close_at_exit()

    def _close_at_exit(self) -> None:
        # Again in a process that was forked, as some kinds of them forget what is to be done at their end.
        if self._ends_with != os.getpid():
            self._ends_with = os.getpid()
            atexit.register(self._exit)
            if multiprocessing.parent_process() is not None:
                # Those end without what atexit knows, before Python 3.13.
                Finalize(None, self._exit, exitpriority=0)

    def _exit(self) -> None:
        self.close()

    @property
    def counters(self) -> Counters:
        counted = self.sender.counted
        return Counters(
            sent=counted.sent,
            duplicate=counted.duplicate,
            rejected=counted.rejected,
            dropped=self.queue.dropped + self._lost,
            queued=self.queue.queued(),
        )

    def flush(self, timeout: float | None = None) -> bool:
        """Sends what waits, and returns when it is answered; False: `timeout` seconds were not enough."""
        if self.queue.queued():
            self._start()
        return self.queue.wait_settled(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Sends what waits and ends; False: facts are left. Those in a spool are sent when it is next opened, those in
        memory are lost after `timeout` seconds (`close_timeout`, if it is left out). Happens by itself at exit."""
        atexit.unregister(self._exit)
        self.sender.deadline = clock.monotonic() + (self.close_timeout if timeout is None else timeout)
        self.queue.close()
        thread = self.sender.thread
        if thread is None:
            self.sender.run()
        else:
            thread.join(max(0.0, self.sender.deadline - clock.monotonic()))
        lost = self.queue.give_up()
        if lost:
            self._lost += lost
            self.sender.tell(FactsDropped(lost, "The client was closed before they could be sent."))
        waiting = self.queue.queued()
        self.queue.release()
        if self._reader is not None:
            self._reader.close()
        return not lost and not waiting

    def after_fork(self) -> None:
        """For tollmeter.forks: the child begins with nothing."""
        self.queue.after_fork()
        self.sender.after_fork()
        self._lost = 0
        self._reader = None

    def __enter__(self) -> Tollmeter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def usage(
        self,
        meter: str,
        *,
        customer: str | Sequence[str] | None = None,
        period: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        window: str | None = None,
        group_by: Sequence[str] = (),
        filter: Mapping[str, str | Sequence[str]] | None = None,
        top: int | None = None,
        time_zone: str | None = None,
    ) -> reads.Usage:
        """How much of a meter was used; without a period or a start, this month. Raises Problem or Unreachable."""
        asked = reads.usage_parameters(meter, customer, period, start, end, window, group_by, filter, top, time_zone)
        return reads.usage_of(self.request("GET", "/v1/usage", params=asked))

    def current_invoice(self, customer: str | None = None) -> reads.Invoice | None:
        """The invoice that is running, an estimate until its period is over; None: there is none."""
        asked = reads.current_invoice_parameters(customer)
        return reads.first_invoice_of(self.request("GET", "/v1/invoices", params=asked))

    def portal_session(
        self,
        customer: str,
        *,
        return_url: str | None = None,
        page: str | None = None,
        invoice: str | None = None,
        expires_in: int | None = None,
        role: str | None = None,
        member: str | None = None,
    ) -> reads.PortalSession:
        """A link that opens the portal for the customer, once: make it when it is asked for, and redirect there.

        `page` is overview, usage, invoices, plan or alerts, `invoice` the number of one to begin with. `expires_in` is
        how long the session lasts, in seconds. `role` is read_only, unless you vouch for more (billing, owner);
        `member` is what you call the person, for logs. Raises Problem or Unreachable.
        """
        body = reads.portal_session_body(return_url, page, invoice, expires_in, role, member)
        return reads.portal_session_of(self.request("POST", reads.portal_session_path(customer), json=body))

    def request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """Any call of the API that answers with JSON. Raises Problem or Unreachable."""
        if self._reader is None:
            self._reader = self.server.connect()
        try:
            response = self._reader.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        return answer_of(response)
