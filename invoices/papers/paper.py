"""What stands on a paper: an invoice, a credit note, a statement. Words only, no places. Pure.

Every figure comes as the text to print; `pdf.pdf_of` lays it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Party:
    """Who sends it, or to whom: a name, and the lines below it."""

    name: str
    lines: Sequence[str] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """Of a table. Figures stand at the right; text takes the room that figures leave."""

    title: str
    is_figure: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """On the way from a quantity to an amount: "Free tier", "5,000 of 5,000 free", "$0.00"."""

    label: str
    detail: str
    amount: str


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a table with what explains it below: kept on one page, where it fits on one.

    `cells` are as many as the table has columns; `part` stands behind the first of them, in a quiet colour. `price`
    stands above the steps, `notes` below them.
    """

    cells: Sequence[str]
    part: str = ""
    price: Sequence[str] = ()
    steps: Sequence[Step] = ()
    notes: Sequence[str] = ()
    is_strong: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Its heading is repeated on each page. `empty` is said where there are no lines."""

    columns: Sequence[Column]
    lines: Sequence[Line]
    title: str = ""
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Sum:
    """A row at the right below the tables: a label, perhaps how it comes about, and an amount. A strong one has a rule
    above it."""

    label: str
    amount: str
    detail: str = ""
    is_strong: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """How the sender looks: a PNG or JPEG file with its size in pixels, a colour that is readable on white, and what
    its law has it say at the foot of every page."""

    logo: bytes = b""
    logo_size: tuple[int, int] = (0, 0)
    accent: str = ""
    legal: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Paper:
    """`made_at` is written into the file: the same paper with the same moment is the same file, byte for byte.

    `stamp` says what one must not overlook: "Void". `headline` is what most people look for: "$40.00 due 17 Dec 2026".
    `footer`, where to pay to, stands at the foot of every page, above what `look` has there.
    """

    title: str
    made_at: datetime
    seller: Party
    buyer: Party
    stamp: str = ""
    facts: Sequence[tuple[str, str]] = ()
    headline: str = ""
    opening: Sequence[str] = ()
    tables: Sequence[Table] = ()
    sums: Sequence[Sum] = ()
    notes: Sequence[str] = ()
    footer: Sequence[str] = ()
    look: Look = Look()
    language: str = "en"
