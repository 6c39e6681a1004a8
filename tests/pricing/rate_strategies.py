"""Rates, quantities and events for tests of what holds for all of them."""

from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import Any

from hypothesis import strategies as st

from meters.aggregation import plain
from pricing.steps import EXACT

ZERO = Decimal(0)

Parameters = dict[str, Any]


def numbers(largest: int, places: int) -> st.SearchStrategy[Decimal]:
    return st.integers(0, largest * 10**places).map(lambda digits: Decimal(digits).scaleb(-places, EXACT))


# Small ones meet bounds and limits often, large ones reach the ends of what is allowed.
quantities = st.one_of(numbers(60, 0), numbers(60, 2), numbers(10**24, 0), numbers(10**23, 20))
# What a meter can make of values (a percentile lies between two), the sum over events and seconds, and its multiplier.
metered = st.builds(
    lambda value, times, multiplier: EXACT.multiply(EXACT.multiply(value, Decimal(times)), multiplier),
    st.one_of(numbers(10**24, 0), numbers(10**24, 37)),
    st.integers(1, 10**22),
    st.one_of(numbers(10**24, 0), numbers(10**24, 30)),
)
prices = st.one_of(numbers(5, 0), numbers(5, 2), numbers(10**24, 0), numbers(1, 15))
units = st.one_of(numbers(40, 0), numbers(40, 1), numbers(10**24, 0))
# The values of events in order; often some of nothing among them.
events = st.lists(st.one_of(st.just(ZERO), numbers(20, 0), numbers(20, 2), numbers(10**23, 3)), max_size=12)


def texts(values: st.SearchStrategy[Decimal]) -> st.SearchStrategy[str]:
    return values.map(plain)


def total(values: Iterable[Decimal]) -> Decimal:
    with localcontext(EXACT):
        return sum(values, ZERO)


@st.composite
def tier_lists(
    draw: st.DrawFn, required: dict[str, st.SearchStrategy[str]], flat_fee: bool = True, whole: bool = False
) -> list[dict[str, object]]:
    bound = numbers(50, 0 if whole else 1).filter(bool)
    bounds: list[Decimal | None] = [*sorted(draw(st.sets(bound, max_size=4))), None]
    tiers: list[dict[str, object]] = []
    for up_to in bounds:
        tier: dict[str, object] = {"up_to": None if up_to is None else plain(up_to)}
        tier |= {name: draw(values) for name, values in required.items()}
        if flat_fee and draw(st.booleans()):
            tier["flat_fee"] = draw(texts(prices))
        tiers.append(tier)
    return tiers


def tiered(model: str, tiers: st.SearchStrategy[list[dict[str, object]]]) -> st.SearchStrategy[Parameters]:
    return st.fixed_dictionaries({"model": st.just(model), "tiers": tiers})


def unit_tiers(whole: bool = False) -> st.SearchStrategy[list[dict[str, object]]]:
    return tier_lists({"unit_price": texts(prices)}, whole=whole)


block_tiers = tier_lists({"block_size": texts(units.filter(bool)), "block_price": texts(prices)})
percent_tiers = tier_lists({"rate_percent": texts(prices)})
stairs = tier_lists({"flat_price": texts(prices)}, flat_fee=False)

per_unit = st.fixed_dictionaries({"model": st.just("per_unit"), "unit_price": texts(prices)})
block = st.fixed_dictionaries(
    {"model": st.just("block"), "block_size": texts(units.filter(bool)), "block_price": texts(prices)},
    optional={"partial_block": st.sampled_from(["round_up", "round_down", "prorate"])},
)
graduated = tiered("graduated", unit_tiers())
volume = tiered("volume", unit_tiers())
graduated_block = tiered("graduated_block", block_tiers)
volume_block = tiered("volume_block", block_tiers)
graduated_percentage = tiered("graduated_percentage", percent_tiers)
stairstep = tiered("stairstep", stairs)
percentage = st.fixed_dictionaries(
    {"model": st.just("percentage"), "rate_percent": texts(prices)}, optional={"free_amount": texts(units)}
)


@st.composite
def with_options(draw: st.DrawFn, models: st.SearchStrategy[Parameters], limits: bool = True) -> Parameters:
    rate = dict(draw(models))
    if draw(st.booleans()):
        rate["included_units"] = draw(texts(units))
    if limits and draw(st.booleans()):
        rate["minimum"] = draw(texts(prices))
    if limits and draw(st.booleans()):
        rate["maximum"] = plain(max(draw(prices), Decimal(rate.get("minimum", "0"))))
    return rate


@st.composite
def _by_event(draw: st.DrawFn) -> Parameters:
    rate: Parameters = {"model": "percentage", "rate_percent": draw(texts(prices))}
    options = {
        "fixed_fee_per_event": texts(prices),
        "free_events": st.integers(0, 8).map(str),
        "free_amount": texts(numbers(40, 1)),
        "per_event_min": texts(prices),
    }
    rate |= {name: draw(values) for name, values in options.items() if draw(st.booleans())}
    if draw(st.booleans()):
        rate["per_event_max"] = plain(max(draw(prices), Decimal(rate.get("per_event_min", "0"))))
    return rate


by_event = _by_event()

# More usage never costs less.
RISING = st.one_of(per_unit, block, graduated, graduated_block, graduated_percentage, percentage)
MODELS = st.one_of(RISING, volume, volume_block, stairstep)
rates = with_options(MODELS)
