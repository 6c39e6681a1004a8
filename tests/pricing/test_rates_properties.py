"""What holds for every rate and every quantity."""

import json
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from meters.aggregation import plain
from pricing.explain import describe_rate, rows, sentences
from pricing.money import format_money
from pricing.rates import RateError, Step, charge, needs_events, parse_rate, scaled
from pricing.steps import EXACT
from tests.pricing.rate_strategies import (
    MODELS,
    RISING,
    ZERO,
    Parameters,
    block,
    by_event,
    graduated_block,
    graduated_percentage,
    metered,
    numbers,
    per_unit,
    quantities,
    rates,
    stairstep,
    total,
    unit_tiers,
    units,
    volume_block,
    with_options,
)


@given(rates, quantities)
def test_the_steps_sum_to_the_amount_and_to_the_quantity(parameters: Parameters, quantity: Decimal) -> None:
    charged = charge(parse_rate(parameters), quantity)
    assert total(step.amount for step in charged.steps) == charged.amount
    assert total(step.quantity for step in charged.steps) == quantity


@given(st.one_of(rates, with_options(by_event)), metered)
def test_all_that_is_metered_is_charged_and_no_digit_is_lost(parameters: Parameters, quantity: Decimal) -> None:
    charged = charge(parse_rate(parameters), quantity, [quantity])
    assert sum(Fraction(step.amount) for step in charged.steps) == Fraction(charged.amount)
    assert sum(Fraction(step.quantity) for step in charged.steps) == Fraction(quantity)
    assert format_money(charged.amount, "USD")


@given(per_unit, metered)
def test_a_unit_price_is_owed_for_all_that_is_metered(parameters: Parameters, quantity: Decimal) -> None:
    amount = charge(parse_rate(parameters), quantity).amount
    assert Fraction(amount) == Fraction(quantity) * Fraction(parameters["unit_price"])


@given(rates, quantities)
def test_a_charge_is_never_negative_and_stays_within_its_limits(parameters: Parameters, quantity: Decimal) -> None:
    amount = charge(parse_rate(parameters), quantity).amount
    assert amount >= Decimal(parameters.get("minimum", "0"))
    assert "maximum" not in parameters or amount <= Decimal(parameters["maximum"])


@given(st.one_of(rates, with_options(by_event)), quantities)
def test_negative_usage_costs_what_no_usage_costs(parameters: Parameters, quantity: Decimal) -> None:
    rate = parse_rate(parameters)
    assert charge(rate, quantity.copy_negate()) == charge(rate, ZERO)


@given(with_options(RISING), quantities, quantities)
def test_more_usage_never_costs_less(parameters: Parameters, one: Decimal, other: Decimal) -> None:
    rate = parse_rate(parameters)
    less, more = sorted((one, other))
    assert charge(rate, less).amount <= charge(rate, more).amount


@given(rates, units, numbers(10**20, 3))
def test_included_units_shift_the_curve(parameters: Parameters, included: Decimal, quantity: Decimal) -> None:
    included = min(included, Decimal(10) ** 23)
    without = {key: value for key, value in parameters.items() if key != "included_units"}
    shifted = parse_rate({**without, "included_units": plain(included)})
    usage = EXACT.add(quantity, included)
    assert charge(shifted, usage).amount == charge(parse_rate(without), quantity).amount


@given(with_options(MODELS, limits=False), units)
def test_usage_within_the_included_units_is_free(parameters: Parameters, included: Decimal) -> None:
    rate = parse_rate({**parameters, "included_units": plain(included)})
    assert charge(rate, included).amount == 0


@given(unit_tiers(whole=True), st.integers(0, 70))
def test_graduated_is_the_sum_of_the_prices_of_its_units(tiers: list[dict[str, Any]], quantity: int) -> None:
    bounds = [ZERO if tier["up_to"] is None else Decimal(tier["up_to"]) for tier in tiers]
    expected: list[Decimal] = []
    entered = set()
    for unit in range(1, quantity + 1):
        index = next((i for i, bound in enumerate(bounds[:-1]) if unit <= bound), len(tiers) - 1)
        expected.append(Decimal(tiers[index]["unit_price"]))
        if index not in entered:
            entered.add(index)
            expected.append(Decimal(tiers[index].get("flat_fee", "0")))
    charged = charge(parse_rate({"model": "graduated", "tiers": tiers}), Decimal(quantity))
    assert charged.amount == total(expected)


def within(tiers: list[dict[str, Any]], quantity: Decimal) -> list[tuple[dict[str, Any], Decimal]]:
    """The tiers that a quantity enters, each with what of it lies inside."""
    inside, lower = [], ZERO
    for tier in tiers:
        upper = quantity if tier["up_to"] is None else min(quantity, Decimal(tier["up_to"]))
        if upper > lower:
            inside.append((tier, EXACT.subtract(upper, lower)))
            lower = upper
    return inside


def reached(tiers: list[dict[str, Any]], quantity: Decimal) -> dict[str, Any]:
    return next(tier for tier in tiers if tier["up_to"] is None or quantity <= Decimal(tier["up_to"]))


def with_fee(amount: Decimal, tier: dict[str, Any]) -> Decimal:
    return EXACT.add(amount, Decimal(tier.get("flat_fee", "0")))


def in_blocks(tier: dict[str, Any], quantity: Decimal) -> Decimal:
    own = {"model": "block", "block_size": tier["block_size"], "block_price": tier["block_price"]}
    return charge(parse_rate(own), quantity).amount


@given(graduated_block, quantities)
def test_blocks_of_tiers_are_blocks_of_what_lies_inside_each(parameters: Parameters, quantity: Decimal) -> None:
    expected = [with_fee(in_blocks(tier, part), tier) for tier, part in within(parameters["tiers"], quantity)]
    assert charge(parse_rate(parameters), quantity).amount == total(expected)


@given(graduated_percentage, quantities)
def test_percentages_of_tiers_are_shares_of_what_lies_inside_each(parameters: Parameters, quantity: Decimal) -> None:
    expected = [
        with_fee(EXACT.multiply(part, Decimal(tier["rate_percent"])).scaleb(-2, EXACT), tier)
        for tier, part in within(parameters["tiers"], quantity)
    ]
    assert charge(parse_rate(parameters), quantity).amount == total(expected)


@given(volume_block, quantities.filter(bool))
def test_volume_blocks_are_blocks_of_the_tier_reached(parameters: Parameters, quantity: Decimal) -> None:
    tier = reached(parameters["tiers"], quantity)
    assert charge(parse_rate(parameters), quantity).amount == with_fee(in_blocks(tier, quantity), tier)


@given(stairstep, quantities.filter(bool))
def test_a_stair_costs_its_price_and_nothing_else(parameters: Parameters, quantity: Decimal) -> None:
    tier = reached(parameters["tiers"], quantity)
    assert charge(parse_rate(parameters), quantity).amount == Decimal(tier["flat_price"])


@given(unit_tiers(whole=True), st.integers(1, 70))
def test_volume_prices_all_units_like_the_last_one(tiers: list[dict[str, Any]], quantity: int) -> None:
    tier = reached(tiers, Decimal(quantity))
    with localcontext(EXACT):
        expected = quantity * Decimal(tier["unit_price"]) + Decimal(tier.get("flat_fee", "0"))
    assert charge(parse_rate({"model": "volume", "tiers": tiers}), Decimal(quantity)).amount == expected


@given(block.filter(lambda rate: rate.get("partial_block") != "prorate"), quantities)
def test_whole_blocks_hold_the_quantity_and_no_more(parameters: Parameters, quantity: Decimal) -> None:
    blocks = charge(parse_rate(parameters), quantity).steps[0].blocks if quantity else ZERO
    assert blocks is not None
    assert blocks == blocks.to_integral_value(context=EXACT)
    size = Decimal(parameters["block_size"])
    with localcontext(EXACT):
        over = blocks * size - quantity
        if parameters.get("partial_block") == "round_down":
            assert -size < over <= 0
        else:
            assert 0 <= over < size


@given(block, quantities)
def test_prorating_lies_between_rounding_down_and_up(parameters: Parameters, quantity: Decimal) -> None:
    down, exact, up = (
        charge(parse_rate({**parameters, "partial_block": how}), quantity).amount
        for how in ("round_down", "prorate", "round_up")
    )
    # Whole blocks beyond 60 digits are where the prorated amount itself is rounded.
    assert down <= exact <= up or max(len(plain(down)), len(plain(up))) > 60


@given(rates, st.integers(1, 31), st.integers(1, 31))
def test_a_rate_of_some_days_is_a_rate(parameters: Parameters, one: int, other: int) -> None:
    rate = parse_rate(parameters)
    days, of_days = sorted((one, other))
    part = scaled(rate, days, of_days)
    assert parse_rate(part.parameters()) == part
    assert part.included_units <= rate.included_units
    assert (part.minimum, part.maximum) == (rate.minimum, rate.maximum)


@given(with_options(st.one_of(MODELS, by_event)), st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_the_included_units_of_the_parts_are_those_of_the_whole(parameters: Parameters, parts: list[int]) -> None:
    rate = parse_rate(parameters)
    shares = [scaled(rate, days, sum(parts)).included_units for days in parts]
    assert abs(EXACT.subtract(total(shares), rate.included_units)) <= Decimal("1e-15") * len(parts)


@given(st.one_of(rates, with_options(by_event)))
def test_the_canonical_form_reads_back_as_the_same_rate(parameters: Parameters) -> None:
    rate = parse_rate(parameters)
    stored = rate.parameters()
    assert parse_rate(json.loads(json.dumps(stored))) == rate
    assert parse_rate(stored).parameters() == stored
    assert needs_events(parse_rate(stored)) == needs_events(rate)


@given(rates, quantities)
def test_stored_steps_read_back_as_the_same_steps(parameters: Parameters, quantity: Decimal) -> None:
    for step in charge(parse_rate(parameters), quantity).steps:
        assert Step.from_dict(json.loads(json.dumps(step.to_dict()))) == step


@given(rates, quantities)
def test_every_charge_and_every_rate_can_be_worded(parameters: Parameters, quantity: Decimal) -> None:
    rate = parse_rate(parameters)
    steps = charge(rate, quantity).steps
    assert len(rows(steps, unit="calls", currency="USD")) == len(steps)
    assert all(sentence.endswith(".") for sentence in sentences(steps, unit="calls", currency="USD"))
    assert all(describe_rate(rate, unit="calls", currency="USD"))


garbage = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.decimals(),
        st.text(max_size=20),
        st.sampled_from(["1", "-1", "1e999999", "1e-999999", "per_unit", "volume", "NaN", "round_up"]),
        st.binary(max_size=4),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=5), st.integers(), st.none()), inner, max_size=4),
        st.fixed_dictionaries({"up_to": inner, "unit_price": inner}),
        st.fixed_dictionaries({"up_to": inner, "block_size": inner, "block_price": inner}),
        st.fixed_dictionaries({"up_to": inner, "rate_percent": inner}, optional={"flat_fee": inner}),
        st.fixed_dictionaries({"up_to": inner, "flat_price": inner}),
    ),
    max_leaves=12,
)
NAMES = [
    "per_unit",
    "block",
    "graduated",
    "volume",
    "graduated_block",
    "volume_block",
    "percentage",
    "graduated_percentage",
    "stairstep",
]
KEYS = [
    "unit_price",
    "block_size",
    "block_price",
    "partial_block",
    "tiers",
    "rate_percent",
    "fixed_fee_per_event",
    "free_events",
    "free_amount",
    "per_event_min",
    "per_event_max",
    "included_units",
    "minimum",
    "maximum",
]
almost = st.fixed_dictionaries(
    {"model": st.one_of(st.sampled_from(NAMES), garbage)}, optional=dict.fromkeys(KEYS, garbage)
)


def refusal(parameters: Any) -> RateError | None:
    """Why a rate is refused, None if it is not. Any other exception is a fault."""
    try:
        rate = parse_rate(parameters)
    except RateError as error:
        return error
    assert parse_rate(rate.parameters()) == rate
    return None


@given(st.one_of(garbage, almost))
@example({"model": {}})
@example({"model": "per_unit", "unit_price": "1e999999"})
@example({"model": "percentage", "rate_percent": "1", "free_events": "1e24"})
@example({"model": "percentage", "rate_percent": "1", "free_events": "1e-9999"})
def test_garbage_is_refused_with_a_path_or_is_a_rate(parameters: Any) -> None:
    error = refusal(parameters)
    if error is not None:
        assert error.message
        assert str(error) == (f"{error.path}: {error.message}" if error.path else error.message)


@given(with_options(st.one_of(MODELS, by_event)), st.data())
def test_one_bad_value_anywhere_is_refused_at_its_path(parameters: Parameters, data: st.DataObject) -> None:
    places: list[tuple[str, dict[str, Any], str]] = [(key, parameters, key) for key in parameters if key != "tiers"]
    for index, tier in enumerate(parameters.get("tiers", [])):
        places += [(f"tiers[{index}].{key}", tier, key) for key in tier]
    path, holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(st.sampled_from([1.5, True, "", "-1", "nan", [], {}, b"1", "1e999999"]))
    error = refusal(parameters)
    assert error is not None
    assert error.path == path
