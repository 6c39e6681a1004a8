"""What holds for every percentage of single events, whatever they are."""

import json
from collections.abc import Sequence
from decimal import Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from meters.aggregation import plain
from pricing.explain import describe_rate, rows, sentences
from pricing.rates import Step, charge, parse_rate
from pricing.steps import EXACT
from tests.pricing.rate_strategies import (
    Parameters,
    by_event,
    events,
    numbers,
    total,
    units,
    with_options,
)


def by_definition(parameters: Parameters, values: Sequence[Decimal]) -> Decimal:
    """What events cost, each told by its number and by the sum before it, without going on from the one before."""
    amounts = []
    for number, value in enumerate(values):
        before = total(values[:number])
        base: Decimal | None = value
        if is_free_at(parameters, number, before):
            over = EXACT.subtract(EXACT.add(before, value), Decimal(parameters.get("free_amount", "1e60")))
            base = over if over > 0 else None
        if base is not None:
            with localcontext(EXACT):
                amount = base * Decimal(parameters["rate_percent"]) / 100
                amount += Decimal(parameters.get("fixed_fee_per_event", "0"))
            amount = max(amount, Decimal(parameters.get("per_event_min", "0")))
            amounts.append(min(amount, Decimal(parameters.get("per_event_max", "1e99"))))
    return total(amounts)


def is_free_at(parameters: Parameters, number: int, before: Decimal) -> bool:
    """Whether there is something left free for an event after so many others that sum up to `before`."""
    if not {"free_events", "free_amount"} & parameters.keys():
        return False
    events_last = "free_events" not in parameters or number < int(parameters["free_events"])
    return events_last and ("free_amount" not in parameters or before < Decimal(parameters["free_amount"]))


@given(by_event, events)
def test_events_are_priced_in_order_as_defined(parameters: Parameters, values: list[Decimal]) -> None:
    rate = parse_rate(parameters)
    # A rate without a parameter of single events has the same price for all of them as for their sum.
    assert charge(rate, total(values), values).amount == by_definition(parameters, values)


@given(with_options(by_event), events)
def test_the_steps_sum_to_the_amount_and_to_the_quantity(parameters: Parameters, values: list[Decimal]) -> None:
    charged = charge(parse_rate(parameters), total(values), values)
    assert total(step.amount for step in charged.steps) == charged.amount
    assert total(step.quantity for step in charged.steps) == total(values)


@given(with_options(by_event), events)
def test_a_charge_is_never_negative_and_stays_within_its_limits(parameters: Parameters, values: list[Decimal]) -> None:
    amount = charge(parse_rate(parameters), total(values), values).amount
    assert amount >= Decimal(parameters.get("minimum", "0"))
    assert "maximum" not in parameters or amount <= Decimal(parameters["maximum"])


@given(with_options(by_event), events, events)
def test_one_more_event_never_costs_less(parameters: Parameters, values: list[Decimal], more: list[Decimal]) -> None:
    rate = parse_rate(parameters)
    less = charge(rate, total(values), values).amount
    assert less <= charge(rate, total([*values, *more]), [*values, *more]).amount


@given(with_options(by_event), events, st.integers(0, 12))
def test_a_correction_changes_no_other_event(parameters: Parameters, values: list[Decimal], place: int) -> None:
    rate = parse_rate(parameters)
    corrected = list(values)
    corrected.insert(place, Decimal(-7))
    # The quantity stays that of the other events, so only the events tell the two apart.
    assert charge(rate, total(values), corrected) == charge(rate, total(values), values)


@given(by_event, numbers(60, 1), events)
def test_included_units_are_taken_off_the_first_events(
    parameters: Parameters, included: Decimal, values: list[Decimal]
) -> None:
    # One event of the included units before the others is what is taken off, and is no event any more.
    shifted = parse_rate({**parameters, "included_units": plain(included)})
    first = [included] if included else []
    usage = [*first, *values]
    assert charge(shifted, total(usage), usage).amount == charge(parse_rate(parameters), total(values), values).amount


@given(units, events)
def test_a_free_amount_alone_comes_off_the_sum(free: Decimal, values: list[Decimal]) -> None:
    rate = parse_rate({"model": "percentage", "rate_percent": "2.9", "free_amount": plain(free)})
    assert charge(rate, total(values), values).amount == charge(rate, total(values)).amount


@given(with_options(by_event), events)
def test_stored_steps_read_back_and_have_words(parameters: Parameters, values: list[Decimal]) -> None:
    rate = parse_rate(parameters)
    steps = charge(rate, total(values), values).steps
    assert [Step.from_dict(json.loads(json.dumps(step.to_dict()))) for step in steps] == list(steps)
    assert len(rows(steps, unit="euros", currency="EUR")) == len(steps)
    assert all(sentence.endswith(".") for sentence in sentences(steps, unit="euros", currency="EUR"))
    assert all(describe_rate(rate, unit="euros", currency="EUR"))
