"""Rows of a CSV text as people save it from a spreadsheet. Pure."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO

DELIMITERS = (",", ";", "\t")
LONGEST_CELL = 500


class CsvFault(ValueError):
    """The text cannot be read as a table with the wanted columns; says where and why."""


@dataclass(frozen=True, slots=True)
class CsvRow:
    """`line` is where the row begins in the text, from 1; the heading is line 1 where nothing is above it."""

    line: int
    cells: dict[str, str]


def read_rows(text: str, *, columns: Sequence[str], required: Iterable[str], most: int) -> list[CsvRow]:
    """The rows below the heading, each with a text for every one of `columns`: "" where the table has no such column.

    The heading names columns in any order, in any case; cells are taken without the blanks around them, and rows
    without any text are left out. Separated by commas, semicolons or tabs, whichever the heading has most of. Raises
    CsvFault.
    """
    if "\0" in text:
        raise CsvFault("It is no text.")
    lines = list(StringIO(text.removeprefix("\ufeff"), newline=""))
    heading_at = next((number for number, line in enumerate(lines) if line.strip()), None)
    if heading_at is None:
        raise CsvFault("There is nothing in it.")
    delimiter = max(DELIMITERS, key=lines[heading_at].count)
    reader = csv.reader(StringIO("".join(lines[heading_at:]), newline=""), delimiter=delimiter, strict=True)
    rows: list[CsvRow] = []
    heading: list[str] = []
    began = heading_at + 1
    while True:
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            break
        except csv.Error as error:
            raise CsvFault(f"Line {began}: it cannot be read ({error}). Is a quotation mark left open?") from None
        line, began = began, heading_at + 1 + reader.line_num
        if not heading:
            heading = _heading(cells, columns, required)
        elif any(cells):
            if len(rows) == most:
                raise CsvFault(f"Line {line}: at most {most:,} rows at a time.")
            rows.append(CsvRow(line, _cells(cells, heading, columns, line)))
    if not rows:
        raise CsvFault("There is no row below the heading.")
    return rows


def _heading(cells: list[str], columns: Sequence[str], required: Iterable[str]) -> list[str]:
    heading = [cell.lower().replace(" ", "_") for cell in cells]
    while heading and not heading[-1]:
        heading.pop()
    if unknown := [cell for cell, name in zip(cells, heading, strict=False) if name not in columns]:
        raise CsvFault(f"The first line names the columns; {unknown[0]!r} is none of {', '.join(columns)}.")
    if twice := [name for name in columns if heading.count(name) > 1]:
        raise CsvFault(f"The column {twice[0]} is there twice.")
    if missing := [name for name in required if name not in heading]:
        raise CsvFault(f"The column {missing[0]} is missing.")
    return heading


def _cells(cells: list[str], heading: list[str], columns: Sequence[str], line: int) -> dict[str, str]:
    if any(cells[len(heading) :]):
        raise CsvFault(f"Line {line}: it has more cells than there are columns.")
    found = dict.fromkeys(columns, "") | dict(zip(heading, cells, strict=False))
    if too_long := [name for name, cell in found.items() if len(cell) > LONGEST_CELL]:
        raise CsvFault(f"Line {line}, {too_long[0]}: at most {LONGEST_CELL} characters.")
    return found
