"""Events in CSV: the columns id, customer, meter, value and time are these members of an event, the column dimensions
a JSON object of them, and all others are dimensions. Pure."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, zip_longest
from typing import IO, Any

import msgspec

from meters.decoding import MAX_DIMENSION_TEXT, NUMBER, Rejection, convert_rows, escape
from meters.importing.batches import MAX_EVENT, Batch, Cut, Place, Unreadable, finish
from meters.importing.csv_columns import WITH_ZONE, Table
from meters.importing.lines import Lines

MEMBERS = ("id", "customer", "meter", "value", "time", "dimensions")
NEEDED = ("customer", "meter", "time")
DELIMITERS = (",", ";", "\t")
NO_NUMBER = Rejection("invalid", "/value", "A number, or a text that is written as JSON writes numbers.")
TOO_LONG = f"A text of at most {MAX_DIMENSION_TEXT} characters."
NO_DIMENSIONS = "A JSON object of texts."
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
        dimensions = {column: place for place, column in self._dimensions}
        self._table = Table(len(self._columns), self._places, dimensions, self._same, self._utc)

    def column_of(self, pointer: str) -> str:
        member, _, inner = pointer.removeprefix("/").partition("/")
        column = inner.replace("~1", "/").replace("~0", "~")
        if member == "dimensions" and column in self._columns:
            return column
        return self._members.get(member, "")

    def cuts(self, start: Place, size: int) -> Iterator[Cut]:
        before = start if start.row else self.header
        if start.row:
            self._file.seek(start.offset)
        lines = Lines(self._file, before)
        while taken := lines.take(size):
            rows, text = len(taken), b"\n".join(taken)
            if b'"' in text:
                # A cell may have ends of lines in it.
                rows = self._whole_rows(taken, lines, size)
                text = b"\n".join(taken)
            end = Place(before.row + rows, lines.line, lines.offset)
            yield Cut(before, end, text)
            before = end

    def _whole_rows(self, taken: list[bytes], lines: Lines, size: int) -> int:
        """How many rows the lines are, at most so many. Lines that belong to the last one are added, and those that
        are too many given back."""
        first = lines.line - len(taken) + 1

        def texts() -> Iterator[str]:
            for at in count():
                if at == len(taken):
                    taken.extend(lines.take(size))
                if at == len(taken):
                    return
                yield taken[at].decode(errors="surrogateescape") + "\n"

        reader = csv.reader(texts(), delimiter=self._delimiter, strict=True)
        rows = read = 0
        while rows < size and (not rows or read < len(taken)):
            try:
                if next(reader, None) is None:
                    break
            except csv.Error as error:
                if reader.line_num > read + 1:
                    raise Unreadable(
                        f"Line {first + read:,}: a quotation mark opens a cell that does not end."
                    ) from error
            rows, read = rows + 1, reader.line_num
        lines.give_back(taken[read:])
        del taken[read:]
        return rows

    def read(self, cut: Cut) -> Batch:
        return self._at_once(cut) or self._row_by_row(cut)

    def _at_once(self, cut: Cut) -> Batch | None:
        """The batch, where all of its rows are as most are."""
        rows = range(cut.start.row + 1, cut.end.row + 1)
        lines = range(cut.start.line + 1, cut.end.line + 1)
        try:
            events = self._table.events(cut.text.decode(), self._delimiter) if len(rows) == len(lines) else None
        except UnicodeDecodeError:
            return None
        if events is None or len(events) != len(rows):
            return None
        return finish(Batch(rows, lines), events, lambda: self._cells(cut), self._name)

    def _cells(self, cut: Cut) -> list[list[str]]:
        text = io.StringIO(cut.text.decode() + "\n", newline="\n")
        return list(csv.reader(text, delimiter=self._delimiter, strict=True))

    def _row_by_row(self, cut: Cut) -> Batch:
        numbers, lines, rows, refused = list[int](), list[int](), list[list[str]](), dict[int, Rejection]()
        try:
            text, is_doubtful = cut.text.decode(), False
        except UnicodeDecodeError:
            text, is_doubtful = cut.text.decode(errors="surrogateescape"), True
        reader = csv.reader(io.StringIO(text + "\n", newline="\n"), delimiter=self._delimiter, strict=True)
        for number in range(cut.start.row + 1, cut.end.row + 1):
            begins = cut.start.line + reader.line_num + 1
            try:
                cells = next(reader)
            except csv.Error as error:
                cells = []
                refused[len(rows)] = Rejection("malformed", "", f"Line {begins:,} is not valid CSV: {error}.")
            else:
                if not cells:
                    continue
                if is_doubtful and (fault := self._no_text(cells)):
                    refused[len(rows)] = fault
            numbers.append(number)
            lines.append(begins)
            rows.append(cells)
        return self._made(Batch(numbers, lines), rows, refused)

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
        return finish(batch, events, lambda: rows, self._name)

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
