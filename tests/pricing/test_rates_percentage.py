"""What a percentage charges, as a whole and event by event."""

from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext
from typing import Any

import pytest

from meters.aggregation import plain
from pricing.rates import StepKind, charge, needs_events, parse_rate
from pricing.steps import EXACT

RATE = {"model": "percentage", "rate_percent": "2.9"}
FEE = {**RATE, "fixed_fee_per_event": "0.30"}
ALL = {**FEE, "free_events": "10", "free_amount": "100", "per_event_min": "0.05", "per_event_max": "5"}
# One percent and a fee of one: what paid the rate and what paid the fee can be told apart.
PLAIN = {"model": "percentage", "rate_percent": "1", "fixed_fee_per_event": "1"}


def amount(parameters: dict[str, Any], values: Sequence[str]) -> Decimal:
    events = [Decimal(value) for value in values]
    return charge(parse_rate(parameters), sum(events, Decimal(0)), events).amount


WITHOUT_EVENTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("no amount owes nothing", RATE, "0", "0"),
    ("a negative amount owes nothing", RATE, "-100", "0"),
    ("a share of the amount", RATE, "1000", "29"),
    ("a share is not rounded", RATE, "0.01", "0.00029"),
    ("more than all of it", {**RATE, "rate_percent": "250"}, "10", "25"),
    ("after included units", {**RATE, "included_units": "900"}, "1000", "2.9"),
    ("with a minimum", {**RATE, "minimum": "50"}, "1000", "50"),
    ("with a maximum", {**RATE, "maximum": "20"}, "1000", "20"),
    ("a free amount alone comes off the sum", {**RATE, "free_amount": "900"}, "1000", "2.9"),
    ("less than the free amount", {**RATE, "free_amount": "900"}, "800", "0"),
]


@pytest.mark.parametrize(
    ("parameters", "quantity", "expected"), [row[1:] for row in WITHOUT_EVENTS], ids=[row[0] for row in WITHOUT_EVENTS]
)
def test_amount_of_a_quantity(parameters: dict[str, Any], quantity: str, expected: str) -> None:
    assert charge(parse_rate(parameters), Decimal(quantity)).amount == Decimal(expected)


EVENTS: list[tuple[str, dict[str, Any], list[str], str]] = [
    ("no events owe nothing", FEE, [], "0"),
    ("rate and fee of each event", PLAIN, ["100", "200"], "5"),
    ("an event of nothing owes the fee", PLAIN, ["0"], "1"),
    ("a correction owes nothing", PLAIN, ["100", "-30"], "2"),
    ("corrections only owe nothing", {**PLAIN, "per_event_min": "5"}, ["-30"], "0"),
    ("a correction is none of the free events", {**PLAIN, "free_events": "1"}, ["-30", "100", "100"], "2"),
    ("a correction gives nothing of the free amount back", {**PLAIN, "free_amount": "5"}, ["5", "-5", "100"], "2"),
    ("free events are the first ones", {**PLAIN, "free_events": "2"}, ["100", "100", "300"], "4"),
    ("as many events as are free owe nothing", {**PLAIN, "free_events": "2"}, ["100", "100"], "0"),
    ("no free events", {**PLAIN, "free_events": "0"}, ["100"], "2"),
    ("free events in order, not the dearest", {**PLAIN, "free_events": "1"}, ["1", "1000"], "11"),
    ("inside the free amount all is free", {**PLAIN, "free_amount": "300"}, ["100", "100"], "0"),
    ("exactly the free amount is free", {**PLAIN, "free_amount": "300"}, ["100", "200"], "0"),
    (
        "the event that crosses the free amount pays the rate on the excess and the whole fee",
        {**PLAIN, "free_amount": "300"},
        ["100", "250"],
        "1.5",
    ),
    ("the first event may cross the free amount", {**PLAIN, "free_amount": "300"}, ["1000"], "8"),
    ("after the free amount events pay in full", {**PLAIN, "free_amount": "300"}, ["300", "100"], "2"),
    ("a free amount of nothing is used up", {**PLAIN, "free_amount": "0"}, ["100", "0"], "3"),
    ("an event of nothing after the free amount owes the fee", {**PLAIN, "free_amount": "5"}, ["5", "0"], "1"),
    ("an event of nothing within the free amount is free", {**PLAIN, "free_amount": "5"}, ["0", "5"], "0"),
    (
        "the events run out before the amount",
        {**PLAIN, "free_events": "2", "free_amount": "1000"},
        ["1", "1", "100"],
        "2",
    ),
    (
        "the amount runs out before the events",
        {**PLAIN, "free_events": "5", "free_amount": "100"},
        ["50", "150", "100"],
        "4",
    ),
    ("no free events, and so no free amount", {**PLAIN, "free_events": "0", "free_amount": "100"}, ["50"], "1.5"),
    ("no free amount, and so no free events", {**PLAIN, "free_events": "9", "free_amount": "0"}, ["50"], "1.5"),
    ("at least so much of an event", {**PLAIN, "per_event_min": "2"}, ["10", "500"], "8"),
    ("at most so much of an event", {**PLAIN, "per_event_max": "2"}, ["10", "500"], "3.1"),
    ("the limits bound rate and fee together", {**PLAIN, "per_event_max": "0.5"}, ["10", "0"], "1"),
    ("an event that costs at most nothing", {**PLAIN, "per_event_max": "0"}, ["10"], "0"),
    ("least and most may be the same", {**PLAIN, "per_event_min": "3", "per_event_max": "3"}, ["1", "900"], "6"),
    ("without a fee the least counts too", {**RATE, "per_event_min": "1"}, ["1", "0"], "2"),
    ("a wholly free event pays not even the least", {**PLAIN, "free_events": "1", "per_event_min": "5"}, ["10"], "0"),
    (
        "the event that crosses the free amount owes the least too",
        {**PLAIN, "free_amount": "10", "per_event_min": "5"},
        ["11"],
        "5",
    ),
    ("all of it", ALL, ["60", "60", "230", "1"], "6.209"),
    ("limits of the line come last", {**ALL, "maximum": "6"}, ["60", "60", "230", "1"], "6"),
    ("the line's minimum is owed without events", {**ALL, "minimum": "6"}, [], "6"),
    ("included units come off the first events", {**PLAIN, "included_units": "150"}, ["100", "100", "100"], "3.5"),
    ("an event inside the included units is none", {**PLAIN, "included_units": "150"}, ["0", "100", "50"], "0"),
    (
        "free events are counted after the included units",
        {**PLAIN, "included_units": "150", "free_events": "1"},
        ["100", "100", "100"],
        "2",
    ),
]


@pytest.mark.parametrize(
    ("parameters", "values", "expected"), [row[1:] for row in EVENTS], ids=[row[0] for row in EVENTS]
)
def test_amount_of_events(parameters: dict[str, Any], values: list[str], expected: str) -> None:
    assert amount(parameters, values) == Decimal(expected)


def test_the_order_of_events_counts() -> None:
    rate = {**PLAIN, "free_events": "1"}
    assert amount(rate, ["1", "1000"]) == 11
    assert amount(rate, ["1000", "1"]) == Decimal("1.01")


def test_events_are_gone_through_once() -> None:
    def values() -> Iterator[Decimal]:
        yield from (Decimal(100), Decimal(250))

    rate = parse_rate({**PLAIN, "free_amount": "300"})
    assert charge(rate, Decimal(350), values()).amount == Decimal("1.5")


def test_the_steps_tell_what_events_paid() -> None:
    events = [Decimal(value) for value in ("60", "60", "230", "1", "0")]
    steps = charge(parse_rate({**ALL, "fixed_fee_per_event": "0.04"}), Decimal(351), events).steps
    assert [step.to_dict() for step in steps] == [
        {
            "kind": "percentage",
            "quantity": "351",
            "percent": "2.9",
            "base": "251",
            "events": 5,
            "free_events": 1,
            "amount": "7.279",
        },
        {"kind": "event_fees", "quantity": "0", "unit_price": "0.04", "events": 4, "amount": "0.16"},
        {"kind": "event_limits", "quantity": "0", "events": 1, "of": "0.05", "amount": "0.01"},
        {"kind": "event_limits", "quantity": "0", "events": 1, "of": "5", "amount": "-1.71"},
    ]


def test_steps_that_say_nothing_are_left_out() -> None:
    kinds = [step.kind for step in charge(parse_rate(ALL), Decimal(60), [Decimal(60)]).steps]
    assert kinds == [StepKind.PERCENTAGE]
    assert charge(parse_rate(ALL), Decimal(0), []).steps == ()


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({}, False),
        ({"fixed_fee_per_event": "0"}, False),
        ({"per_event_min": "0"}, False),
        ({"included_units": "5", "minimum": "1", "maximum": "2"}, False),
        ({"fixed_fee_per_event": "0.3"}, True),
        ({"free_events": "0"}, True),
        ({"free_events": "10"}, True),
        ({"free_amount": "100"}, True),
        ({"per_event_min": "0.01"}, True),
        ({"per_event_max": "0"}, True),
        ({"per_event_max": "5"}, True),
    ],
    ids=str,
)
def test_which_percentages_need_events(extra: dict[str, str], expected: bool) -> None:
    assert needs_events(parse_rate({**RATE, **extra})) is expected


@pytest.mark.parametrize("rate", [FEE, ALL, {**RATE, "free_events": "1"}, {**RATE, "per_event_max": "5"}])
def test_a_rate_that_needs_events_is_not_guessed_without(rate: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="was not told them"):
        charge(parse_rate(rate), Decimal(1))
    with pytest.raises(ValueError, match="was not told them"):
        charge(parse_rate(rate), Decimal(1), iter(()))


def test_no_usage_has_no_events() -> None:
    assert charge(parse_rate(ALL), Decimal(0)).amount == 0
    assert charge(parse_rate({**ALL, "minimum": "3"}), Decimal(-5)).amount == 3


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e71", "1e-71"])
def test_an_event_outside_the_limits_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"^a quantity must"):
        charge(parse_rate(FEE), Decimal(1), [Decimal(value)])


def test_an_event_that_is_not_a_decimal_is_refused() -> None:
    with pytest.raises(TypeError):
        charge(parse_rate(FEE), Decimal(1), [1])  # type: ignore[list-item]


def test_no_digit_is_lost_in_the_sum_of_events() -> None:
    fine = "0.000000000000001"
    events = [Decimal(10) ** 24, Decimal(fine)]
    with localcontext(EXACT):
        quantity = sum(events, Decimal(0))
    rate = parse_rate({"model": "percentage", "rate_percent": fine, "fixed_fee_per_event": fine})
    assert plain(charge(rate, quantity, events).amount) == "10000000.00000000000000200000000000000001"
