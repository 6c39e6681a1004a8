"""What readers of files have in common. Pure."""

import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, overload

from meters.decoding import EventIn, Rejection

# An event that is longer is none; nothing is read to the end of the file in the hope of one.
MAX_EVENT = 1024 * 1024
# Of a batch so many bytes at most, and a row.
MAX_BATCH = 16 * 1024 * 1024
NO_TIME = Rejection("missing_time", "/time", "An event of the past says when it was.")
_WHOLE = {(EventIn, datetime, str)}


class Unreadable(ValueError):
    """The file cannot be read on. A sentence for a person, with the line."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a file is read: so many rows, lines and bytes (of the unpacked text)."""

    row: int = 0
    line: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """Whole rows as they stand in the file, which nobody has looked into: from behind `start` to `end`."""

    start: Place
    end: Place
    text: bytes


@dataclass(slots=True)
class Batch:
    """The rows of a cut: each with its number and the line that it begins at, both from 1. `ids` has one for each row
    that has none of its own, by its index."""

    rows: Sequence[int] = ()
    lines: Sequence[int] = ()
    events: Sequence[EventIn | Rejection] = ()
    ids: dict[int, str] = field(default_factory=dict)


class Rows(Protocol):
    """A file's events. Who cuts it up, and who reads the cuts, may be different processes."""

    def cuts(self, start: Place, size: int) -> Iterator[Cut]:
        """Of so many rows at most; from the beginning, or behind what was read up to `start`."""
        ...

    def read(self, cut: Cut) -> Batch:
        """The events of a cut, of which each has a time and an id."""
        ...

    def column_of(self, pointer: str) -> str:
        """The column that a pointer into an event is about; empty where there is none."""
        ...


class Later(Sequence[int]):
    """Numbers that are only found out once somebody asks for one of them."""

    def __init__(self, find: Callable[[], Sequence[int]]) -> None:
        self._find = find
        self._found: Sequence[int] | None = None

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        return self._numbers()[index]

    def __len__(self) -> int:
        return len(self._numbers())

    def _numbers(self) -> Sequence[int]:
        if self._found is None:
            self._found = self._find()
        return self._found


def finish(
    batch: Batch, events: Sequence[EventIn | Rejection], parts: Callable[[], Sequence[Sequence[str]]], name: str
) -> Batch:
    """The batch with these events, of which each has a time and an id. `parts` finds the texts of each row."""
    # Most batches are whole as they are.
    if {(type(event), type(getattr(event, "time", None)), type(event.id)) for event in events} <= _WHOLE:
        batch.events = events
        return batch
    batch.events = finished = list(events)
    texts: Sequence[Sequence[str]] | None = None
    for index, event in enumerate(finished):
        if isinstance(event, Rejection):
            continue
        if not isinstance(event.time, datetime):
            finished[index] = replace(NO_TIME, id=event.id if isinstance(event.id, str) else "")
        elif not isinstance(event.id, str):
            if not name:
                raise Unreadable(
                    f"Line {batch.lines[index]:,}: the event has no id, and the input no name that one could be made "
                    "of. Say --name."
                )
            texts = parts() if texts is None else texts
            batch.ids[index] = made_id(name, batch.rows[index], texts[index], event.time)
    return batch


def made_id(name: str, row: int, parts: Sequence[str], time: datetime) -> str:
    """A UUID of version 8 (RFC 9562, section 5.8): the event's milliseconds first, as neighbours are stored faster. The
    same whenever the file is imported, and the one that `tollmeter import-csv` makes."""
    content = "\0".join((name, str(row), *parts))
    number = int.from_bytes(hashlib.blake2b(content.encode(), digest_size=16).digest(), "big")
    milliseconds = int(time.timestamp() * 1000) & (1 << 48) - 1
    number = number & (1 << 80) - 1 | milliseconds << 80
    number = number & ~(0xF << 76) | 0x8 << 76
    return str(uuid.UUID(int=number & ~(0x3 << 62) | 0x2 << 62))
