"""Which periods that were are compared with which periods that would have been. Pure.

Where both versions cut time in the same way that is period by period. Where they do not, it is over spans that begin
and end with a period of both: three months by the one against a quarter by the other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from meters.cycles import Cycle, period_at
from meters.periods import Period


@dataclass(frozen=True, slots=True)
class Compared:
    """A span of time: the periods that were in it, as indexes from `first` up to `end`, and those that would be."""

    first: int
    end: int
    now: tuple[Period, ...]


@dataclass(frozen=True, slots=True)
class Spans:
    compared: tuple[Compared, ...]
    # The indexes of periods that have no such span.
    left_out: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Past:
    """A period that was, and the cycle that it was cut by."""

    period: Period
    cycle: Cycle


def spans_of(
    past: Sequence[Past], cycle: Cycle, zone: ZoneInfo, *, starts_at: datetime, ends_at: datetime | None
) -> Spans:
    """How the periods of an assignment that runs from `starts_at` to `ends_at` (None: on and on), in order, compare
    with those of `cycle`."""
    compared: list[Compared] = []
    left_out: list[int] = []
    index = 0
    while index < len(past):
        span = _span_from(index, past, cycle, zone, starts_at, ends_at)
        if span is None:
            left_out.append(index)
            index += 1
        else:
            compared.append(span)
            index = span.end
    return Spans(tuple(compared), tuple(left_out))


def _span_from(
    index: int, past: Sequence[Past], cycle: Cycle, zone: ZoneInfo, starts_at: datetime, ends_at: datetime | None
) -> Compared | None:
    """The shortest span from the start of the period with that index on."""
    first = past[index].period
    whole = period_at(cycle, first.start, zone)
    if past[index].cycle == cycle and whole.clip(first.start, ends_at).end == first.end:
        # Wherever it began: also where a cycle before it ended, in the middle of one of these.
        return Compared(index, index + 1, (first,))
    if whole.start != first.start != starts_at:
        return None
    now: list[Period] = []
    end = index
    for period in _periods_from(first.start, cycle, zone, ends_at):
        now.append(period)
        while end < len(past) and past[end].period.end < period.end:
            end += 1
        if end == len(past) or not _is_unbroken(past[index : end + 1]):
            return None
        if past[end].period.end == period.end:
            return Compared(index, end + 1, tuple(now))
    return None


def _is_unbroken(past: Sequence[Past]) -> bool:
    return all(before.period.end == after.period.start for before, after in pairwise(past))


def _periods_from(start: datetime, cycle: Cycle, zone: ZoneInfo, ends_at: datetime | None) -> Iterator[Period]:
    while ends_at is None or start < ends_at:
        period = period_at(cycle, start, zone).clip(start, ends_at)
        yield period
        start = period.end
