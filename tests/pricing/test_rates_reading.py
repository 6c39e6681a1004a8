"""What rates accept, what they refuse, and how rates and steps are stored."""

import json
import time
from decimal import Decimal
from typing import Any

import pytest

from pricing.rates import RateError, Step, StepKind, parse_rate
from pricing.steps import StepError

STORY = {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"}
PER_UNIT = {"model": "per_unit", "unit_price": "0.01"}
TIERS = [
    {"up_to": "100", "unit_price": "0.1"},
    {"up_to": "250.5", "unit_price": "0.05", "flat_fee": "3"},
    {"up_to": None, "unit_price": "0.01", "flat_fee": "7"},
]
GRADUATED = {"model": "graduated", "tiers": TIERS}
VOLUME = {"model": "volume", "tiers": TIERS}
BLOCK_TIERS = [
    {"up_to": "1500", "block_size": "1000", "block_price": "5"},
    {"up_to": None, "block_size": "100", "block_price": "0.4", "flat_fee": "1"},
]
PERCENTAGE = {
    "model": "percentage",
    "rate_percent": "2.9",
    "fixed_fee_per_event": "0.3",
    "free_events": "10",
    "free_amount": "100",
    "per_event_min": "0.05",
    "per_event_max": "5",
}
PERCENT_TIERS = [{"up_to": "1000", "rate_percent": "2.5"}, {"up_to": None, "rate_percent": "1", "flat_fee": "3"}]
STAIRSTEP = {"model": "stairstep", "tiers": [{"up_to": "10", "flat_price": "0"}, {"up_to": None, "flat_price": "90"}]}


CANONICAL: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("the story rate is canonical", STORY, STORY),
    ("tiers are canonical", GRADUATED, GRADUATED),
    ("volume tiers are canonical", VOLUME, VOLUME),
    ("tiers of blocks are canonical", *2 * ({"model": "graduated_block", "tiers": BLOCK_TIERS},)),
    ("all units in blocks of a tier are canonical", *2 * ({"model": "volume_block", "tiers": BLOCK_TIERS},)),
    ("a percentage with all it may have is canonical", PERCENTAGE, PERCENTAGE),
    (
        "a percentage leaves out what does nothing, and keeps an allowance or a limit of zero",
        {
            "model": "percentage",
            "rate_percent": "2.90",
            "fixed_fee_per_event": "0.00",
            "free_events": "0",
            "free_amount": "0",
            "per_event_min": "0",
            "per_event_max": "0",
        },
        {
            "model": "percentage",
            "rate_percent": "2.9",
            "free_events": "0",
            "free_amount": "0",
            "per_event_max": "0",
        },
    ),
    ("a whole number of events may have zeros", {**PERCENTAGE, "free_events": "10.0"}, PERCENTAGE),
    ("free events as an int", {**PERCENTAGE, "free_events": 10}, PERCENTAGE),
    ("tiers of percentages are canonical", *2 * ({"model": "graduated_percentage", "tiers": PERCENT_TIERS},)),
    ("stairs are canonical", STAIRSTEP, STAIRSTEP),
    (
        "every model has included units and limits",
        {**PERCENTAGE, "included_units": 5, "minimum": "1", "maximum": "2"},
        {**PERCENTAGE, "included_units": "5", "minimum": "1", "maximum": "2"},
    ),
    ("ints are taken", {"model": "per_unit", "unit_price": 2}, {"model": "per_unit", "unit_price": "2"}),
    (
        "Decimals are taken",
        {"model": "per_unit", "unit_price": Decimal("2E+3")},
        {"model": "per_unit", "unit_price": "2000"},
    ),
    (
        "an exponent within the limits is taken",
        {"model": "per_unit", "unit_price": "1E-7"},
        {"model": "per_unit", "unit_price": "0.0000001"},
    ),
    (
        "15 decimals and then zeros",
        {"model": "per_unit", "unit_price": "0.000000000000001000"},
        {"model": "per_unit", "unit_price": "0.000000000000001"},
    ),
    (
        "defaults are left out",
        {**STORY, "included_units": "0.00", "minimum": "-0", "partial_block": "round_up"},
        {"model": "block", "block_size": "1000", "block_price": "5"},
    ),
    (
        "line limits are kept, a maximum of zero too",
        {**PER_UNIT, "minimum": "0", "maximum": "0"},
        {**PER_UNIT, "maximum": "0"},
    ),
    ("the largest number", {**PER_UNIT, "maximum": "1e24"}, {**PER_UNIT, "maximum": "1" + "0" * 24}),
]


@pytest.mark.parametrize(("given", "expected"), [row[1:] for row in CANONICAL], ids=[row[0] for row in CANONICAL])
def test_canonical_form(given: dict[str, Any], expected: dict[str, Any]) -> None:
    rate = parse_rate(given)
    assert rate.parameters() == expected
    assert parse_rate(json.loads(json.dumps(rate.parameters()))) == rate


def price(value: object) -> dict[str, object]:
    return {"model": "per_unit", "unit_price": value}


def tiers(*bounds: object) -> dict[str, object]:
    return {"model": "graduated", "tiers": [{"up_to": bound, "unit_price": "1"} for bound in bounds]}


REFUSED: list[tuple[str, object, str, str]] = [
    ("a list for a rate", [], "", "must be an object"),
    ("text for a rate", "per_unit", "", "must be an object"),
    ("nothing for a rate", None, "", "must be an object"),
    ("keys that are not text", {1: 2, "model": "per_unit"}, "", "must have text keys only"),
    ("an empty rate", {}, "model", "is missing"),
    (
        "a model nobody knows",
        {"model": "magic"},
        "model",
        "must be one of per_unit, block, graduated, volume, graduated_block, volume_block, percentage,"
        " graduated_percentage, stairstep",
    ),
    ("a list for a model", {"model": ["per_unit"]}, "model", "must be one of"),
    ("a missing price", {"model": "per_unit"}, "unit_price", "is missing"),
    ("a misspelt option", {**PER_UNIT, "include_units": "5"}, "include_units", "is not known here"),
    ("an option of another model", {**PER_UNIT, "block_size": "5"}, "block_size", "is not known here"),
    ("a hostile key", {**PER_UNIT, "<b>\n" * 99: 1}, "", "has a key that is not known here"),
    ("a float", price(0.5), "unit_price", "must be a number written as text"),
    ("a boolean", price(True), "unit_price", "must be a number written as text"),
    ("null", price(None), "unit_price", "must be a number written as text"),
    ("null for an option", {**PER_UNIT, "maximum": None}, "maximum", "must be a number written as text"),
    ("a nested list", price([[["1"]]]), "unit_price", "must be a number written as text"),
    ("an object for a number", price({"a": 1}), "unit_price", "must be a number written as text"),
    ("empty text", price(""), "unit_price", "must be a number written as text"),
    ("blank text", price(" 1"), "unit_price", "must be a number written as text"),
    ("a trailing newline", price("1\n"), "unit_price", "must be a number written as text"),
    ("words", price("five"), "unit_price", "must be a number written as text"),
    ("thousands separators", price("1,000"), "unit_price", "must be a number written as text"),
    ("underscores", price("1_000"), "unit_price", "must be a number written as text"),
    ("digits of another script", price("٣"), "unit_price", "must be a number written as text"),
    ("NaN as text", price("NaN"), "unit_price", "must be a number written as text"),
    ("Infinity as text", price("Infinity"), "unit_price", "must be a number written as text"),
    ("NaN", price(Decimal("NaN")), "unit_price", "must be a finite number"),
    ("a signalling NaN", price(Decimal("sNaN")), "unit_price", "must be a finite number"),
    ("Infinity", price(Decimal("-Infinity")), "unit_price", "must be a finite number"),
    ("a negative price", price("-0.01"), "unit_price", "must not be negative"),
    ("a huge negative number", price(-(10**5000)), "unit_price", "must not be negative"),
    ("16 decimals", price("0.0000000000000001"), "unit_price", "must not have more than 15 decimals"),
    ("a tiny exponent", price("1e-9999"), "unit_price", "must not have more than 15 decimals"),
    (
        "a price beyond 10^24",
        price("1000000000000000000000000.1"),
        "unit_price",
        "must not be greater than 10^24",
    ),
    (
        "a quantity beyond 10^24",
        {**PER_UNIT, "included_units": "1e25"},
        "included_units",
        "must not be greater",
    ),
    ("a large exponent", price("1e9999"), "unit_price", "must not be greater than 10^24"),
    ("a huge exponent", price("1e999999"), "unit_price", "must be a number written as text"),
    (
        "a huge exponent in a Decimal",
        price(Decimal("1e999999999")),
        "unit_price",
        "must not be greater than 10^24",
    ),
    ("a huge int", price(10**5000), "unit_price", "must not be greater than 10^24"),
    ("a very long text", price("1" * 101), "unit_price", "must not be longer than 100 characters"),
    ("an empty block", {**STORY, "block_size": "0"}, "block_size", "must be greater than 0"),
    (
        "a partial block nobody knows",
        {**STORY, "partial_block": "round"},
        "partial_block",
        "must be one of round_up",
    ),
    (
        "null for a partial block",
        {**STORY, "partial_block": None},
        "partial_block",
        "must be one of round_up",
    ),
    (
        "a maximum below the minimum",
        {**PER_UNIT, "minimum": "2", "maximum": "1"},
        "maximum",
        "must not be below",
    ),
    ("no tiers", {"model": "volume"}, "tiers", "is missing"),
    ("an empty list of tiers", tiers(), "tiers", "must be a list of at least one tier"),
    ("an object for tiers", {"model": "volume", "tiers": {}}, "tiers", "must be a list of at least one tier"),
    ("text for tiers", {"model": "volume", "tiers": "abc"}, "tiers", "must be a list of at least one tier"),
    ("a list for a tier", {"model": "volume", "tiers": [[]]}, "tiers[0]", "must be an object"),
    ("far too many tiers", tiers(*range(1, 1002)), "tiers", "must not have more than 1000 tiers"),
    (
        "a tier without a bound",
        {"model": "volume", "tiers": [{"unit_price": "1"}]},
        "tiers[0].up_to",
        "is missing",
    ),
    (
        "a tier without a price",
        {"model": "volume", "tiers": [{"up_to": None}]},
        "tiers[0].unit_price",
        "is missing",
    ),
    ("a last tier with a bound", tiers("1", "2"), "tiers[1].up_to", "must be null in the last tier"),
    (
        "an open tier in the middle",
        tiers("1", None, None),
        "tiers[1].up_to",
        "must be a number in every tier but",
    ),
    ("a first bound of zero", tiers("0", None), "tiers[0].up_to", "must be greater than 0"),
    (
        "bounds that repeat",
        tiers("5", "5.0", None),
        "tiers[1].up_to",
        "must be greater than the up_to of the tier",
    ),
    (
        "bounds that fall",
        tiers("5", "4", None),
        "tiers[1].up_to",
        "must be greater than the up_to of the tier",
    ),
    ("a float for a bound", tiers(5.0, None), "tiers[0].up_to", "must be a number written as text"),
    (
        "a misspelt key in a tier",
        {"model": "graduated", "tiers": [{"up_to": None, "unit_price": "1", "flat": "1"}]},
        "tiers[0].flat",
        "is not known here",
    ),
    (
        "a hostile key in a tier",
        {"model": "graduated", "tiers": [{"up_to": None, "unit_price": "1", "": "1"}]},
        "tiers[0]",
        "has a key that is not known here",
    ),
]
REFUSED += [
    ("a percentage without a rate", {"model": "percentage"}, "rate_percent", "is missing"),
    ("a negative percentage", {**PERCENTAGE, "rate_percent": "-1"}, "rate_percent", "must not be negative"),
    ("a part of a free event", {**PERCENTAGE, "free_events": "2.5"}, "free_events", "must be a whole number"),
    ("null free events", {**PERCENTAGE, "free_events": None}, "free_events", "must be a number written as text"),
    ("a float for a fee", {**PERCENTAGE, "fixed_fee_per_event": 0.3}, "fixed_fee_per_event", "must be a number"),
    (
        "a most of an event below its least",
        {**PERCENTAGE, "per_event_min": "6"},
        "per_event_max",
        "must not be below the per_event_min",
    ),
    ("an option of single events elsewhere", {**PER_UNIT, "free_events": "1"}, "free_events", "is not known here"),
    ("tiers of a percentage", {**PERCENTAGE, "tiers": PERCENT_TIERS}, "tiers", "is not known here"),
    (
        "a price for units in a tier of blocks",
        {"model": "volume_block", "tiers": [{**BLOCK_TIERS[1], "unit_price": "1"}]},
        "tiers[0].unit_price",
        "is not known here",
    ),
    (
        "an empty block in a tier",
        {"model": "graduated_block", "tiers": [BLOCK_TIERS[0], {**BLOCK_TIERS[1], "block_size": "0"}]},
        "tiers[1].block_size",
        "must be greater than 0",
    ),
    (
        "a tier of blocks without a price",
        {"model": "graduated_block", "tiers": [{"up_to": None, "block_size": "5"}]},
        "tiers[0].block_price",
        "is missing",
    ),
    (
        "a tier without a percentage",
        {"model": "graduated_percentage", "tiers": [{"up_to": None, "unit_price": "5"}]},
        "tiers[0].rate_percent",
        "is missing",
    ),
    (
        "a stair without a price",
        {"model": "stairstep", "tiers": [{"up_to": None}]},
        "tiers[0].flat_price",
        "is missing",
    ),
    (
        "a flat fee beside the flat price of a stair",
        {"model": "stairstep", "tiers": [{"up_to": None, "flat_price": "1", "flat_fee": "1"}]},
        "tiers[0].flat_fee",
        "is not known here",
    ),
    (
        "a last stair with a bound",
        {"model": "stairstep", "tiers": [{"up_to": "5", "flat_price": "1"}]},
        "tiers[0].up_to",
        "must be null in the last tier",
    ),
]


@pytest.mark.parametrize(
    ("parameters", "path", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_refused(parameters: Any, path: str, message: str) -> None:
    started = time.monotonic()
    with pytest.raises(RateError) as caught:
        parse_rate(parameters)
    assert time.monotonic() - started < 1
    assert caught.value.path == path
    assert caught.value.message.startswith(message)
    assert str(caught.value) == (f"{path}: {caught.value.message}" if path else caught.value.message)


def test_a_very_long_int_is_refused_quickly() -> None:
    started = time.monotonic()
    with pytest.raises(RateError, match=r"unit_price: must not be greater than 10\^24"):
        parse_rate(price(1 << 50_000_000))
    assert time.monotonic() - started < 1


def test_a_million_decimals_are_refused_quickly() -> None:
    started = time.monotonic()
    with pytest.raises(RateError, match="unit_price: must not have more than 15 decimals"):
        parse_rate(price(Decimal("1." + "0" * 1_000_000)))
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "units"},
        {"kind": "magic", "amount": "1"},
        {"kind": "units", "amount": 1},
        {"kind": "units", "amount": "NaN"},
        {"kind": "units", "amount": "one"},
        {"kind": "units", "amount": "1", "price": "1"},
        {"kind": "tier", "amount": "1", "tier": "0"},
        {"kind": "tier", "amount": "1", "tier": True},
        {"kind": "blocks", "amount": "1", "partial_block": 1},
    ],
    ids=str,
)
def test_a_stored_step_that_is_malformed_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(StepError):
        Step.from_dict(data)


def test_a_stored_step_comes_back_as_it_was() -> None:
    step = Step(kind=StepKind.TIER, amount=Decimal("1E+3"), quantity=Decimal("1.50"), tier=0, lower=Decimal(0))
    stored = step.to_dict()
    assert stored == {"kind": "tier", "amount": "1000", "quantity": "1.5", "tier": 0, "lower": "0"}
    assert Step.from_dict(json.loads(json.dumps(stored))) == step
