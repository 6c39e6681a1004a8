"""A paper as a PDF file (reportlab). Pure: the same paper gives the same bytes, by the same version of Tollmeter.

Places are laid out first, page by page, as how many pages there are is written on each. Points, from the top left.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from threading import Lock
from typing import Any

from invoices.papers.fonts import BOLD, REGULAR, Chain, printable, width_of, wrapped
from invoices.papers.marks import (
    ALARM,
    BODY,
    FAINT,
    HEIGHT,
    INK,
    SOFT,
    WIDTH,
    Mark,
    Picture,
    Row,
    Rule,
    Text,
    below,
    beside,
    height_of,
    moved,
    written,
)
from invoices.papers.paper import Column, Line, Paper, Party, Step, Sum, Table

LEFT, TOP, BOTTOM = 56, 54, 62
RIGHT = WIDTH - LEFT
MIDDLE = LEFT + 262
LARGE, HEAD, SMALL, TINY = 20, 13, 8, 7
GAP = 12
INDENT = 10
SUMS_AT = LEFT + 210
FACT_WIDTH = 74
# Of an address, and of the foot.
MOST_LINES = 8
# A figure that is wider than this goes on below.
WIDEST_FIGURE = 150
LABEL_WIDTH = 150
HIGHEST_LOGO = 28

# The fonts of a process are read by one file at a time.
_writing = Lock()


def pdf_of(paper: Paper) -> bytes:
    """The paper as a PDF file."""
    with _writing:
        pages = _Layout(paper).pages()
        return written(paper, pages)


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the columns of a table begin and end."""

    columns: Sequence[Column]
    bounds: Sequence[tuple[Any, Any]]


class _Layout:
    def __init__(self, paper: Paper) -> None:
        self.paper = paper
        self.missing: set[str] = set()
        self.done: list[list[Mark]] = [[]]
        self.y: Any = TOP
        foot = [*_few(paper.footer), *_few(paper.look.legal)]
        self.foot = [line for text in foot for line in self._lines(text, REGULAR, TINY, RIGHT - LEFT)]
        self.end = HEIGHT - BOTTOM - leading(TINY) * len(self.foot)

    def pages(self) -> list[list[Mark]]:
        self._head()
        sums = self._sums(self.paper.sums)
        last = len(self.paper.tables) - 1
        for index, table in enumerate(self.paper.tables):
            self._table(table, sums if index == last else [])
        self._flow(sums)
        self._notes(self.paper.notes)
        if self.missing:
            self._notes([missing_words(self.missing)])
        count = len(self.done)
        for number, page in enumerate(self.done, start=1):
            self._foot(page, number, count)
        return self.done

    # --- Placing ---

    def _put(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.done[-1] += [moved(mark, self.y) for mark in row.marks]
            self.y += row.height

    def _room(self) -> Any:
        return self.end - self.y

    def _next_page(self) -> None:
        self.done.append([])
        self.y = TOP

    def _flow(self, rows: Sequence[Row]) -> None:
        """Places rows on this page, or all of them on the next one, or from here on where a page is too short."""
        height = height_of(rows)
        if self._room() < height <= self.end - TOP:
            self._next_page()
        for row in rows:
            if row.height > self._room() and self.y > TOP:
                self._next_page()
            self._put([row])

    # --- Text ---

    def _lines(self, text: str, chain: Chain, size: int, width: Any) -> list[str]:
        shown, missing = printable(text)
        self.missing |= missing
        return wrapped(shown, chain, size, width)

    def _text(
        self,
        text: str,
        x: Any,
        width: Any,
        *,
        chain: Chain = REGULAR,
        size: int = BODY,
        colour: str = INK,
        to_right: bool = False,
        y: Any = 0,
    ) -> Row:
        """Wrapped text with its upper edge at `y`; where `to_right`, each line ends at `x` + `width`."""
        row = Row(y)
        for line in self._lines(text, chain, size, width):
            start = x + width - width_of(line, chain, size) if to_right else x
            row.marks.append(Text(start, row.height + size, line, chain, size, colour))
            row.height += leading(size)
        return row

    # --- The head ---

    def _head(self) -> None:
        paper = self.paper
        left = self._text(paper.title, LEFT, MIDDLE - LEFT - GAP, chain=BOLD, size=LARGE)
        if paper.stamp:
            left = below(left, self._text(paper.stamp, LEFT, MIDDLE - LEFT - GAP, chain=BOLD, size=HEAD, colour=ALARM))
        self._put([beside(left, below(self._logo(), self._party(paper.seller, MIDDLE))), Row(2 * GAP)])
        self._put([beside(self._party(paper.buyer, LEFT), self._facts(paper.facts)), Row(2 * GAP)])
        if paper.headline:
            colour = paper.look.accent or INK
            row = self._text(paper.headline, LEFT, RIGHT - LEFT, chain=BOLD, size=HEAD, colour=colour)
            self._put([row, Row(GAP)])
        self._notes(paper.opening)

    def _logo(self) -> Row:
        """As high as there is room for, and no larger than sharp."""
        look = self.paper.look
        if not look.logo:
            return Row()
        width, height = look.logo_size
        shrunk = max(Fraction(width, RIGHT - MIDDLE), Fraction(height, HIGHEST_LOGO), Fraction(1))
        high = int(height / shrunk)
        return Row(high + 8, [Picture(MIDDLE, 0, int(width / shrunk), high, look.logo)])

    def _party(self, party: Party, x: int) -> Row:
        width = (RIGHT if x == MIDDLE else MIDDLE - GAP) - x
        row = self._text(party.label, x, width, size=SMALL, colour=SOFT) if party.label else Row()
        row = below(row, self._text(party.name, x, width, chain=BOLD))
        for line in _few(party.lines):
            row = below(row, self._text(line, x, width, colour=SOFT))
        return row

    def _facts(self, facts: Sequence[tuple[str, str]]) -> Row:
        row = Row()
        for label, value in facts:
            name = self._text(label, MIDDLE, FACT_WIDTH - 6, colour=SOFT)
            said = self._text(value, MIDDLE + FACT_WIDTH, RIGHT - MIDDLE - FACT_WIDTH)
            row = below(row, beside(name, said))
        return row

    # --- Tables ---

    def _table(self, table: Table, sums: Sequence[Row]) -> None:
        """A table; its last line is on the page of the sums, where these follow it."""
        if table.title:
            self._flow([self._text(table.title, LEFT, RIGHT - LEFT, chain=BOLD), Row(4)])
        if not table.lines:
            self._flow([self._text(table.empty, LEFT, RIGHT - LEFT, colour=SOFT), Row(GAP)])
            return
        shape = self._shape(table)
        heading = self._heading(shape)
        blocks = [self._block(line, shape) for line in table.lines]
        follows = [Row(GAP), *sums] if sums else []
        for number, (line, block) in enumerate(zip(table.lines, blocks, strict=True), start=1):
            behind = follows if number == len(blocks) else []
            self._place(line, block, shape, heading, behind, is_first=number == 1)
        self._put([Row(GAP)])

    def _place(
        self,
        line: Line,
        block: Sequence[Row],
        shape: _Shape,
        heading: Row,
        follows: Sequence[Row],
        *,
        is_first: bool,
    ) -> None:
        """A line on this page, with the heading before the first one; or on the next page, where it is not torn there,
        nor away from what `follows`."""
        above = heading.height if is_first else 0
        height, most = height_of(block), self.end - TOP - heading.height
        needed = height + height_of(follows) if height + height_of(follows) <= most else height
        if self._room() - above < needed <= most:
            self._next_page()
            above = heading.height
        if above:
            self._put([heading])
        for row in block:
            if row.height > self._room():
                self._next_page()
                self._put([heading])
                if row is not block[0]:
                    x, end = shape.bounds[0]
                    self._put([self._text(f"{line.cells[0]} (continued)", x, end - x, colour=SOFT), Row(2)])
            self._put([row])

    def _shape(self, table: Table) -> _Shape:
        """Columns of figures are as wide as the widest of theirs; the others share what is left."""
        widths: list[Any] = []
        for index, column in enumerate(table.columns):
            texts = [column.title, *(line.cells[index] for line in table.lines)]
            natural = max(width_of(printable(text)[0], BOLD, BODY) for text in texts)
            widths.append(min(natural, WIDEST_FIGURE) if column.is_figure else None)
        gaps = GAP * (len(widths) - 1)
        left = RIGHT - LEFT - gaps - sum(width for width in widths if width is not None)
        shares = max(widths.count(None), 1)
        bounds, x = [], LEFT
        for width in widths:
            end = x + (left / shares if width is None else width)
            bounds.append((x, end))
            x = end + GAP
        return _Shape(table.columns, bounds)

    def _heading(self, shape: _Shape) -> Row:
        row = Row()
        for column, (x, end) in zip(shape.columns, shape.bounds, strict=True):
            cell = self._text(column.title, x, end - x, size=SMALL, colour=SOFT, to_right=column.is_figure)
            row = beside(row, cell)
        row.marks.append(Rule(LEFT, row.height + 3, RIGHT, INK))
        row.height += 8
        return row

    def _block(self, line: Line, shape: _Shape) -> list[Row]:
        """A line of a table, with a row for each thing that explains it."""
        chain = BOLD if line.is_strong else REGULAR
        head = Row()
        for index, (column, (x, end)) in enumerate(zip(shape.columns, shape.bounds, strict=True)):
            cell = self._text(line.cells[index], x, end - x, chain=chain, to_right=column.is_figure)
            if not index and line.part:
                cell = below(cell, self._text(line.part, x, end - x, size=SMALL, colour=SOFT))
            head = beside(head, cell)
        rows = [head, *self._explained(line, shape)]
        last = rows[-1]
        last.marks.append(Rule(LEFT, last.height + 4, RIGHT, FAINT))
        last.height += 9
        return rows

    def _explained(self, line: Line, shape: _Shape) -> Iterator[Row]:
        x = LEFT + INDENT
        end = shape.bounds[-1][0] - GAP if len(shape.bounds) > 1 else RIGHT
        for words in line.price:
            yield self._text(words, x, end - x, size=SMALL, colour=SOFT)
        if line.steps:
            widest = max(width_of(step.amount, REGULAR, SMALL) for step in line.steps)
            for step in line.steps:
                yield self._step(step, x, end, min(widest, WIDEST_FIGURE))
        for note in line.notes:
            yield self._text(note, x, end - x, size=SMALL, colour=SOFT)

    def _step(self, step: Step, x: int, end: Any, widest: Any) -> Row:
        detail_at = x + LABEL_WIDTH
        label = self._text(step.label, x, LABEL_WIDTH - 6, size=SMALL, colour=SOFT)
        detail = self._text(step.detail, detail_at, end - widest - GAP - detail_at, size=SMALL)
        amount = self._text(step.amount, end - widest, widest, size=SMALL, to_right=True)
        return beside(beside(label, detail), amount)

    # --- Below the tables ---

    def _sums(self, sums: Sequence[Sum]) -> list[Row]:
        if not sums:
            return []
        widest = max(width_of(printable(one.amount)[0], BOLD, BODY + 1) for one in sums)
        return [*(self._sum(one, min(widest, WIDEST_FIGURE)) for one in sums), Row(GAP)]

    def _sum(self, one: Sum, widest: Any) -> Row:
        top = 6 if one.is_strong else 2
        chain, size = (BOLD, BODY + 1) if one.is_strong else (REGULAR, BODY)
        room = RIGHT - widest - GAP - SUMS_AT
        label = self._text(one.label, SUMS_AT, room, chain=chain, size=size, y=top)
        if one.detail:
            label = below(label, self._text(one.detail, SUMS_AT, room, size=SMALL, colour=SOFT))
        amount = self._text(one.amount, RIGHT - widest, widest, chain=chain, size=size, to_right=True, y=top)
        row = beside(label, amount)
        if one.is_strong:
            row.marks.append(Rule(SUMS_AT, 2, RIGHT, INK))
        return row

    def _notes(self, notes: Sequence[str]) -> None:
        for note in notes:
            self._flow([self._text(note, LEFT, RIGHT - LEFT, colour=SOFT), Row(4)])
        if notes:
            self._put([Row(GAP - 4)])

    def _foot(self, page: list[Mark], number: int, count: int) -> None:
        y: Any = self.end + 14
        page.append(Rule(LEFT, y, RIGHT, FAINT))
        y += 4
        for line in self.foot:
            y += leading(TINY)
            page.append(Text(LEFT, y, line, REGULAR, TINY, SOFT))
        where = f"Page {number} of {count}"
        room = RIGHT - LEFT - width_of(where, REGULAR, TINY) - GAP
        name = self._lines(f"{self.paper.seller.name} · {self.paper.title}", REGULAR, TINY, room)[0]
        y += leading(TINY) + 2
        page.append(Text(LEFT, y, name, REGULAR, TINY, SOFT))
        page.append(Text(RIGHT - width_of(where, REGULAR, TINY), y, where, REGULAR, TINY, SOFT))


def _few(lines: Sequence[str]) -> list[str]:
    """As many lines as there is room for; further ones go on in the last one."""
    return list(lines) if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], ", ".join(lines[MOST_LINES - 1 :])]


def leading(size: int) -> int:
    """From one line of text to the next."""
    return size * 4 // 3 + 1


def missing_words(missing: set[str]) -> str:
    named = [f"U+{ord(char):04X}" for char in sorted(missing)]
    more = f" and {len(named) - 8} more" if len(named) > 8 else ""
    return (
        f"[?] stands for letters that this file has no font for ({', '.join(named[:8])}{more}). "
        "They are complete on the page of this document and in its CSV file."
    )
