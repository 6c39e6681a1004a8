"""The aggregations: from what the events of a span come to, to the quantity. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from typing import Protocol

from meters.periods import Period

# Sums of up to 10^24 with 15 places over more events than anybody has, times microseconds and a multiplier of 30
# places: far from 200 digits.
EXACT = Context(prec=200)
ZERO = Decimal(0)
ONE = Decimal(1)
# What a division is rounded to, halves away from zero. Nothing else is rounded but by the meter's own rounding.
DIVISION_PLACES = 15

MICROSECOND = timedelta(microseconds=1)
TIME_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
ROUNDINGS = {"up": ROUND_CEILING, "down": ROUND_FLOOR, "half": ROUND_HALF_UP}

# The value of a gauge holds until the next one, so these figures move with the clock, too.
TIME_WEIGHTED = frozenset({"time_weighted_average", "time_weighted_sum"})
# Quantities of consecutive windows, and of groups, sum to that of the whole (where they are not rounded).
ADDITIVE = frozenset({"sum", "count", "time_weighted_sum"})


class Counting(Protocol):
    """How a meter makes a quantity of its events; `meters.models.Meter` says what each field means."""

    @property
    def aggregation(self) -> str: ...
    @property
    def time_unit(self) -> str: ...
    @property
    def multiplier(self) -> Decimal: ...
    @property
    def rounding(self) -> str: ...
    @property
    def rounding_places(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Part:
    """What the events of a window and group come to. Each aggregation fills what it needs, and `count`.

    `distinct` is the number of different values, `percentile` the meter's own; `integral` is value times
    microseconds, over `elapsed` microseconds.
    """

    count: int = 0
    sum: Decimal = ZERO
    min: Decimal | None = None
    max: Decimal | None = None
    last: Decimal | None = None
    distinct: int = 0
    percentile: Decimal | None = None
    integral: Decimal = ZERO
    elapsed: int = 0


NOTHING = Part()


def quantity(meter: Counting, part: Part) -> Decimal:
    """The quantity of a span, in the meter's unit: its aggregate times the multiplier, rounded as the meter says.
    Of no events it is 0, whatever the aggregation, except for a value that holds from before.
    """
    product = unrounded(meter, part)
    if meter.rounding not in ROUNDINGS:
        return product
    return _rounded(product, meter.rounding_places, ROUNDINGS[meter.rounding])


def unrounded(meter: Counting, part: Part) -> Decimal:
    """The quantity before the meter's own rounding."""
    return EXACT.multiply(aggregate(meter, part), Decimal(meter.multiplier))


def shares(meter: Counting, parts: Iterable[Part]) -> list[Decimal]:
    """What each of these consecutive windows adds to the unrounded quantity of all of them, which they sum to exactly.

    Only of ADDITIVE ones. Areas under a value are divided, which may not come out even, so each share is the
    difference of two running quantities.
    """
    found: list[Decimal] = []
    running, before = NOTHING, ZERO
    for part in parts:
        running = Part(
            count=running.count + part.count,
            sum=EXACT.add(running.sum, part.sum),
            integral=EXACT.add(running.integral, part.integral),
        )
        after = unrounded(meter, running)
        found.append(EXACT.subtract(after, before))
        before = after
    return found


def aggregate(meter: Counting, part: Part) -> Decimal:
    """What the aggregation alone comes to. Raises ValueError for one that there is not."""
    match meter.aggregation:
        case "sum":
            return part.sum
        case "count":
            return Decimal(part.count)
        case "min":
            return ZERO if part.min is None else part.min
        case "max":
            return ZERO if part.max is None else part.max
        case "average":
            return _divided(part.sum, part.count)
        case "latest":
            return ZERO if part.last is None else part.last
        case "unique_count":
            return Decimal(part.distinct)
        case "percentile":
            return ZERO if part.percentile is None else part.percentile
        case "time_weighted_average":
            return _divided(part.integral, part.elapsed)
        case "time_weighted_sum":
            return _divided(part.integral, TIME_UNITS[meter.time_unit] // MICROSECOND)
    raise ValueError(f"unknown aggregation {meter.aggregation!r}")


def adds_up(meter: Counting) -> bool:
    """Whether quantities of consecutive windows and of groups sum to that of the whole."""
    return meter.aggregation in ADDITIVE and meter.rounding not in ROUNDINGS


@dataclass(frozen=True, slots=True)
class Change:
    """What the events of one segment change a gauge by: `change` is the sum of the steps, `moment` the sum of each
    step times its microseconds after the first bound."""

    count: int
    change: Decimal
    moment: Decimal


def time_weighted(
    changes: Mapping[int, Change], bounds: Sequence[datetime], windows: Iterable[Period | None]
) -> list[Part]:
    """The parts of one gauge, or of the sum of several, in windows that begin and end at one of `bounds`.

    Segment k of `changes` lies between bounds k and k+1, from 1; segment 0 is all that was before. A gauge that
    steps by d at the instant t, within a segment that ends at b, has d x (b - t) more under it there, and d x the
    length of every later segment; so steps add up whatever gauge they are of. A window of None has not begun.
    """
    value, area, count = _change(changes, 0).change, ZERO, 0
    before = [(area, count)]
    for segment in range(1, len(bounds)):
        step = _change(changes, segment)
        start, end = (_microseconds(bound, bounds[0]) for bound in bounds[segment - 1 : segment + 1])
        stepped = EXACT.subtract(EXACT.multiply(step.change, Decimal(end)), step.moment)
        area = EXACT.add(area, EXACT.add(EXACT.multiply(value, Decimal(end - start)), stepped))
        value = EXACT.add(value, step.change)
        count += step.count
        before.append((area, count))
    at = {bound: index for index, bound in enumerate(bounds)}
    parts: list[Part] = []
    for window in windows:
        if window is None:
            parts.append(NOTHING)
            continue
        (area_before, count_before), (area_after, count_after) = before[at[window.start]], before[at[window.end]]
        integral = EXACT.subtract(area_after, area_before)
        elapsed = window.length // MICROSECOND
        parts.append(Part(count=count_after - count_before, integral=integral, elapsed=elapsed))
    return parts


def plain(number: Decimal) -> str:
    """A decimal in plain notation, without exponent, trailing zeros or a negative zero: "1000", "0.0004"."""
    if not number:
        return "0"
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _change(changes: Mapping[int, Change], segment: int) -> Change:
    return changes.get(segment, Change(0, ZERO, ZERO))


def _microseconds(instant: datetime, origin: datetime) -> int:
    return (instant - origin) // MICROSECOND


def _divided(number: Decimal, by: int) -> Decimal:
    return _rounded(EXACT.divide(number, Decimal(by)), DIVISION_PLACES, ROUND_HALF_UP) if by else ZERO


def _rounded(number: Decimal, places: int, rounding: str) -> Decimal:
    rounded = number.quantize(ONE.scaleb(-places), rounding, EXACT)
    # Zero without a sign.
    return rounded if rounded else ZERO
