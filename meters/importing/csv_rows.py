"""Events in CSV: the columns id, customer, meter, value and time are these members of an event, the column dimensions
a JSON object of them, and all others are dimensions. Pure."""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import IO, Any

import msgspec

from meters.decoding import MAX_DIMENSION_TEXT, NUMBER, Rejection, convert_rows, escape
from meters.importing.batches import MAX_EVENT, Batch, Place, Unreadable, finish

MEMBERS = ("id", "customer", "meter", "value", "time", "dimensions")
NEEDED = ("customer", "meter", "time")
DELIMITERS = (",", ";", "\t")
WITH_ZONE = re.compile(r".*([Zz]|[+-]\d\d:\d\d)", re.ASCII)
NO_NUMBER = Rejection("invalid", "/value", "A number, or a text that is written as JSON writes numbers.")
TOO_LONG = f"A text of at most {MAX_DIMENSION_TEXT} characters."
NO_DIMENSIONS = "A JSON object of texts."
PIECE = 1024 * 1024
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
        first = self._file.readline(MAX_EVENT)
        self.header = Place(0, 1, offset + len(first))
        try:
            text = first.decode()
        except UnicodeDecodeError as error:
            raise Unreadable(f"Line 1 is not UTF-8: byte 0x{first[error.start]:02x}.") from error
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
        self._piece = io.StringIO()
        # Where the piece that is being read begins and ends, and whether it has what is no UTF-8.
        self._begins = self._ends = 0
        self._doubtful = False

    def column_of(self, pointer: str) -> str:
        member, _, inner = pointer.removeprefix("/").partition("/")
        column = inner.replace("~1", "/").replace("~0", "~")
        if member == "dimensions" and column in self._columns:
            return column
        return self._members.get(member, "")

    def batches(self, start: Place, size: int) -> Iterator[Batch]:
        start = start if start.row else self.header
        if start is not self.header:
            self._file.seek(start.offset)
        self._ends = start.offset
        reader = csv.reader(self._lines(start.line), delimiter=self._delimiter, strict=True)
        number, begins, ended = start.row, start.line + 1, False
        while not ended:
            batch, rows, refused = Batch(Place()), list[list[str]](), dict[int, Rejection]()
            ended = True
            try:
                for cells in reader:
                    number += 1
                    if cells:
                        batch.rows.append(number)
                        batch.lines.append(begins)
                        rows.append(cells)
                        if self._doubtful and (fault := self._no_text(cells)):
                            refused[len(rows) - 1] = fault
                    begins = start.line + reader.line_num + 1
                    if len(rows) == size:
                        ended = False
                        break
            except csv.Error as error:
                if start.line + reader.line_num > begins:
                    raise Unreadable(f"Line {begins:,}: a quotation mark opens a cell that does not end.") from error
                number, ended = number + 1, False
                batch.rows.append(number)
                batch.lines.append(begins)
                rows.append([])
                refused[len(rows) - 1] = Rejection("malformed", "", f"Line {begins:,} is not valid CSV: {error}.")
                begins += 1
            if rows:
                batch.end = Place(number, begins - 1, self._offset())
                yield self._made(batch, rows, refused)

    def _made(self, batch: Batch, rows: Sequence[list[str]], refused: dict[int, Rejection]) -> Batch:
        texts: list[dict[str, Any]] = []
        for index, cells in enumerate(rows):
            if index not in refused:
                read = self._read(cells)
                if isinstance(read, Rejection):
                    refused[index] = read
                else:
                    texts.append(read)
        events = list(convert_rows(texts))
        for index in sorted(refused):
            events.insert(index, refused[index])
        for index, event in enumerate(events):
            if isinstance(event, Rejection) and event.pointer == "/dimensions":
                events[index] = self._too_long(event, rows[index])
        return finish(batch, events, rows, self._name)

    def _read(self, cells: list[str]) -> dict[str, Any] | Rejection:
        if len(cells) != len(self._columns):
            detail = f"The row has {len(cells)} cells; the first line names {len(self._columns)} columns."
            return Rejection("malformed", "", detail, sent=self._delimiter.join(cells)[:1000])
        row: dict[str, Any] = self._same.copy()
        for member, place in self._places.items():
            if cell := cells[place]:
                row[member] = cell
        value = row.get("value", "1")
        # Most are short and whole.
        if not (value.isascii() and value.isdigit()) and not NUMBER.fullmatch(value):
            return self._refused(NO_NUMBER, row)
        if self._utc and "time" in row and not WITH_ZONE.fullmatch(row["time"]):
            row["time"] += "Z"
        dimensions = {column: cells[place] for place, column in self._dimensions if cells[place]}
        if "dimensions" in row:
            try:
                dimensions |= _dimensions.decode(row["dimensions"])
            except (msgspec.DecodeError, RecursionError):
                return self._refused(Rejection("invalid", "/dimensions", NO_DIMENSIONS), row)
        if dimensions or "dimensions" in row:
            row["dimensions"] = dimensions
        return row

    def _refused(self, rejection: Rejection, row: Mapping[str, str]) -> Rejection:
        sent = msgspec.json.encode(row)[:1000].decode(errors="replace")
        return Rejection(rejection.code, rejection.pointer, rejection.detail, row.get("id", "")[:200], sent)

    def _too_long(self, rejection: Rejection, cells: Sequence[str]) -> Rejection:
        """The same, pointing at the column."""
        for place, column in self._dimensions:
            if len(cells[place]) > MAX_DIMENSION_TEXT:
                return replace(rejection, pointer=f"/dimensions/{escape(column)}", detail=TOO_LONG)
        return rejection

    def _no_text(self, cells: list[str]) -> Rejection | None:
        for column, cell in zip_longest(self._columns, cells, fillvalue=""):
            try:
                cell.encode()
            except UnicodeEncodeError as error:
                byte = ord(cell[error.start]) - 0xDC00
                for index in range(len(cells)):
                    cells[index] = cells[index].encode(errors="replace").decode()
                return Rejection("malformed", "", f"Byte 0x{byte:02x} in the column {column} is not UTF-8.")
        return None

    def _lines(self, line: int) -> Iterator[str]:
        """The lines from `_ends` on, which so many are before, read in pieces of whole lines."""
        while piece := self._file.read(PIECE):
            rest = self._file.readline(MAX_EVENT)
            piece += rest
            # The end of a line that was cut could pass for a row.
            is_cut = len(rest) == MAX_EVENT and not rest.endswith(b"\n")
            if is_cut:
                piece = piece[: piece.rfind(b"\n") + 1]
            self._begins, self._ends = self._ends, self._ends + len(piece)
            self._doubtful = False
            try:
                text = piece.decode()
            except UnicodeDecodeError:
                text, self._doubtful = piece.decode(errors="surrogateescape"), True
            self._piece = io.StringIO(text, newline="\n")
            yield from self._piece
            line += text.count("\n")
            if is_cut:
                raise Unreadable(f"Line {line + 1:,} is longer than {MAX_EVENT:,} bytes.")

    def _offset(self) -> int:
        """How far the lines are read."""
        read = self._piece.getvalue()[: self._piece.tell()]
        return self._begins + len(read.encode(errors="surrogateescape"))

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
