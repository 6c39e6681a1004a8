"""What became of each row, as a file: CSV where its name ends so, else a JSON object a line."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from meters.decoding import EventIn
from meters.events import Outcome
from meters.importing.batches import Batch, Rows
from meters.spreadsheet import cell

COLUMNS = ("row", "line", "outcome", "id", "meter", "code", "pointer", "column", "detail")
_encoder = msgspec.json.Encoder()


class OutcomesFile:
    """Written batch by batch. What an import wrote before it was killed, behind `size`, is written again."""

    def __init__(self, path: Path, size: int) -> None:
        self._file = path.open("r+b" if size and path.exists() else "wb")
        self._file.truncate(size if size and path.stat().st_size >= size else 0)
        self._file.seek(0, io.SEEK_END)
        if is_csv(path) and not self._file.tell():
            self.add(_csv([COLUMNS]))

    def add(self, text: bytes) -> int:
        """Adds a batch's rows. Answers how long the file is now."""
        self._file.write(text)
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        self._file.close()


def is_csv(path: Path) -> bool:
    return path.suffix == ".csv"


def text_of(batch: Batch, outcomes: Sequence[Outcome], rows: Rows, *, as_csv: bool) -> bytes:
    """The lines of a batch's rows in their order."""
    lines = _lines(batch, outcomes, rows)
    if as_csv:
        return _csv([_text(line[name]) for name in COLUMNS] for line in lines)
    return b"".join(_encoder.encode(line) + b"\n" for line in lines)


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def described(batch: Batch, outcome: Outcome, rows: Rows) -> dict[str, Any]:
    """An outcome, with the place that it is about."""
    return {
        "row": batch.rows[outcome.index],
        "line": batch.lines[outcome.index],
        "outcome": outcome.outcome,
        "id": outcome.id,
        "meter": outcome.meter,
        "code": outcome.code,
        "pointer": outcome.pointer,
        "column": rows.column_of(outcome.pointer),
        "detail": outcome.detail,
    }


def _lines(batch: Batch, outcomes: Sequence[Outcome], rows: Rows) -> Iterable[dict[str, Any]]:
    by_index: dict[int, list[Outcome]] = {}
    for outcome in outcomes:
        by_index.setdefault(outcome.index, []).append(outcome)
    for index, event in enumerate(batch.events):
        others = by_index.get(index, [])
        for outcome in others:
            yield described(batch, outcome, rows)
        refused = any(outcome.outcome == "rejected" and not outcome.meter for outcome in others)
        if isinstance(event, EventIn) and not refused and len(others) < _fed(event):
            event_id = event.id if isinstance(event.id, str) else batch.ids[index]
            meter = event.meter if isinstance(event.meter, str) else ""
            yield described(batch, Outcome(index, "accepted", event_id, meter), rows)


def _fed(event: EventIn) -> int:
    """How many meters the event feeds: each has an outcome of its own."""
    return len(event.values) if isinstance(event.values, dict) else 1


def _text(value: object) -> str:
    return cell(value) if isinstance(value, str) else str(value)
