"""What rates charge, as tables of sentences."""

from decimal import Decimal, localcontext
from typing import Any

import pytest

from meters.aggregation import plain
from pricing.rates import charge, parse_rate
from pricing.steps import EXACT

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
    "quantity", ["NaN", "sNaN", "Infinity", "-Infinity", "1" + "0" * 69 + "01", "1e999999", "1e-71"]
)
def test_a_quantity_outside_the_limits_is_refused(quantity: str) -> None:
    with pytest.raises(ValueError, match=r"^a quantity must"):
        amount(PER_UNIT, quantity)


@pytest.mark.parametrize("quantity", [1, 1.5, "1", None, True])
def test_a_quantity_that_is_not_a_decimal_is_refused(quantity: Any) -> None:
    with pytest.raises(TypeError):
        charge(parse_rate(PER_UNIT), quantity)
