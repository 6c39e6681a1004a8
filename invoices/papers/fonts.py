"""The fonts of papers, and which of them prints a character. Pure.

Noto Sans has Latin, Greek and Cyrillic letters, WenQuanYi Micro Hei those of Chinese, Japanese and Korean (one weight).
Only the letters that are on a paper are written into its file.
"""

import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

FOLDER = Path(__file__).parent / "fonts"
EAST_ASIAN = "wqy-microhei.ttc"

# Stands for letters that no font has.
MISSING = "[?]"
LAST_OF_PLANE = 0xFFFF  # the files name letters by two bytes
RIGHT_TO_LEFT = ("R", "AL")  # would be printed in the wrong order
VARIANTS = {chr(code) for code in range(0xFE00, 0xFE10)}


class Chain:
    """Fonts of a weight: the first one that has a letter prints it. A font is known by the name of its file."""

    def __init__(self, *files: str) -> None:
        self.files = files
        self._glyphs: dict[str, tuple[str, Any] | None] = {}

    def glyph(self, char: str) -> tuple[str, Any] | None:
        """The font that prints a character, and how wide it is in thousandths of the size; None where none has it."""
        if char not in self._glyphs:
            self._glyphs[char] = self._find(char)
        return self._glyphs[char]

    def _find(self, char: str) -> tuple[str, Any] | None:
        code = ord(char)
        if code <= LAST_OF_PLANE and unicodedata.bidirectional(char) not in RIGHT_TO_LEFT:
            for file in self.files:
                face = face_of(file)
                if code in face.charToGlyph:
                    return file, face.charWidths.get(code, face.defaultWidth)
        return None


REGULAR = Chain("NotoSans-Regular.ttf", EAST_ASIAN)
BOLD = Chain("NotoSans-Bold.ttf", EAST_ASIAN)


@cache
def face_of(file: str) -> Any:
    """A font, read once in a process."""
    font = TTFont(file, str(FOLDER / file), asciiReadable=False, shapable=False)
    pdfmetrics.registerFont(font)
    return font.face


def clean(text: str) -> str:
    """`text` with composed letters, blanks for all that is blank, and without signs that are never seen."""
    composed = unicodedata.normalize("NFC", text)
    return "".join(_seen(char) for char in composed)


def _seen(char: str) -> str:
    category = unicodedata.category(char)
    if category in ("Zs", "Zl", "Zp", "Cc"):
        return " "
    return "" if category == "Cf" or char in VARIANTS else char


def printable(text: str) -> tuple[str, set[str]]:
    """`text` as it can be printed, and the letters that no font has: a run of them becomes MISSING."""
    if text.isascii() and text.isprintable():
        return text, set()
    kept: list[str] = []
    missing: set[str] = set()
    for has_glyph, run in groupby(clean(text), lambda char: REGULAR.glyph(char) is not None):
        chars = list(run)
        kept += chars if has_glyph else [MISSING]
        missing.update(() if has_glyph else chars)
    return "".join(kept), missing


def width_of(text: str, chain: Chain, size: int) -> Any:
    """How wide printable text is, in points."""
    return sum(glyph[1] for char in text if (glyph := chain.glyph(char))) * size / 1000


def runs_of(text: str, chain: Chain) -> Iterator[tuple[str, str]]:
    """Printable text in pieces of one font each: its name, and the piece."""
    for name, run in groupby(text, lambda char: (chain.glyph(char) or ("",))[0]):
        if name:
            yield name, "".join(run)


def wrapped(text: str, chain: Chain, size: int, width: Any) -> list[str]:
    """Printable text in lines of at most `width` points: broken at blanks and beside East Asian letters, and inside a
    word where that alone is too long."""
    lines: list[str] = []
    line, used = "", 0
    for word in _words(text):
        length = width_of(word, chain, size)
        if line and used + width_of(word.rstrip(), chain, size) > width:
            lines.append(line.rstrip())
            line, used = "", 0
        if length > width and width_of(word.rstrip(), chain, size) > width:
            *full, word = _cut(word, chain, size, width)
            lines += full
            length = width_of(word, chain, size)
        line, used = line + word, used + length
    return [*lines, line.rstrip()]


def _words(text: str) -> Iterator[str]:
    """Pieces between which a line may break, each with the blanks behind it."""
    word = ""
    for char in text:
        if word and char != " " and (word[-1] == " " or _is_wide(char) or _is_wide(word[-1])):
            yield word
            word = ""
        word += char
    if word:
        yield word


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in ("W", "F")


def _cut(word: str, chain: Chain, size: int, width: Any) -> list[str]:
    pieces = [""]
    for char in word:
        if pieces[-1] and width_of(pieces[-1] + char, chain, size) > width:
            pieces.append("")
        pieces[-1] += char
    return pieces
