"""What holds for every rate and every quantity."""

import json
from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from meters.aggregation import plain
from pricing.rates import RateError, Step, charge, parse_rate
from pricing.steps import EXACT

ZERO = Decimal(0)


def numbers(largest: int, places: int) -> st.SearchStrategy[Decimal]:
    return st.integers(0, largest * 10**places).map(lambda digits: Decimal(digits).scaleb(-places, EXACT))


# Small ones meet bounds and limits often, large ones reach the ends of what is allowed.
quantities = st.one_of(numbers(60, 0), numbers(60, 2), numbers(10**24, 0), numbers(10**23, 20))
prices = st.one_of(numbers(5, 0), numbers(5, 2), numbers(10**24, 0), numbers(1, 15))
units = st.one_of(numbers(40, 0), numbers(40, 1), numbers(10**24, 0))


def texts(values: st.SearchStrategy[Decimal]) -> st.SearchStrategy[str]:
    return values.map(plain)


@st.composite
def tier_lists(draw: st.DrawFn, whole: bool = False) -> list[dict[str, object]]:
    bound = numbers(50, 0 if whole else 1).filter(bool)
    bounds: list[Decimal | None] = [*sorted(draw(st.sets(bound, max_size=4))), None]
    tiers: list[dict[str, object]] = []
    for up_to in bounds:
        tier: dict[str, object] = {
            "up_to": None if up_to is None else plain(up_to),
            "unit_price": draw(texts(prices)),
        }
        if draw(st.booleans()):
            tier["flat_fee"] = draw(texts(prices))
        tiers.append(tier)
    return tiers


per_unit = st.fixed_dictionaries({"model": st.just("per_unit"), "unit_price": texts(prices)})
block = st.fixed_dictionaries(
    {"model": st.just("block"), "block_size": texts(units.filter(bool)), "block_price": texts(prices)},
    optional={"partial_block": st.sampled_from(["round_up", "round_down", "prorate"])},
)
graduated = st.fixed_dictionaries({"model": st.just("graduated"), "tiers": tier_lists()})
volume = st.fixed_dictionaries({"model": st.just("volume"), "tiers": tier_lists()})


@st.composite
def with_options(draw: st.DrawFn, models: st.SearchStrategy[dict[str, Any]], limits: bool = True) -> dict[str, Any]:
    rate = dict(draw(models))
    if draw(st.booleans()):
        rate["included_units"] = draw(texts(units))
    if limits and draw(st.booleans()):
        rate["minimum"] = draw(texts(prices))
    if limits and draw(st.booleans()):
        rate["maximum"] = plain(max(draw(prices), Decimal(rate.get("minimum", "0"))))
    return rate


rates = with_options(st.one_of(per_unit, block, graduated, volume))
rising = with_options(st.one_of(per_unit, block, graduated))


def total(values: Iterable[Decimal]) -> Decimal:
    with localcontext(EXACT):
        return sum(values, ZERO)


@given(rates, quantities)
def test_the_steps_sum_to_the_amount_and_to_the_quantity(parameters: dict[str, Any], quantity: Decimal) -> None:
    charged = charge(parse_rate(parameters), quantity)
    assert total(step.amount for step in charged.steps) == charged.amount
    assert total(step.quantity for step in charged.steps) == quantity


@given(rates, quantities)
def test_a_charge_is_never_negative_and_stays_within_its_limits(parameters: dict[str, Any], quantity: Decimal) -> None:
    amount = charge(parse_rate(parameters), quantity).amount
    assert amount >= Decimal(parameters.get("minimum", "0"))
    assert "maximum" not in parameters or amount <= Decimal(parameters["maximum"])


@given(rates, quantities)
def test_negative_usage_costs_what_no_usage_costs(parameters: dict[str, Any], quantity: Decimal) -> None:
    rate = parse_rate(parameters)
    assert charge(rate, quantity.copy_negate()) == charge(rate, ZERO)


@given(rising, quantities, quantities)
def test_more_usage_never_costs_less(parameters: dict[str, Any], one: Decimal, other: Decimal) -> None:
    rate = parse_rate(parameters)
    less, more = sorted((one, other))
    assert charge(rate, less).amount <= charge(rate, more).amount


@given(with_options(st.one_of(per_unit, block, graduated, volume)), units, numbers(10**20, 3))
def test_included_units_shift_the_curve(parameters: dict[str, Any], included: Decimal, quantity: Decimal) -> None:
    included = min(included, Decimal(10) ** 23)
    without = {key: value for key, value in parameters.items() if key != "included_units"}
    shifted = parse_rate({**without, "included_units": plain(included)})
    usage = EXACT.add(quantity, included)
    assert charge(shifted, usage).amount == charge(parse_rate(without), quantity).amount


@given(with_options(st.one_of(per_unit, block, graduated, volume), limits=False), units)
def test_usage_within_the_included_units_is_free(parameters: dict[str, Any], included: Decimal) -> None:
    rate = parse_rate({**parameters, "included_units": plain(included)})
    assert charge(rate, included).amount == 0


@given(tier_lists(whole=True), st.integers(0, 70))
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


@given(tier_lists(whole=True), st.integers(1, 70))
def test_volume_prices_all_units_like_the_last_one(tiers: list[dict[str, Any]], quantity: int) -> None:
    tier = next(tier for tier in tiers if tier["up_to"] is None or quantity <= Decimal(tier["up_to"]))
    with localcontext(EXACT):
        expected = quantity * Decimal(tier["unit_price"]) + Decimal(tier.get("flat_fee", "0"))
    assert charge(parse_rate({"model": "volume", "tiers": tiers}), Decimal(quantity)).amount == expected


@given(block.filter(lambda rate: rate.get("partial_block") != "prorate"), quantities)
def test_whole_blocks_hold_the_quantity_and_no_more(parameters: dict[str, Any], quantity: Decimal) -> None:
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
def test_prorating_lies_between_rounding_down_and_up(parameters: dict[str, Any], quantity: Decimal) -> None:
    down, exact, up = (
        charge(parse_rate({**parameters, "partial_block": how}), quantity).amount
        for how in ("round_down", "prorate", "round_up")
    )
    # Whole blocks beyond 60 digits are where the prorated amount itself is rounded.
    assert down <= exact <= up or max(len(plain(down)), len(plain(up))) > 60


@given(rates)
def test_the_canonical_form_reads_back_as_the_same_rate(parameters: dict[str, Any]) -> None:
    rate = parse_rate(parameters)
    stored = rate.parameters()
    assert parse_rate(json.loads(json.dumps(stored))) == rate
    assert parse_rate(stored).parameters() == stored


@given(rates, quantities)
def test_stored_steps_read_back_as_the_same_steps(parameters: dict[str, Any], quantity: Decimal) -> None:
    for step in charge(parse_rate(parameters), quantity).steps:
        assert Step.from_dict(json.loads(json.dumps(step.to_dict()))) == step


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
    ),
    max_leaves=12,
)
KEYS = [
    "unit_price",
    "block_size",
    "block_price",
    "partial_block",
    "tiers",
    "included_units",
    "minimum",
    "maximum",
]
almost = st.fixed_dictionaries(
    {"model": st.one_of(st.sampled_from(["per_unit", "block", "graduated", "volume"]), garbage)},
    optional=dict.fromkeys(KEYS, garbage),
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
def test_garbage_is_refused_with_a_path_or_is_a_rate(parameters: Any) -> None:
    error = refusal(parameters)
    if error is not None:
        assert error.message
        assert str(error) == (f"{error.path}: {error.message}" if error.path else error.message)


@given(rates, st.data())
def test_one_bad_value_anywhere_is_refused_at_its_path(parameters: dict[str, Any], data: st.DataObject) -> None:
    places: list[tuple[str, dict[str, Any], str]] = [(key, parameters, key) for key in parameters if key != "tiers"]
    for index, tier in enumerate(parameters.get("tiers", [])):
        places += [(f"tiers[{index}].{key}", tier, key) for key in tier]
    path, holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(st.sampled_from([1.5, True, "", "-1", "nan", [], {}, b"1", "1e999999"]))
    error = refusal(parameters)
    assert error is not None
    assert error.path == path
