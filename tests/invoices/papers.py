"""PDF files read back."""

from dataclasses import dataclass
from io import BytesIO
from typing import Any

from pypdf import PdfReader

from invoices.papers.fonts import REGULAR, width_of


@dataclass(frozen=True)
class Word:
    """A piece of text as it was placed: `y` from the bottom of the page."""

    text: str
    x: float
    y: float
    size: float


def reader(pdf: bytes) -> PdfReader:
    return PdfReader(BytesIO(pdf), strict=True)


def texts(pdf: bytes) -> list[str]:
    """The text of each page, a line for each piece."""
    return [page.extract_text() for page in reader(pdf).pages]


def text(pdf: bytes) -> str:
    return "\n".join(texts(pdf))


def rows(pdf: bytes) -> list[str]:
    """The lines of all pages as they are seen: pieces of one height side by side."""
    found = []
    for page in words(pdf):
        heights: dict[float, list[Word]] = {}
        for word in page:
            heights.setdefault(round(word.y, 1), []).append(word)
        for _, some in sorted(heights.items(), reverse=True):
            found.append(" | ".join(word.text for word in sorted(some, key=lambda word: word.x)))
    return found


def words(pdf: bytes) -> list[list[Word]]:
    """By page, each piece of text with its place."""
    pages = []
    for page in reader(pdf).pages:
        placed: list[Word] = []

        def see(said: str, cm: Any, tm: Any, font: Any, size: float, placed: list[Word] = placed) -> None:
            if said.strip():
                placed.append(Word(said.strip(), tm[4], tm[5], size))

        page.extract_text(visitor_text=see)
        pages.append(placed)
    return pages


def right_edge(word: Word, chain: Any = REGULAR) -> float:
    return word.x + float(width_of(word.text, chain, int(word.size)))
