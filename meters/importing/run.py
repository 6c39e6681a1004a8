"""Imports events of the past: reads, records, and notes how far it is.

Exactly once holds because of the ids, of which every row has one: its own, or one made of the file's name, the row's
number and its text. What is noted beside the file saves time, and nothing hangs on it: rows that were stored and not
noted, as the import was killed, are stored again as duplicates.

Several writers store at the same time. All rows of a customer go to the same one, in their order, so what hangs on
the order of events (which of two with one id counts, the latest of one instant) is as if they came one after the other.
"""

import gc
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from django.db import DatabaseError, InterfaceError, connection, transaction

from meters.decoding import EventIn, Rejection
from meters.events import Outcome, Recorded, ensure_partitions, record_events
from meters.foretelling import foretelling
from meters.importing.batches import Batch, Unreadable
from meters.importing.files import Input, OpenFile, readable
from meters.importing.outcomes import OutcomesFile, described
from meters.importing.state import Counts, Notes, State
from meters.refusals import note_refusals

BATCH = 10_000
# Batches that are read while others are stored: no writer waits for the reader.
AHEAD = 2


class Stopped(Exception):
    """The import cannot go on. A sentence for a person; `row` is how many rows are behind it."""

    def __init__(self, message: str, row: int) -> None:
        super().__init__(message)
        self.row = row


class Watcher(Protocol):
    """Who is told how it goes."""

    def show(self, read: int, state: State) -> None: ...
    def refuse(self, refused: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """`notes` None: how far it is is not noted, as for the standard input. `writers`: how many store at once."""

    given: Input
    now: datetime
    notes: Path | None = None
    outcomes: Path | None = None
    restart: bool = False
    dry_run: bool = False
    writers: int = 2
    batch: int = BATCH


@dataclass(slots=True)
class Result:
    state: State
    # Rows that an earlier run had done.
    before: int
    new_customers: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Share:
    """What one writer has of a batch: these of its events."""

    indexes: Sequence[int]
    recorded: "Future[Recorded]"


Record = Callable[[Sequence[EventIn | Rejection], Callable[[int], str]], Recorded]


def import_events(settings: Settings, watcher: Watcher) -> Result:
    """Raises Unreadable where nothing can be begun, and Stopped where it cannot go on."""
    _refuse_to_write_over(settings)
    with few_collections(), OpenFile(settings.given) as file:
        if settings.dry_run:
            with foretelling() as foreseen:
                state = _Import(settings, file, watcher, State(0, "", {}), None).run(
                    lambda events, spare: foreseen.foretell(events, now=settings.now, spare_id=spare)
                )
                return Result(state, 0, foreseen.new_customers)
        notes = _notes(settings, file)
        state = notes.read(restart=settings.restart) if notes else State(0, "", {})
        before = state.rows
        state = _Import(settings, file, watcher, state, notes).run(
            lambda events, spare: _recorded(events, spare, settings.now)
        )
        return Result(state, before)


def _recorded(events: Sequence[EventIn | Rejection], spare_id: Callable[[int], str], now: datetime) -> Recorded:
    ensure_partitions(events, now)
    # In a transaction of its own a batch does not wait for that of another writer of this process.
    with transaction.atomic():
        return record_events(events, now=now, spare_id=spare_id)


@contextmanager
def few_collections() -> Iterator[None]:
    """Rows have no cycles, and are many: looking for such among them again and again would take half of the time."""
    before = gc.get_threshold()
    gc.set_threshold(1_000_000, 10, 10)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _refuse_to_write_over(settings: Settings) -> None:
    """Raises Unreadable where a file is to be written that is to be read, or is written for something else."""
    named = {"FILE": settings.given.path, "--outcomes": settings.outcomes, "--progress": settings.notes}
    seen: dict[Path, str] = {}
    for name, path in named.items():
        if path is not None and seen.setdefault(path.resolve(), name) != name:
            raise Unreadable(f"{seen[path.resolve()]} and {name} are the same file: {path}.")


def _notes(settings: Settings, file: OpenFile) -> Notes | None:
    # What is read from a pipe cannot be read again.
    if settings.notes is None or settings.given.path is None or not settings.given.path.is_file():
        return None
    columns = settings.given.columns
    options = {
        "format": file.format,
        "name": settings.given.name,
        "map": dict(columns.mapped),
        "set": dict(columns.same),
        "ignore": list(columns.ignored),
        "utc": columns.utc,
        "delimiter": columns.delimiter,
        "outcomes": str(settings.outcomes.resolve()) if settings.outcomes else "",
    }
    return Notes(settings.notes, settings.given.path, options)


class _Import:
    def __init__(self, settings: Settings, file: OpenFile, watcher: Watcher, state: State, notes: Notes | None) -> None:
        self._settings, self._file, self._watcher, self._notes = settings, file, watcher, notes
        self._state = state
        self._own_until = state.begun
        self._outcomes = OutcomesFile(settings.outcomes, state.outcomes) if settings.outcomes else None

    def run(self, record: Record) -> State:
        writers = 1 if self._settings.dry_run else self._settings.writers
        try:
            with _writers(writers, record) as submit:
                underway: deque[tuple[Batch, list[_Share]]] = deque()
                try:
                    for batch in self._batches(self._settings.batch * writers):
                        self._begin(batch)
                        underway.append((batch, submit(batch)))
                        if len(underway) >= AHEAD or writers == 1:
                            self._settle(*underway.popleft())
                except Unreadable:
                    # What came before is stored, and is told of.
                    while underway:
                        self._settle(*underway.popleft())
                    raise
                while underway:
                    self._settle(*underway.popleft())
        except (DatabaseError, InterfaceError) as error:
            raise Stopped(f"The database does not answer: {str(error).strip()}", self._state.rows) from error
        except Unreadable as error:
            raise Stopped(str(error), self._state.rows) from error
        finally:
            if self._outcomes:
                self._outcomes.close()
        return self._state

    def _batches(self, size: int) -> Iterator[Batch]:
        with readable():
            yield from self._file.rows.batches(self._state.done, size)

    def _begin(self, batch: Batch) -> None:
        """Notes that rows may be stored from now on, before any of them is."""
        self._state.begun = max(self._state.begun, batch.end.row)
        self._note()

    def _settle(self, batch: Batch, shares: Sequence[_Share]) -> None:
        outcomes: list[Outcome] = []
        counts = Counts()
        for share in shares:
            recorded = share.recorded.result()
            counts.add(Counts(recorded.accepted, recorded.duplicate, recorded.conflict, recorded.rejected))
            outcomes += [_moved(outcome, share.indexes[outcome.index]) for outcome in recorded.outcomes]
        outcomes.sort(key=lambda outcome: outcome.index)
        refused = [outcome for outcome in outcomes if outcome.outcome in ("rejected", "conflict")]
        if refused and not self._settings.dry_run:
            sender = f"import of {self._settings.given.name or 'standard input'}"
            note_refusals(batch.events, refused, sender=sender, now=self._settings.now)
        for outcome in refused:
            self._watcher.refuse(described(batch, outcome, self._file.rows))
        state = self._state
        for outcome in outcomes:
            state.perhaps_own += outcome.outcome == "duplicate" and batch.rows[outcome.index] <= self._own_until
        if self._outcomes:
            state.outcomes = self._outcomes.add(batch, outcomes, self._file.rows)
        state.done = batch.end
        state.rows += len(batch.rows)
        state.counts.add(counts)
        self._note()
        self._watcher.show(self._file.read_so_far(), state)

    def _note(self) -> None:
        if self._notes:
            self._notes.write(self._state)


def _moved(outcome: Outcome, index: int) -> Outcome:
    return Outcome(index, outcome.outcome, outcome.id, outcome.meter, outcome.code, outcome.pointer, outcome.detail)


@contextmanager
def _writers(count: int, record: Record) -> Iterator[Callable[[Batch], list[_Share]]]:
    """Makes the function that has a batch stored: by threads with connections of their own, or by this one."""
    with ExitStack() as stack:
        pools: list[ThreadPoolExecutor | None] = [None]
        if count > 1:
            pools = [stack.enter_context(ThreadPoolExecutor(1)) for _ in range(count)]

        dealt: dict[str, int] = {}

        def submit(batch: Batch) -> list[_Share]:
            nonlocal dealt
            shares: list[_Share] = []
            parts, dealt = _by_customer(batch.events, count, dealt)
            for pool, indexes in zip(pools, parts, strict=True):
                for first in range(0, len(indexes), BATCH):
                    some = indexes[first : first + BATCH]
                    shares.append(_Share(some, _run(pool, record, batch, some)))
            return shares

        try:
            yield submit
        finally:
            for pool in filter(None, pools):
                pool.submit(connection.close)


def _run(pool: ThreadPoolExecutor | None, record: Record, batch: Batch, indexes: Sequence[int]) -> "Future[Recorded]":
    events = [batch.events[index] for index in indexes]

    def spare_id(index: int) -> str:
        return batch.ids.get(indexes[index], "")

    if pool is not None:
        return pool.submit(record, events, spare_id)
    done: Future[Recorded] = Future()
    done.set_result(record(events, spare_id))
    return done


def _by_customer(
    events: Sequence[EventIn | Rejection], count: int, before: Mapping[str, int]
) -> tuple[list[list[int]], dict[str, int]]:
    """The events for each writer, and which one each customer has: the one that it had in the batch before, which may
    still be underway, else the one with the least to do."""
    if count == 1:
        return [list(range(len(events)))], {}
    shares: list[list[int]] = [[] for _ in range(count)]
    dealt: dict[str, int] = {}
    for index, event in enumerate(events):
        if isinstance(event, Rejection):
            shares[0].append(index)
            continue
        writer = dealt.get(event.customer)
        if writer is None:
            writer = before.get(event.customer)
            if writer is None:
                writer = min(range(count), key=lambda number: len(shares[number]))
            dealt[event.customer] = writer
        shares[writer].append(index)
    return shares, dealt
