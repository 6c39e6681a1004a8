"""The accent: readable on every background of both schemes, or refused with one that would do."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoices.colours import (
    DARK,
    LIGHT,
    MARK,
    TEXT,
    ColourError,
    accents_of,
    checked,
    contrast,
    hex_of,
    luminance,
    mixed,
    ratio_words,
    read,
)

TOKENS = Path(__file__).parents[2] / "static/css/tokens.css"
COLOURS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000000", "#ffffff", "21.0:1"), ("#ffffff", "#ffffff", "1.0:1"), ("#777777", "#ffffff", "4.4:1")],
)
def test_contrast_is_that_of_wcag(one: str, other: str, ratio: str) -> None:
    assert ratio_words(contrast(read(one), read(other))) == ratio
    assert contrast(read(one), read(other)) == contrast(read(other), read(one))


def test_the_backgrounds_are_those_of_the_tokens() -> None:
    css = TOKENS.read_text()
    found = [re.search(rf"--{name}: light-dark\((#\w+), (#\w+)\)", css) for name in ("surface", "paper", "sunken")]
    pairs = [match.groups() for match in found if match]
    assert [hex_of(colour) for colour in LIGHT] == [light for light, _ in pairs]
    assert [hex_of(colour) for colour in DARK] == [dark for _, dark in pairs]


@given(COLOURS)
def test_any_colour_is_readable_in_both_schemes_or_refused_with_one_that_is_taken(accent: str) -> None:
    try:
        tokens = accents_of(accent)
    except ColourError as error:
        assert min(contrast(read(accent), background) for background in LIGHT) < MARK
        tokens = accents_of(error.nearest)
    for scheme, backgrounds in ((tokens.light, LIGHT), (tokens.dark, DARK)):
        for background in (*backgrounds, read(scheme.accent_wash)):
            assert contrast(read(scheme.accent), background) >= TEXT
        for fill in (scheme.accent, scheme.accent_strong):
            assert contrast(read(scheme.on_accent), read(fill)) >= TEXT


def test_one_that_is_readable_stays_as_it_is() -> None:
    assert accents_of("#0b6b58").light.accent == "#0b6b58"
    assert accents_of("#0000ff").light.accent == "#0000ff"


def test_one_that_is_nearly_readable_is_made_darker_for_text_and_keeps_its_hue() -> None:
    light = read(accents_of("#3b82f6").light.accent)
    assert luminance(light) < luminance(read("#3b82f6"))
    assert light[0] < light[1] < light[2]


def test_the_nearest_is_the_palest_of_its_hue_that_would_do() -> None:
    with pytest.raises(
        ColourError, match=r"#ffd400 is too pale to be seen on light pages: its contrast is 1\.2:1"
    ) as e:
        checked("#ffd400")
    nearest = read(e.value.nearest)
    assert e.value.nearest in str(e.value)
    assert checked(e.value.nearest) == nearest
    ways = [mixed(read("#ffd400"), (0, 0, 0), share) for share in range(256)]
    paler = ways[ways.index(nearest) - 1]
    with pytest.raises(ColourError):
        checked(hex_of(paler))


@pytest.mark.parametrize(
    "text", ["", "red", "#fff", "#12345g", "0b6b58", "#0b6b58 ", "#0b6b58;}", "#٠٠٠٠٠٠", "\n#0b6b58"]
)
def test_what_is_no_colour_is_refused_in_words(text: str) -> None:
    with pytest.raises(ColourError, match="# and six digits"):
        accents_of(text)
