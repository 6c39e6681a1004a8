"""Documents as text: what is written is what is meant, and no number passes through a float."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.document_text import FORMATS, DocumentFault, read_text, write_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("form", FORMATS)
@given(document=st.dictionaries(TEXTS, VALUES, max_size=4))
def test_what_is_written_is_read_again(form: str, document: dict[str, Any]) -> None:
    assert read_text(write_text(document, form), form) == document


@pytest.mark.parametrize(
    "text", ["NO", "no", "yes", "on", "null", "true", "~", "", "1e3", "010", "12:30", "0x1F", "1_0"]
)
@pytest.mark.parametrize("form", FORMATS)
def test_text_stays_text(form: str, text: str) -> None:
    assert read_text(write_text({"a": text, "b": [text]}, form), form) == {"a": text, "b": [text]}


def test_yaml_as_people_write_it() -> None:
    written = """
    # The prices of 2027.
    key: Basic
    trial_days: 14
    rates:
      - product_item: ApiCalls
        where: {country: [NO, SE]}
        prorated: true
        parameters:
          model: graduated
          tiers:
            - {up_to: 010, unit_price: 0.1}
            - {up_to: null, unit_price: 1_000}
    since: 2027-01-01
    minimum:
    """
    assert read_text(written, "yaml") == {
        "key": "Basic",
        "trial_days": "14",
        "rates": [
            {
                "product_item": "ApiCalls",
                "where": {"country": ["NO", "SE"]},
                "prorated": True,
                "parameters": {
                    "model": "graduated",
                    "tiers": [{"up_to": "010", "unit_price": "0.1"}, {"up_to": None, "unit_price": "1_000"}],
                },
            }
        ],
        "since": "2027-01-01",
        "minimum": None,
    }


def test_numbers_of_json_keep_their_digits() -> None:
    assert read_text('{"a": 0.1, "b": 12345678901234567890.123, "c": 7}', "json") == {
        "a": Decimal("0.1"),
        "b": Decimal("12345678901234567890.123"),
        "c": 7,
    }


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", ""),
        ("json", "{"),
        ("json", '{"a": 1, "a": 2}'),
        ("json", '{"a": NaN}'),
        ("json", '{"a": {"b": Infinity}}'),
        ("json", "[" * 100_000),
        ("json", '{"a": 1e99999999999999999999}'),
        ("json", '{"a": 1e-99999999999999999999}'),
        ("yaml", "a: 1\na: 2"),
        ("yaml", "a: {b: 1, b: 2}"),
        ("yaml", "a: [1"),
        ("yaml", "a: !!python/object/apply:os.system [ls]"),
        ("yaml", "a: *nowhere"),
        ("yaml", "? [a, b]\n: 1"),
        ("yaml", "a: 1\n---\nb: 2"),
        ("yaml", "[" * 5_000),
        ("yaml", "a: \0"),
    ],
    ids=lambda value: value[:20],
)
def test_what_cannot_be_read_is_refused(form: str, text: str) -> None:
    with pytest.raises(DocumentFault, match=r"."):
        read_text(text, form)


@pytest.mark.parametrize(
    "text",
    [
        "!!bool x",
        "!!bool [true]",
        "!!null x",
        "!!int ''",
        "!!int 7",
        "!!float ''",
        "!!timestamp abc",
        "!!timestamp 2027-01-01",
        "!!binary x",
        "!!set {a}",
        "!!omap [a: 1]",
        "!!pairs [a: 1]",
        "!!map x",
        "!!map [a]",
        "!!seq x",
        "!!str [a]",
        "{!!merge x: {b: 1}}",
        '"\\UFFFFFFFF"',
    ],
)
def test_a_tag_that_is_not_known_or_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(DocumentFault, match=r"." if text.startswith('"') else r"line 2"):
        read_text(f"key: Basic\nname: {text}\n", "yaml")


@pytest.mark.parametrize(
    "text", ["a: &x [1]\nb: *x", "a: &x {b: 1}\nc:\n  <<: *x", "? &x a\n: *x", "a: &x\n  - *x", "a: 1\nb: *nowhere"]
)
def test_an_alias_is_refused(text: str) -> None:
    with pytest.raises(DocumentFault, match=r"\*\w+ is an alias: write out what it stands for\n.*line [23]"):
        read_text(text, "yaml")


def test_what_is_there_twice_is_written_twice() -> None:
    twice = {"region": ["eu", "us"]}
    document = {"rates": [{"where": twice}, {"where": twice}]}
    assert read_text(write_text(document, "yaml"), "yaml") == document


def test_tags_of_what_is_read_anyway() -> None:
    text = "a: !!bool true\nb: !!null ~\nc: !!str true\nd: !!seq [x]\ne: !!map {x: y}\n<<: {x: y}"
    assert read_text(text, "yaml") == {
        "a": True,
        "b": None,
        "c": "true",
        "d": ["x"],
        "e": {"x": "y"},
        "<<": {"x": "y"},
    }


def test_a_document_is_easy_to_compare() -> None:
    document = {"key": "Basic", "name": "Für alle", "rates": [{"product_item": "ApiCalls", "prices": ["1", None]}]}
    assert write_text(document, "yaml") == (
        "key: Basic\nname: Für alle\nrates:\n  - product_item: ApiCalls\n    prices:\n      - '1'\n      - null\n"
    )
    assert write_text({"name": "Für alle"}, "json") == '{\n  "name": "Für alle"\n}\n'
