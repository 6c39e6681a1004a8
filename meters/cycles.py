"""Recurring periods: a day, week, month, quarter or year, times a count, by the calendar or from an anniversary. Pure.

Bounds are dates first and instants last: each is counted from the anchor on the calendar, then taken at that local
midnight. So periods tile across clock changes and leap years, and a bound does not depend on the ones before it.
"""

import calendar
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from meters.periods import Period, local_date, local_midnight

# What an interval is made of: days or months.
_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
INTERVALS = (*_DAYS, *_MONTHS)

# The bounds of a long cycle may lie outside of what a datetime holds; a day is left free for the zone's offset.
_FIRST_DAY = date.min.toordinal() + 1
_LAST_DAY = date.max.toordinal() - 1


@dataclass(frozen=True, slots=True)
class Cycle:
    """How periods follow each other: `count` times `interval` (one of INTERVALS).

    By the calendar they begin where the units do (midnight, Monday, the 1st, the 1st of January, April, July and
    October, the 1st of January), counted in both ways from the unit that `anchor` is in. By anniversary they begin at
    `anchor` itself, `count` units after it, and so on, also before it; a day that a month does not have is its last.
    """

    interval: str
    count: int
    anniversary: bool
    anchor: date

    def __post_init__(self) -> None:
        if self.interval not in INTERVALS:
            raise ValueError(f"an interval is one of {', '.join(INTERVALS)}")
        if self.count < 1:
            raise ValueError("the count of a cycle is at least 1")


def period_at(cycle: Cycle, instant: datetime, zone: ZoneInfo) -> Period:
    """The whole period of the cycle that `instant` is in, from local midnight to local midnight of `zone`."""
    first, end = _days_around(cycle, local_date(instant, zone))
    return Period(local_midnight(first, zone), local_midnight(end, zone))


def days_between(period: Period, zone: ZoneInfo) -> int:
    """How many calendar days of `zone` a period from midnight to midnight has, however long its hours.

    The days of the parts of a period sum to the days of the whole.
    """
    return (local_date(period.end, zone) - local_date(period.start, zone)).days


def _days_around(cycle: Cycle, day: date) -> tuple[date, date]:
    """The first day of the period that `day` is in, and the first day after it."""
    if cycle.interval in _DAYS:
        step = _DAYS[cycle.interval] * cycle.count
        start = cycle.anchor.toordinal()
        if not cycle.anniversary and cycle.interval == "week":
            start -= cycle.anchor.weekday()
        first = start + (day.toordinal() - start) // step * step
        return _from_ordinal(first), _from_ordinal(first + step)
    unit = _MONTHS[cycle.interval]
    step = unit * cycle.count
    start = _month_number(cycle.anchor)
    on = cycle.anchor.day
    if not cycle.anniversary:
        start, on = start // unit * unit, 1
    first = start + (_month_number(day) - start) // step * step
    if _in_month(first, on) > day:
        first -= step
    return _in_month(first, on), _in_month(first + step, on)


def _from_ordinal(ordinal: int) -> date:
    return date.fromordinal(min(max(ordinal, _FIRST_DAY), _LAST_DAY))


def _month_number(day: date) -> int:
    """Months since the year 0."""
    return day.year * 12 + day.month - 1


def _in_month(number: int, on: int) -> date:
    """The day `on` of a month, or its last day where it has fewer."""
    year, month = divmod(number, 12)
    if year < date.min.year:
        return _from_ordinal(_FIRST_DAY)
    if year > date.max.year:
        return _from_ordinal(_LAST_DAY)
    return _from_ordinal(date(year, month + 1, min(on, calendar.monthrange(year, month + 1)[1])).toordinal())
