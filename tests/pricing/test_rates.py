"""What rates accept, what they refuse, and what they charge, as tables of sentences."""

import json
import time
from decimal import Decimal, localcontext
from typing import Any

import pytest

from meters.aggregation import plain
from pricing.rates import RateError, Step, StepKind, charge, parse_rate
from pricing.steps import EXACT, StepError

STORY = {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"}
PER_UNIT = {"model": "per_unit", "unit_price": "0.01"}
TIERS = [
    {"up_to": "100", "unit_price": "0.1"},
    {"up_to": "250.5", "unit_price": "0.05", "flat_fee": "3"},
    {"up_to": None, "unit_price": "0.01", "flat_fee": "7"},
]
GRADUATED = {"model": "graduated", "tiers": TIERS}
VOLUME = {"model": "volume", "tiers": TIERS}


def amount(parameters: dict[str, Any], quantity: str) -> Decimal:
    return charge(parse_rate(parameters), Decimal(quantity)).amount


def steps(parameters: dict[str, Any], quantity: str) -> list[tuple[str, str, str]]:
    """Kind, quantity and amount of every step."""
    charged = charge(parse_rate(parameters), Decimal(quantity))
    return [(step.kind.value, plain(step.quantity), plain(step.amount)) for step in charged.steps]


AMOUNTS = [
    ("the story: no calls owe nothing", STORY, "0", "0"),
    ("the story: one call is free", STORY, "1", "0"),
    ("the story: exactly the free calls owe nothing", STORY, "5000", "0"),
    ("the story: the first call beyond starts a block", STORY, "5001", "5"),
    ("the story: exactly one block", STORY, "6000", "5"),
    ("the story: the second block starts", STORY, "6001", "10"),
    ("the story: 7,300 billable calls are 8 started blocks", STORY, "12300", "40"),
    ("a fraction of a unit starts a block", STORY, "5000.000001", "5"),
    ("a negative quantity is priced as zero", STORY, "-12300", "0"),
    ("a negative quantity beyond all limits too", STORY, "-1e999999", "0"),
    ("negative zero is zero", STORY, "-0", "0"),
    ("rounding down drops the partial block", {**STORY, "partial_block": "round_down"}, "12300", "35"),
    ("rounding down keeps full blocks", {**STORY, "partial_block": "round_down"}, "12000", "35"),
    ("less than a block rounded down is free", {**STORY, "partial_block": "round_down"}, "5999", "0"),
    (
        "prorating charges a partial block in proportion",
        {**STORY, "partial_block": "prorate"},
        "12300",
        "36.5",
    ),
    ("per unit", PER_UNIT, "12300", "123"),
    ("per unit, fractions of units", PER_UNIT, "0.5", "0.005"),
    ("per unit, free of charge", {**PER_UNIT, "unit_price": "0"}, "12300", "0"),
    ("per unit, after included units", {**PER_UNIT, "included_units": "2300"}, "12300", "100"),
    ("per unit, fewer than the included units", {**PER_UNIT, "included_units": "2300"}, "2299", "0"),
    ("graduated: zero usage enters no tier", GRADUATED, "0", "0"),
    ("graduated: the bound belongs to the lower tier", GRADUATED, "100", "10"),
    ("graduated: a little above the bound owes the flat fee", GRADUATED, "100.1", "13.005"),
    ("graduated: a decimal bound belongs to the lower tier", GRADUATED, "250.5", "20.525"),
    ("graduated: all tiers", GRADUATED, "350.5", "28.525"),
    ("graduated: tiers count after the included units", {**GRADUATED, "included_units": "100"}, "200", "10"),
    ("volume: zero usage enters no tier", VOLUME, "0", "0"),
    ("volume: the bound belongs to the lower tier", VOLUME, "100", "10"),
    ("volume: the tier reached prices all units", VOLUME, "200", "13"),
    ("volume: only the fee of the tier reached", VOLUME, "1000", "17"),
    ("volume: the rest decides the tier", {**VOLUME, "included_units": "100"}, "200", "10"),
    ("a flat fee of the first tier is not owed without usage", {**GRADUATED, "tiers": [TIERS[2]]}, "0", "0"),
    (
        "a flat fee of the first tier is owed from the first unit",
        {**GRADUATED, "tiers": [TIERS[2]]},
        "1",
        "7.01",
    ),
    ("the minimum lifts the line", {**PER_UNIT, "minimum": "10"}, "5", "10"),
    ("the minimum is owed without usage", {**PER_UNIT, "minimum": "10"}, "0", "10"),
    ("the minimum is owed inside the free tier", {**STORY, "minimum": "10"}, "4000", "10"),
    ("the minimum does nothing once met", {**PER_UNIT, "minimum": "10"}, "1000", "10"),
    ("the maximum cuts the line", {**PER_UNIT, "maximum": "10"}, "12300", "10"),
    ("the maximum does nothing until passed", {**PER_UNIT, "maximum": "10"}, "1000", "10"),
    ("a maximum of zero makes the line free", {**PER_UNIT, "maximum": "0"}, "12300", "0"),
    ("minimum and maximum may be the same", {**PER_UNIT, "minimum": "10", "maximum": "10"}, "12300", "10"),
]


@pytest.mark.parametrize(
    ("parameters", "quantity", "expected"), [row[1:] for row in AMOUNTS], ids=[row[0] for row in AMOUNTS]
)
def test_amount(parameters: dict[str, Any], quantity: str, expected: str) -> None:
    assert amount(parameters, quantity) == Decimal(expected)


STEPS = [
    ("nothing used and nothing free has no steps", PER_UNIT, "0", []),
    ("unused free units are told", STORY, "0", [("included", "0", "0")]),
    ("usage inside the free tier has no block step", STORY, "3200", [("included", "3200", "0")]),
    ("included, then blocks", STORY, "12300", [("included", "5000", "0"), ("blocks", "7300", "40")]),
    (
        "a partial block rounded to none still carries its units",
        {**STORY, "partial_block": "round_down"},
        "5700",
        [("included", "5000", "0"), ("blocks", "700", "0")],
    ),
    (
        "graduated: a step for each tier and each flat fee",
        GRADUATED,
        "350.5",
        [
            ("tier", "100", "10"),
            ("tier", "150.5", "7.525"),
            ("flat_fee", "0", "3"),
            ("tier", "100", "1"),
            ("flat_fee", "0", "7"),
        ],
    ),
    ("volume: one step for all units", VOLUME, "200", [("volume", "200", "10"), ("flat_fee", "0", "3")]),
    (
        "the minimum is a difference",
        {**PER_UNIT, "minimum": "10"},
        "400",
        [("units", "400", "4"), ("minimum", "0", "6")],
    ),
    (
        "the maximum is a negative difference",
        {**PER_UNIT, "maximum": "3"},
        "400",
        [("units", "400", "4"), ("maximum", "0", "-1")],
    ),
]


@pytest.mark.parametrize(
    ("parameters", "quantity", "expected"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS]
)
def test_steps(parameters: dict[str, Any], quantity: str, expected: list[tuple[str, str, str]]) -> None:
    assert steps(parameters, quantity) == expected


def test_the_block_step_says_how_its_blocks_came_about() -> None:
    step = charge(parse_rate(STORY), Decimal(12300)).steps[1]
    assert step.to_dict() == {
        "kind": "blocks",
        "quantity": "7300",
        "blocks": "8",
        "block_size": "1000",
        "block_price": "5",
        "partial_block": "round_up",
        "amount": "40",
    }


def test_a_tier_step_says_which_tier() -> None:
    step = charge(parse_rate(GRADUATED), Decimal(200)).steps[1]
    assert (step.tier, step.lower, step.upper) == (1, Decimal(100), Decimal("250.5"))
    last = charge(parse_rate(VOLUME), Decimal(300)).steps[0]
    assert (last.tier, last.lower, last.upper) == (2, Decimal("250.5"), None)


def test_numbers_of_a_rate_print_without_an_exponent() -> None:
    assert str(parse_rate({**STORY, "included_units": Decimal("5E+3")}).included_units) == "5000"


def test_no_digit_is_lost_at_the_limits() -> None:
    quantity, price = "999999999999999999999999", "0.000000000000001"
    assert amount({**PER_UNIT, "unit_price": price}, quantity) == Decimal("999999999.999999999999999")
    fine = "123456789012345678901234.123456789012345"
    tiers = [{"up_to": "1", "unit_price": price}, {"up_to": None, "unit_price": fine}]
    with localcontext(EXACT):
        assert amount({**PER_UNIT, "unit_price": fine}, quantity) == Decimal(quantity) * Decimal(fine)
        expected = Decimal(price) + (Decimal(quantity) - 1) * Decimal(fine)
    assert amount({"model": "graduated", "tiers": tiers}, quantity) == expected


def test_whole_blocks_are_counted_exactly_at_the_limits() -> None:
    rate = {"model": "block", "block_size": "3", "block_price": "1"}
    assert amount(rate, "999999999999999999999999") == Decimal("3" * 24)
    assert amount(rate, "1" + "0" * 24) == Decimal("3" * 23 + "4")
    tiny = {"model": "block", "block_size": "0.000000000000001", "block_price": "1"}
    assert amount(tiny, "1" + "0" * 24) == Decimal(10) ** 39


def test_a_prorated_block_that_never_ends_has_60_digits() -> None:
    rate = {"model": "block", "block_size": "3", "block_price": "1", "partial_block": "prorate"}
    assert amount(rate, "1") == Decimal("0." + "3" * 60)
    assert amount(rate, "3") == Decimal(1)


@pytest.mark.parametrize(
    "quantity", ["NaN", "sNaN", "Infinity", "-Infinity", "1" + "0" * 39 + "01", "1e999999", "1e-61"]
)
def test_a_quantity_outside_the_limits_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match=r"^a quantity must"):
        amount(PER_UNIT, quantity)


@pytest.mark.parametrize("quantity", [1, 1.5, "1", None, True])
def test_a_quantity_that_is_not_a_decimal_is_refused(quantity: Any) -> None:
    with pytest.raises(TypeError):
        charge(parse_rate(PER_UNIT), quantity)


CANONICAL: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("the story rate is canonical", STORY, STORY),
    ("tiers are canonical", GRADUATED, GRADUATED),
    ("volume tiers are canonical", VOLUME, VOLUME),
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
        "must be one of per_unit, block, graduated, volume, graduated_block, volume_block, percentage, graduated_percentage, stairstep",
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
