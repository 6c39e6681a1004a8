"""Events in CSV: the columns id, customer, meter, value and time are these members of an event, the column dimensions
a JSON object of them, and all others are dimensions. Pure."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import msgspec

from meters.decoding import MAX_DIMENSION_TEXT, NUMBER, EventIn, Rejection, convert_rows, escape
from meters.importing.batches import MAX_EVENT, Batch, Place, Unreadable, finish

MEMBERS = ("id", "customer", "meter", "value", "time", "dimensions")
NEEDED = ("customer", "meter", "time")
DELIMITERS = (",", ";", "\t")
WITH_ZONE = re.compile(r".*([Zz]|[+-]\d\d:\d\d)", re.ASCII)
NO_NUMBER = Rejection("invalid", "/value", "A number, or a text that is written as JSON writes numbers.")
TOO_LONG = f"A text of at most {MAX_DIMENSION_TEXT} characters."
_dimensions = msgspec.json.Decoder(dict[str, str])


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns are. `mapped` and `same` go by the member: to its column, and to its text in all rows."""

    mapped: Mapping[str, str] = field(default_factory=dict)
    same: Mapping[str, str] = field(default_factory=dict)
    ignored: Sequence[str] = ()
    utc: bool = False
    delimiter: str = ""


class CsvRows:
    """The rows of a file. The header is read, and held against `columns`, as this is made."""

    def __init__(self, file: IO[bytes], columns: Columns, name: str, offset: int = 0) -> None:
        self._file = file
        self._name, self._utc, self._same = name, columns.utc, dict(columns.same)
        self._offset = offset
        self._line = self._number = 0
        # What is wrong with the text of the row that is being read.
        self._fault = ""
        first = self._file.readline(MAX_EVENT)
        self._offset += len(first)
        self._line += 1
        text = self._text(first)
        if self._fault:
            raise Unreadable(self._fault)
        self._delimiter = columns.delimiter or max(DELIMITERS, key=text.count)
        try:
            (cells,) = csv.reader([text], delimiter=self._delimiter, strict=True)
        except (csv.Error, ValueError) as error:
            raise Unreadable(f"Line 1, which names the columns, cannot be read: {error}.") from error
        self._columns = [cell.strip() for cell in cells]
        self._members = self._members_of(columns)
        left_out = {*columns.ignored, *self._members.values()}
        self._dimensions = [
            (place, column) for place, column in enumerate(self._columns) if column and column not in left_out
        ]
        self._places = {member: self._columns.index(column) for member, column in self._members.items()}
        self.header = Place(0, self._line, self._offset)

    def column_of(self, pointer: str) -> str:
        member, _, inner = pointer.removeprefix("/").partition("/")
        column = inner.replace("~1", "/").replace("~0", "~")
        if member == "dimensions" and column in self._columns:
            return column
        return self._members.get(member, "")

    def batches(self, start: Place, size: int) -> Iterator[Batch]:
        if start.row:
            self._file.seek(start.offset)
            self._line, self._offset, self._number = start.line, start.offset, start.row
        rows = self._rows()
        while True:
            batch = Batch(Place())
            texts: list[dict[str, Any]] = []
            refused: dict[int, Rejection] = {}
            cells_of: list[list[str]] = []
            for line, cells, fault in rows:
                batch.rows.append(self._number)
                batch.lines.append(line)
                read = fault or self._read(cells)
                if isinstance(read, Rejection):
                    refused[len(texts)] = read
                    read = {}
                texts.append(read)
                cells_of.append(cells)
                if len(texts) == size:
                    break
            if not texts:
                return
            yield self._made(batch, texts, refused, cells_of)

    def _made(
        self,
        batch: Batch,
        texts: Sequence[dict[str, Any]],
        refused: Mapping[int, Rejection],
        cells: Sequence[Sequence[str]],
    ) -> Batch:
        batch.end = Place(self._number, self._line, self._offset)
        events: list[EventIn | Rejection]
        if refused:
            events = list(convert_rows([text for index, text in enumerate(texts) if index not in refused]))
            for index in sorted(refused):
                events.insert(index, refused[index])
        else:
            events = list(convert_rows(texts))
        return finish(batch, events, cells, self._name)

    def _read(self, cells: list[str]) -> dict[str, Any] | Rejection:
        if len(cells) != len(self._columns):
            detail = f"The row has {len(cells)} cells; the first line names {len(self._columns)} columns."
            return Rejection("malformed", "", detail, sent=self._delimiter.join(cells)[:1000])
        row: dict[str, Any] = self._same.copy()
        for member, place in self._places.items():
            if cell := cells[place]:
                row[member] = cell
        if "value" in row and not NUMBER.fullmatch(row["value"]):
            return self._refused(NO_NUMBER, row)
        if self._utc and "time" in row and not WITH_ZONE.fullmatch(row["time"]):
            row["time"] += "Z"
        dimensions: dict[str, str] = {}
        if "dimensions" in row:
            try:
                dimensions = _dimensions.decode(row["dimensions"])
            except (msgspec.DecodeError, RecursionError):
                return self._refused(Rejection("invalid", "/dimensions", "A JSON object of texts."), row)
        for place, column in self._dimensions:
            if text := cells[place]:
                if len(text) > MAX_DIMENSION_TEXT:
                    return self._refused(Rejection("invalid", f"/dimensions/{escape(column)}", TOO_LONG), row)
                dimensions[column] = text
        if dimensions:
            row["dimensions"] = dimensions
        return row

    def _refused(self, rejection: Rejection, row: Mapping[str, str]) -> Rejection:
        sent = msgspec.json.encode(row)[:1000].decode(errors="replace")
        return Rejection(rejection.code, rejection.pointer, rejection.detail, row.get("id", "")[:200], sent)

    def _rows(self) -> Iterator[tuple[int, list[str], Rejection | None]]:
        """The line that a row begins at, its cells, and what makes it none."""
        reader = csv.reader(self._lines(), delimiter=self._delimiter, strict=True)
        while True:
            begins, self._fault = self._line + 1, ""
            try:
                cells = next(reader, None)
            except csv.Error as error:
                if self._line > begins:
                    raise Unreadable(f"Line {begins:,}: a quotation mark opens a cell that does not end.") from error
                self._number += 1
                yield begins, [], Rejection("malformed", "", f"Line {begins:,} is not valid CSV: {error}.")
                continue
            if cells is None:
                return
            self._number += 1
            if self._fault:
                yield begins, cells, Rejection("malformed", "", self._fault)
            elif cells:
                yield begins, cells, None

    def _lines(self) -> Iterator[str]:
        while line := self._file.readline(MAX_EVENT):
            self._offset += len(line)
            self._line += 1
            yield self._text(line)

    def _text(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as error:
            self._fault = (
                f"Line {self._line:,} is not UTF-8: byte 0x{line[error.start]:02x} at its character {error.start + 1}."
            )
            return line.decode(errors="replace")

    def _members_of(self, columns: Columns) -> dict[str, str]:
        twice = {column for column in self._columns if column and self._columns.count(column) > 1}
        if twice:
            raise Unreadable(f"Line 1 names {', '.join(sorted(twice))} twice.")
        for member in columns.same:
            if member not in MEMBERS:
                raise Unreadable(f"--set {member}: the members are {', '.join(MEMBERS)}.")
        for member, column in columns.mapped.items():
            if member not in MEMBERS or column not in self._columns:
                raise Unreadable(
                    f"--map {member}={column}: the members are {', '.join(MEMBERS)}; the columns are "
                    f"{', '.join(self._columns)}."
                )
        if unknown := [column for column in columns.ignored if column not in self._columns]:
            raise Unreadable(f"--ignore {unknown[0]}: the columns are {', '.join(self._columns)}.")
        own = {member: member for member in MEMBERS if member in self._columns and member not in columns.ignored}
        found = {**own, **columns.mapped}
        for member in NEEDED:
            if member not in found and member not in columns.same:
                raise Unreadable(
                    f"There is no column {member}: say --map {member}=COLUMN or --set {member}=TEXT. The columns are "
                    f"{', '.join(self._columns)}."
                )
        return found
