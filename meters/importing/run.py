"""Imports events of the past: reads, records, and notes how far it is.

Exactly once holds because of the ids, of which every row has one: its own, or one made of the file's name, the row's
number and its text. What is noted beside the file saves time, and nothing hangs on it: rows that were stored and not
noted, as the import was killed, are stored again as duplicates.

This process cuts the file up and tells what became of it, in its order; the rest is done by several writers
(`writers.py`), or here.
"""

import gc
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from django.db import DatabaseError, InterfaceError

from meters.events import record_events
from meters.foretelling import foretelling
from meters.importing.batches import Cut, Unreadable
from meters.importing.files import Input, OpenFile, readable
from meters.importing.outcomes import OutcomesFile
from meters.importing.state import Notes, State
from meters.importing.work import Done, Record, Work, orderless_meters
from meters.importing.writers import Ended, share_out, writers

BATCH = 10_000


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
            lambda events, spare: record_events(events, now=settings.now, spare_id=spare)
        )
        return Result(state, before)


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
        self._outcomes = OutcomesFile(settings.outcomes, state.outcomes) if settings.outcomes else None

    def run(self, record: Record) -> State:
        try:
            with closing(self._worked_on(record)) as worked_on:
                for cut, done in worked_on:
                    self._settle(cut, done)
        except (DatabaseError, InterfaceError) as error:
            raise Stopped(f"The database does not answer: {str(error).strip()}", self._state.rows) from error
        except (Unreadable, Ended) as error:
            raise Stopped(str(error), self._state.rows) from error
        finally:
            self._close()
        return self._state

    def _worked_on(self, record: Record) -> Generator[tuple[Cut, Done], None, None]:
        settings = self._settings
        work = Work(
            rows=self._file.rows,
            record=record,
            now=settings.now,
            sender="" if settings.dry_run else f"import of {settings.given.name or 'standard input'}",
            outcomes=settings.outcomes,
            own_until=self._state.begun,
            orderless=orderless_meters(),
        )
        if settings.writers > 1 and not settings.dry_run:
            with writers(settings.writers, work, self._close_all) as several:
                yield from share_out(self._cuts(), several, self._begin)
            return
        for cut in self._cuts():
            self._begin(cut)
            yield cut, work.store(work.read(cut))

    def _cuts(self) -> Iterator[Cut]:
        with readable():
            yield from self._file.rows.cuts(self._state.done, self._settings.batch)

    def _begin(self, cut: Cut) -> None:
        """Notes that rows may be stored from now on, before any of them is."""
        self._state.begun = max(self._state.begun, cut.end.row)
        self._note()

    def _settle(self, cut: Cut, done: Done) -> None:
        for refused in done.refused:
            self._watcher.refuse(refused)
        state = self._state
        state.perhaps_own += done.perhaps_own
        if self._outcomes:
            state.outcomes = self._outcomes.add(done.outcomes)
        state.done = cut.end
        state.rows += done.rows
        state.counts.add(done.counts)
        self._note()
        self._watcher.show(self._file.read_so_far(), state)

    def _note(self) -> None:
        if self._notes:
            self._notes.write(self._state)

    def _close(self) -> None:
        if self._outcomes:
            self._outcomes.close()

    def _close_all(self) -> None:
        self._close()
        self._file.close()
