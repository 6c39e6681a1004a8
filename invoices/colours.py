"""One colour that staff give, and what pages, mails and papers make of it: readable in both schemes, or refused. Pure.

Contrast is that of WCAG 2: 4.5:1 for text and for what stands on buttons, 3:1 for marks, against every background that
static/css/tokens.css has. By its steps a colour only becomes darker or paler, and keeps its hue.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache

TEXT, MARK = Decimal("4.5"), Decimal(3)
STEPS = 255
Rgb = tuple[int, int, int]

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
# What accents stand on: --surface, --paper and --sunken, and the ink that stands on a wash of the accent.
LIGHT: tuple[Rgb, ...] = (WHITE, (0xF7, 0xF7, 0xF5), (0xF1, 0xF2, 0xEF))
DARK: tuple[Rgb, ...] = ((0x1B, 0x1F, 0x1D), (0x13, 0x16, 0x14), (0x23, 0x28, 0x26))
ON_DARK_ACCENT: Rgb = (0x0C, 0x1A, 0x16)
# How much of the colour is in a wash, and how far the colour moves where one points at it.
LIGHT_WASH, DARK_WASH, STRONG = 26, 38, 64


class ColourError(ValueError):
    """Says why a colour is refused; `nearest` is one that would do, if any."""

    def __init__(self, words: str, nearest: str = "") -> None:
        super().__init__(words)
        self.nearest = nearest


@dataclass(frozen=True, slots=True)
class Scheme:
    """What a scheme, light or dark, has in place of its tokens of the same names."""

    accent: str
    accent_strong: str
    accent_wash: str
    on_accent: str


@dataclass(frozen=True, slots=True)
class Accents:
    light: Scheme
    dark: Scheme


# Anybody may ask for any colour (portal/embedding/look.py), so not all of them are remembered.
@lru_cache(maxsize=256)
def accents_of(accent: str) -> Accents:
    """The tokens of both schemes. Raises ColourError for what is no colour, or cannot be made readable."""
    given = checked(accent)
    wash = mixed(given, LIGHT[0], STEPS - LIGHT_WASH)
    light = _moved(given, BLACK, TEXT, (*LIGHT, wash))
    dark_wash = mixed(given, DARK[0], STEPS - DARK_WASH)
    dark = _moved(given, WHITE, TEXT, (*DARK, dark_wash))
    return Accents(
        Scheme(hex_of(light), hex_of(mixed(light, BLACK, STRONG)), hex_of(wash), hex_of(WHITE)),
        Scheme(hex_of(dark), hex_of(mixed(dark, WHITE, STRONG)), hex_of(dark_wash), hex_of(ON_DARK_ACCENT)),
    )


def checked(accent: str) -> Rgb:
    """Reads "#0b6b58". Raises ColourError, with the nearest colour that would do where one is too pale: text can be
    made darker than a mark of the same colour without becoming another one, a colour that is hardly seen cannot."""
    given = read(accent)
    if _least(given, LIGHT) >= MARK:
        return given
    nearest = hex_of(_moved(given, BLACK, MARK, LIGHT))
    raise ColourError(
        f"{accent} is too pale to be seen on light pages: its contrast is {ratio_words(_least(given, LIGHT))}, and 3:1 "
        f"is needed. The nearest colour that would do is {nearest}.",
        nearest,
    )


def read(accent: str) -> Rgb:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", accent, re.ASCII):
        raise ColourError("Write a colour as # and six digits from 0 to f: #0b6b58.")
    return int(accent[1:3], 16), int(accent[3:5], 16), int(accent[5:7], 16)


def hex_of(colour: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def mixed(colour: Rgb, other: Rgb, share: int) -> Rgb:
    """`share` of 255 parts of the other colour."""
    red, green, blue = ((own * (STEPS - share) + its * share) // STEPS for own, its in zip(colour, other, strict=True))
    return red, green, blue


def contrast(one: Rgb, other: Rgb) -> Decimal:
    lower, higher = sorted((luminance(one), luminance(other)))
    return (higher + Decimal("0.05")) / (lower + Decimal("0.05"))


def luminance(colour: Rgb) -> Decimal:
    red, green, blue = (_linear(part) for part in colour)
    return Decimal("0.2126") * red + Decimal("0.7152") * green + Decimal("0.0722") * blue


def ratio_words(ratio: Decimal) -> str:
    """ "2.9:1", never more than it is."""
    tenths = int(ratio * 10)
    return f"{tenths // 10}.{tenths % 10}:1"


@cache
def _linear(part: int) -> Decimal:
    value = Decimal(part) / STEPS
    if value <= Decimal("0.04045"):
        return value / Decimal("12.92")
    base: Decimal = (value + Decimal("0.055")) / Decimal("1.055")
    return base ** Decimal("2.4")


def _least(colour: Rgb, backgrounds: Iterable[Rgb]) -> Decimal:
    return min(contrast(colour, background) for background in backgrounds)


def _moved(colour: Rgb, towards: Rgb, needed: Decimal, backgrounds: tuple[Rgb, ...]) -> Rgb:
    """The colour, moved no further than is needed for this contrast against all of the backgrounds."""
    ways = (mixed(colour, towards, share) for share in range(STEPS + 1))
    return next(way for way in ways if _least(way, backgrounds) >= needed)
