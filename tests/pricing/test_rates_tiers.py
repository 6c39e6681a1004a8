"""What the models with tiers of blocks, of percentages and of flat prices charge, and how a rate is scaled."""

import json
from decimal import Decimal
from typing import Any

import pytest

from meters.aggregation import plain
from pricing.rates import Step, charge, needs_events, parse_rate, scaled

BLOCK_TIERS = [
    {"up_to": "1500", "block_size": "1000", "block_price": "5"},
    {"up_to": "2000.5", "block_size": "100", "block_price": "0.4", "flat_fee": "1"},
    {"up_to": None, "block_size": "0.5", "block_price": "0.01"},
]
GRADUATED_BLOCK = {"model": "graduated_block", "tiers": BLOCK_TIERS}
VOLUME_BLOCK = {"model": "volume_block", "tiers": BLOCK_TIERS}
GRADUATED_PERCENTAGE = {
    "model": "graduated_percentage",
    "tiers": [
        {"up_to": "1000", "rate_percent": "2.5", "flat_fee": "2"},
        {"up_to": "5000", "rate_percent": "1"},
        {"up_to": None, "rate_percent": "0.125", "flat_fee": "3"},
    ],
}
STAIRSTEP = {
    "model": "stairstep",
    "tiers": [
        {"up_to": "10", "flat_price": "0"},
        {"up_to": "50.5", "flat_price": "20"},
        {"up_to": None, "flat_price": "90"},
    ],
}


AMOUNTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("graduated blocks: zero usage owes nothing", GRADUATED_BLOCK, "0", "0"),
    ("graduated blocks: one unit starts a block", GRADUATED_BLOCK, "1", "5"),
    ("graduated blocks: the bound belongs to the lower tier", GRADUATED_BLOCK, "1500", "10"),
    ("graduated blocks: a tier rounds its own partial block", GRADUATED_BLOCK, "1500.1", "11.4"),
    ("graduated blocks: the blocks of a tier begin at its bound", GRADUATED_BLOCK, "1600", "11.4"),
    ("graduated blocks: the second block of the second tier", GRADUATED_BLOCK, "1601", "11.8"),
    ("graduated blocks: all of the second tier", GRADUATED_BLOCK, "2000.5", "13.4"),
    ("graduated blocks: all tiers", GRADUATED_BLOCK, "2002", "13.43"),
    ("graduated blocks after included units", {**GRADUATED_BLOCK, "included_units": "100"}, "1600", "10"),
    ("volume blocks: zero usage owes nothing", VOLUME_BLOCK, "0", "0"),
    ("volume blocks: the bound belongs to the lower tier", VOLUME_BLOCK, "1500", "10"),
    ("volume blocks: all units in blocks of the tier reached", VOLUME_BLOCK, "1501", "7.4"),
    ("volume blocks: full blocks", VOLUME_BLOCK, "1600", "7.4"),
    ("volume blocks: the last tier", VOLUME_BLOCK, "2001", "40.02"),
    ("volume blocks: the rest decides the tier", {**VOLUME_BLOCK, "included_units": "501"}, "2001", "10"),
    ("percentages of tiers: zero usage owes nothing", GRADUATED_PERCENTAGE, "0", "0"),
    ("percentages of tiers: the first tier and its fee", GRADUATED_PERCENTAGE, "100", "4.5"),
    ("percentages of tiers: the bound belongs to the lower tier", GRADUATED_PERCENTAGE, "1000", "27"),
    ("percentages of tiers: each part at its own", GRADUATED_PERCENTAGE, "6000", "71.25"),
    ("percentages of tiers are never rounded", GRADUATED_PERCENTAGE, "5000.01", "70.0000125"),
    ("percentages of tiers after included units", {**GRADUATED_PERCENTAGE, "included_units": "5000"}, "6000", "27"),
    ("percentages of tiers with a maximum", {**GRADUATED_PERCENTAGE, "maximum": "50"}, "6000", "50"),
    ("stairs: zero usage owes nothing", {**STAIRSTEP, "tiers": STAIRSTEP["tiers"][2:]}, "0", "0"),
    ("stairs: the first step", STAIRSTEP, "10", "0"),
    ("stairs: just above it", STAIRSTEP, "10.000001", "20"),
    ("stairs: the bound belongs to the lower step", STAIRSTEP, "50.5", "20"),
    ("stairs: the last step has no end", STAIRSTEP, "999999", "90"),
    ("stairs: the rest decides the step", {**STAIRSTEP, "included_units": "45"}, "55", "0"),
    ("stairs: all usage is included", {**STAIRSTEP, "included_units": "100"}, "100", "0"),
    ("stairs with a minimum", {**STAIRSTEP, "minimum": "7"}, "5", "7"),
]


@pytest.mark.parametrize(
    ("parameters", "quantity", "expected"), [row[1:] for row in AMOUNTS], ids=[row[0] for row in AMOUNTS]
)
def test_amount(parameters: dict[str, Any], quantity: str, expected: str) -> None:
    assert charge(parse_rate(parameters), Decimal(quantity)).amount == Decimal(expected)


@pytest.mark.parametrize("parameters", [GRADUATED_BLOCK, VOLUME_BLOCK, GRADUATED_PERCENTAGE, STAIRSTEP])
@pytest.mark.parametrize("quantity", ["-1", "-0", "-1e999999"])
def test_negative_usage_owes_nothing(parameters: dict[str, Any], quantity: str) -> None:
    assert charge(parse_rate(parameters), Decimal(quantity)).amount == 0


@pytest.mark.parametrize("parameters", [GRADUATED_BLOCK, VOLUME_BLOCK, GRADUATED_PERCENTAGE, STAIRSTEP])
def test_a_quantity_is_enough_and_events_change_nothing(parameters: dict[str, Any]) -> None:
    rate = parse_rate(parameters)
    assert not needs_events(rate)
    assert charge(rate, Decimal(1700), [Decimal(900), Decimal(800)]) == charge(rate, Decimal(1700))


STEPS: list[tuple[dict[str, Any], str, list[dict[str, object]]]] = [
    (
        {**GRADUATED_BLOCK, "included_units": "10"},
        "1720",
        [
            {"kind": "included", "quantity": "10", "of": "10", "amount": "0"},
            {
                "kind": "tier",
                "quantity": "1500",
                "blocks": "2",
                "block_size": "1000",
                "block_price": "5",
                "partial_block": "round_up",
                "tier": 0,
                "lower": "0",
                "upper": "1500",
                "amount": "10",
            },
            {
                "kind": "tier",
                "quantity": "210",
                "blocks": "3",
                "block_size": "100",
                "block_price": "0.4",
                "partial_block": "round_up",
                "tier": 1,
                "lower": "1500",
                "upper": "2000.5",
                "amount": "1.2",
            },
            {"kind": "flat_fee", "quantity": "0", "tier": 1, "lower": "1500", "upper": "2000.5", "amount": "1"},
        ],
    ),
    (
        VOLUME_BLOCK,
        "3000",
        [
            {
                "kind": "volume",
                "quantity": "3000",
                "blocks": "6000",
                "block_size": "0.5",
                "block_price": "0.01",
                "partial_block": "round_up",
                "tier": 2,
                "lower": "2000.5",
                "amount": "60",
            }
        ],
    ),
    (
        GRADUATED_PERCENTAGE,
        "400",
        [
            {
                "kind": "tier",
                "quantity": "400",
                "percent": "2.5",
                "base": "400",
                "tier": 0,
                "lower": "0",
                "upper": "1000",
                "amount": "10",
            },
            {"kind": "flat_fee", "quantity": "0", "tier": 0, "lower": "0", "upper": "1000", "amount": "2"},
        ],
    ),
    (
        STAIRSTEP,
        "12",
        [{"kind": "flat_price", "quantity": "12", "tier": 1, "lower": "10", "upper": "50.5", "amount": "20"}],
    ),
]


@pytest.mark.parametrize(("parameters", "quantity", "expected"), STEPS, ids=[row[0]["model"] for row in STEPS])
def test_steps(parameters: dict[str, Any], quantity: str, expected: list[dict[str, object]]) -> None:
    steps = charge(parse_rate(parameters), Decimal(quantity)).steps
    stored = [step.to_dict() for step in steps]
    assert stored == expected
    assert [Step.from_dict(step) for step in json.loads(json.dumps(stored))] == list(steps)


def test_no_digit_of_a_percentage_is_lost() -> None:
    fine = "123456789012345678901234.123456789012345"
    tiers = [{"up_to": "0.000000000000001", "rate_percent": fine}, {"up_to": None, "rate_percent": fine}]
    amount = charge(parse_rate({"model": "graduated_percentage", "tiers": tiers}), Decimal(10) ** 24).amount
    assert plain(amount) == "1234567890123456789012341234567890123450000000"


# --- Rates for a part of a period ---


VOLUME = {"model": "volume", "minimum": "4", "maximum": "400"}
LAST = {"up_to": None, "unit_price": "1"}
SCALED: list[tuple[str, dict[str, Any], int, int, dict[str, Any]]] = [
    (
        "included units",
        {"model": "per_unit", "unit_price": "1", "included_units": "5000"},
        10,
        31,
        {"model": "per_unit", "unit_price": "1", "included_units": "1612.903225806451613"},
    ),
    (
        "a half is rounded away from zero",
        {"model": "per_unit", "unit_price": "1", "included_units": "0.000000000000001"},
        1,
        2,
        {"model": "per_unit", "unit_price": "1", "included_units": "0.000000000000001"},
    ),
    (
        "bounds of tiers, and neither prices nor fees nor limits of the line",
        {**VOLUME, "tiers": [{"up_to": "30", "unit_price": "2", "flat_fee": "3"}, LAST]},
        15,
        30,
        {**VOLUME, "tiers": [{"up_to": "15", "unit_price": "2", "flat_fee": "3"}, LAST]},
    ),
    (
        "blocks keep their size",
        {**GRADUATED_BLOCK, "included_units": "1"},
        1,
        4,
        {
            **GRADUATED_BLOCK,
            "tiers": [{**BLOCK_TIERS[0], "up_to": "375"}, {**BLOCK_TIERS[1], "up_to": "500.125"}, BLOCK_TIERS[2]],
            "included_units": "0.25",
        },
    ),
    (
        "stairs",
        STAIRSTEP,
        1,
        10,
        {
            "model": "stairstep",
            "tiers": [
                {"up_to": "1", "flat_price": "0"},
                {"up_to": "5.05", "flat_price": "20"},
                {"up_to": None, "flat_price": "90"},
            ],
        },
    ),
    (
        "what a percentage leaves free, events as whole ones",
        {"model": "percentage", "rate_percent": "1", "free_events": "3", "free_amount": "100", "per_event_max": "5"},
        1,
        2,
        {"model": "percentage", "rate_percent": "1", "free_events": "2", "free_amount": "50", "per_event_max": "5"},
    ),
    (
        "a tier that nothing fits into any more is left out",
        {
            "model": "graduated",
            "tiers": [
                {"up_to": "0.000000000000001", "unit_price": "1"},
                {"up_to": "0.000000000000002", "unit_price": "2"},
                {"up_to": None, "unit_price": "3"},
            ],
        },
        1,
        3,
        {
            "model": "graduated",
            "tiers": [{"up_to": "0.000000000000001", "unit_price": "2"}, {"up_to": None, "unit_price": "3"}],
        },
    ),
]


@pytest.mark.parametrize(
    ("parameters", "days", "of_days", "expected"), [row[1:] for row in SCALED], ids=[row[0] for row in SCALED]
)
def test_scaled(parameters: dict[str, Any], days: int, of_days: int, expected: dict[str, Any]) -> None:
    rate = scaled(parse_rate(parameters), days, of_days)
    assert rate.parameters() == expected
    assert parse_rate(rate.parameters()) == rate


def test_a_whole_period_has_the_whole_rate() -> None:
    rate = parse_rate(GRADUATED_BLOCK)
    assert scaled(rate, 31, 31) == rate


@pytest.mark.parametrize(("days", "of_days"), [(0, 30), (-1, 30), (31, 30), (0, 0)])
def test_days_that_are_not_some_of_all_days_are_refused(days: int, of_days: int) -> None:
    with pytest.raises(ValueError, match="some of all days"):
        scaled(parse_rate(STAIRSTEP), days, of_days)
