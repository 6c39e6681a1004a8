"""Usage the long way: a recount of the facts one by one, in fractions, to hold the figures of the product against.

It shares nothing with the product but the meter's fields, and is meant to be read, not to be fast.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from meters.models import Event, Meter
from meters.periods import Period
from meters.usage import OTHER, Group

SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


@dataclass(frozen=True)
class Fact:
    """One event of one meter; `order` is that of arrival."""

    customer: str
    time: datetime
    value: Decimal
    dimensions: Mapping[str, str]
    order: int


def stored_facts(meter: Meter) -> list[Fact]:
    """The facts of a meter as they are stored, without what is voided."""
    events = Event.objects.filter(meter=meter, void=None).select_related("customer", "dimension_set")
    return [Fact(e.customer.key, e.occurred_at, e.value, e.dimensions, e.sequence) for e in events]


def recount(
    meter: Meter,
    facts: Iterable[Fact],
    window: Period,
    *,
    until: datetime,
    where: Mapping[str, Sequence[str]] | None = None,
    group_by: Sequence[str] = (),
    group: Group = (),
    keep: Sequence[Group] | None = None,
) -> Fraction:
    """The quantity of `meter` in one window and group. `facts` are all that it has; those left out are not counted."""
    counted = [
        fact
        for fact in facts
        if _matches(fact, meter, meter.where)
        and _matches(fact, meter, where or {})
        and _group_of(fact, meter, group_by, keep) == group
    ]
    return _rounded(meter, _aggregate(meter, counted, window, until) * Fraction(meter.multiplier))


def recounted_events(meter: Meter, facts: Iterable[Fact], window: Period) -> int:
    return sum(1 for fact in facts if fact.time in window and _matches(fact, meter, meter.where))


def _matches(fact: Fact, meter: Meter, where: Mapping[str, Sequence[str]]) -> bool:
    return all(_text(fact, meter, name) in texts for name, texts in where.items())


def _text(fact: Fact, meter: Meter, name: str) -> str:
    return fact.dimensions.get(name, "") if name in meter.dimensions else ""


def _group_of(fact: Fact, meter: Meter, group_by: Sequence[str], keep: Sequence[Group] | None) -> Group:
    group = tuple(fact.customer if name == "customer" else _text(fact, meter, name) for name in group_by)
    return group if keep is None or group in keep else OTHER


def _aggregate(meter: Meter, facts: list[Fact], window: Period, until: datetime) -> Fraction:
    if meter.aggregation.startswith("time_weighted"):
        return _time_weighted(meter, facts, window, until)
    inside = sorted((fact for fact in facts if fact.time in window), key=lambda fact: (fact.time, fact.order))
    if not inside:
        return Fraction(0)
    values = [Fraction(fact.value) for fact in inside]
    simple: dict[str, Callable[[], Fraction]] = {
        "count": lambda: Fraction(len(values)),
        "sum": lambda: sum(values, Fraction(0)),
        "min": lambda: min(values),
        "max": lambda: max(values),
        "average": lambda: half(sum(values, Fraction(0)) / len(values), 15),
        "latest": lambda: values[-1],
        "unique_count": lambda: Fraction(len({fact.dimensions[meter.unique_dimension] for fact in inside})),
        "percentile": lambda: _percentile(values, Fraction(meter.percentile or 0)),
    }
    return simple[meter.aggregation]()


def _percentile(values: list[Fraction], percent: Fraction) -> Fraction:
    ordered = sorted(values)
    place = percent / 100 * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (place - math.floor(place)) * (high - low)


def _time_weighted(meter: Meter, facts: list[Fact], window: Period, until: datetime) -> Fraction:
    end = min(window.end, until)
    if end <= window.start:
        return Fraction(0)
    gauges: dict[object, list[Fact]] = {}
    for fact in sorted(facts, key=lambda fact: (fact.time, fact.order)):
        declared = tuple((name, fact.dimensions[name]) for name in sorted(meter.dimensions) if name in fact.dimensions)
        gauges.setdefault((fact.customer, declared), []).append(fact)
    seconds = Fraction(0)
    for gauge in gauges.values():
        for fact, following in zip(gauge, [*gauge[1:], None], strict=True):
            begins = max(fact.time, window.start)
            ends = end if following is None else min(following.time, end)
            if begins < ends:
                seconds += Fraction(fact.value) * Fraction((ends - begins) // timedelta(microseconds=1), 1_000_000)
    if meter.aggregation == "time_weighted_sum":
        return half(seconds / SECONDS[meter.time_unit], 15)
    return half(seconds / Fraction((end - window.start) // timedelta(microseconds=1), 1_000_000), 15)


def half(number: Fraction, places: int) -> Fraction:
    """To the nearest, halves away from zero."""
    scaled = math.floor(abs(number) * 10**places + Fraction(1, 2))
    return Fraction(scaled if number > 0 else -scaled, 10**places)


def _rounded(meter: Meter, number: Fraction) -> Fraction:
    scale = 10**meter.rounding_places
    match meter.rounding:
        case "up":
            return Fraction(math.ceil(number * scale), scale)
        case "down":
            return Fraction(math.floor(number * scale), scale)
        case "half":
            return half(number, meter.rounding_places)
    return number
