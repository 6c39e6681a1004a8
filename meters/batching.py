"""Batches that wait at the same time share a statement and its commit.

Whoever comes when nobody writes goes at once, so nothing lingers; whoever comes meanwhile waits, and the next writer
takes all that wait along (up to MAX_ROWS events, each key once). One writer at a time in each process: more would only
contend for the same cores. The answer still means committed.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from psycopg.errors import UniqueViolation

from meters import recording_sql
from meters.distribution import is_distributed
from meters.figures import BATCH_EVENTS
from meters.signals import usage_changed
from meters.statements import execute_prepared

# Of one statement; a larger batch goes alone.
MAX_ROWS = 5_000
# How long, in nanoseconds, a process goes on with the form of the statement that it had to fall back to.
WARY_FOR = 10 * 10**9
# For how long, in nanoseconds, a writer may leave what it has to announce to the writer after it.
ANNOUNCE_WITHIN = 50 * 10**6
LAST_FORM = len(recording_sql.RECORD_EVENTS) - 1

COLUMNS = ("customers", "meters", "keys", "contents", "times", "dimension_sets", "values")
# Most batches have none of these; a missing array reads as nulls.
OPTIONAL_COLUMNS = ("distinct_values", "sent_ids", "extras")


@dataclass(slots=True)
class Rows:
    """The events of a batch as columns, each the elements of an array literal; None where all elements are null.
    `keys` are their customers, meters and keys, all different."""

    columns: dict[str, str | None]
    keys: set[tuple[int, int, str]]
    customer_ids: set[int]
    received_at: datetime

    @property
    def count(self) -> int:
        return len(self.keys)


@dataclass(slots=True)
class _Waiting:
    rows: Rows
    # Held until the batch is written, or it is its turn to write. A bare lock, as the cheapest thing to wait for.
    turn: threading.Lock = field(default_factory=threading.Lock)
    leads: bool = False
    # The positions (from 0) of the events that are new; None: all of them.
    stored: set[int] | None = None
    error: BaseException | None = None


_lock = threading.Lock()
_queue: list[_Waiting] = []
_busy = False
_form = 0
_wary_until = 0
# Customers whose usage changed, which nobody was told yet.
_unannounced: set[int] = set()
_announced_at = 0


def store(rows: Rows) -> set[int] | None:
    """Stores the batch and answers the positions of the events that were new, None meaning all of them.

    A database error passes through, and then nothing of the batch is stored. Inside a transaction the batch goes
    alone, as its commit is the caller's.
    """
    if connection.in_atomic_block:
        (stored,) = _write([rows])
        if stored is None or stored:
            transaction.on_commit(lambda: _announce(rows.customer_ids), robust=True)
        return stored
    mine = _Waiting(rows)
    _queue_up(mine)
    if mine.leads:
        _lead(mine)
    if mine.error is not None:
        raise mine.error
    return mine.stored


def _queue_up(mine: _Waiting) -> None:
    global _busy
    mine.turn.acquire()
    with _lock:
        if _busy:
            _queue.append(mine)
        else:
            _busy = mine.leads = True
    if not mine.leads:
        mine.turn.acquire()


def _lead(mine: _Waiting) -> None:
    group = _take_along(mine)
    try:
        _write_group(group)
    except BaseException:
        for waiting in group:
            waiting.error = OperationalError("The writer of this batch was interrupted.")
        raise
    finally:
        to_announce = _hand_over(group)
        for waiting in group[1:]:
            waiting.turn.release()
        if to_announce:
            _announce(to_announce)


def _take_along(mine: _Waiting) -> list[_Waiting]:
    """The batch and those that wait behind it, up to the first that is too many or has a key of another."""
    group, keys = [mine], set(mine.rows.keys)
    with _lock:
        for waiting in _queue:
            if len(keys) + waiting.rows.count > MAX_ROWS or not keys.isdisjoint(waiting.rows.keys):
                break
            keys |= waiting.rows.keys
            group.append(waiting)
        del _queue[: len(group) - 1]
    return group


def _hand_over(group: Sequence[_Waiting]) -> set[int]:
    """Lets the next one write. Answers the customers to announce now: none where the next one will do it in time."""
    global _busy, _unannounced, _announced_at
    with _lock:
        for waiting in group:
            if waiting.error is None and (waiting.stored is None or waiting.stored):
                _unannounced |= waiting.rows.customer_ids
        if _queue:
            following = _queue.pop(0)
            following.leads = True
            following.turn.release()
        else:
            _busy = False
        now = time.monotonic_ns()
        if _busy and now < _announced_at + ANNOUNCE_WITHIN:
            return set()
        to_announce, _unannounced, _announced_at = _unannounced, set(), now
        return to_announce


def _write_group(group: Sequence[_Waiting]) -> None:
    try:
        for waiting, stored in zip(group, _write([waiting.rows for waiting in group]), strict=True):
            waiting.stored = stored
    except (OperationalError, InterfaceError) as error:
        # The database is gone or gave up: nobody knows better than the sender whether to try again.
        for waiting in group:
            waiting.error = error
    except Exception as error:
        if len(group) == 1:
            group[0].error = error
        else:
            # One batch's fault is not the others': each on its own.
            for waiting in group:
                _write_group([waiting])


def _write(batches: Sequence[Rows]) -> list[set[int] | None]:
    parameters: dict[str, object] = {name: _array(batches, name) for name in COLUMNS}
    for name in OPTIONAL_COLUMNS:
        used = any(rows.columns[name] is not None for rows in batches)
        parameters[name] = _array(batches, name) if used else None
    parameters["received_at"] = max(rows.received_at for rows in batches)
    parameters["count"] = sent = sum(rows.count for rows in batches)
    count, positions = _record(parameters)
    BATCH_EVENTS.observe(sent)
    if count == sent:
        return [None] * len(batches)
    new = set(positions or ())
    stored: list[set[int] | None] = []
    first = 1
    for rows in batches:
        stored.append({position for position in range(rows.count) if first + position in new})
        first += rows.count
    return stored


def _record(parameters: dict[str, object]) -> tuple[int, list[int] | None]:
    """Runs the statement that takes all keys to be new; where one is not, the next form, which is ready for that."""
    global _form, _wary_until
    form = _form if time.monotonic_ns() < _wary_until else 0
    while True:
        try:
            with transaction.atomic() if connection.in_atomic_block else nullcontext():
                (answer,) = execute_prepared(recording_sql.RECORD_EVENTS[form], parameters)
                return answer
        except IntegrityError as error:
            if form == LAST_FORM or not isinstance(error.__cause__, UniqueViolation):
                raise
        # Several machines do not take the form between the first and the last.
        form = LAST_FORM if is_distributed() else form + 1
        _form, _wary_until = form, time.monotonic_ns() + WARY_FOR


def _array(batches: Sequence[Rows], name: str) -> str:
    return "{" + ",".join(rows.columns[name] or nulls(rows.count) for rows in batches) + "}"


def nulls(count: int) -> str:
    return ",".join(["NULL"] * count)


def _announce(customer_ids: Iterable[int]) -> None:
    usage_changed.send_robust(sender=None, customer_ids=sorted(customer_ids))
