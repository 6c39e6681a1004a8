"""Half-open spans of time and the calendar, in a customer's time zone. Pure.

All spans are `[start, end)` in UTC, so consecutive ones tile: no gap, no overlap, across clock changes.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """The span `[start, end)`; both bounds are aware datetimes in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a period's bounds have a time zone")
        if self.end < self.start:
            raise ValueError("a period ends before it starts")

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    def clip(self, start: datetime | None = None, end: datetime | None = None) -> "Period":
        """This period without what lies before `start` and from `end` on; empty where nothing is left."""
        first = max(self.start, start) if start else self.start
        last = min(self.end, end) if end else self.end
        return Period(first, max(first, last))


def uncovered(span: Period, others: Iterable[Period]) -> list[Period]:
    """What of `span` is in none of the others, in order."""
    left: list[Period] = []
    start = span.start
    for other in sorted(others):
        if other.start > start:
            left.append(Period(start, min(other.start, span.end)))
        start = max(start, other.end)
        if start >= span.end:
            return left
    return [*left, Period(start, span.end)]


def read_day(text: str) -> date:
    """The day that people wrote as 2026-12-31. Raises ValueError for all else: other forms of ISO 8601, such as
    20261231 and 2026-W53-4, are more likely slips than meant."""
    if not _DAY.fullmatch(text):
        raise ValueError(f"{text!r} is no day, written 2026-12-31")
    return date.fromisoformat(text)


def local_midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day, in UTC.

    Where the clock skips midnight, `fold=0` reads it with the offset from before the jump, which is the
    instant of the jump itself; where midnight comes twice, it is the first.
    """
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """The local day that an instant is in. Where the clock goes back over midnight, the day that has begun goes on."""
    local = instant.astimezone(zone)
    day = local.date()
    if local.fold and day < date.max and local_midnight(day + timedelta(days=1), zone) <= instant:
        return day + timedelta(days=1)
    return day


def next_month(day: date) -> date:
    """The first day of the month after the one that `day` is in."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def month_of(instant: datetime, zone: ZoneInfo) -> Period:
    """The calendar month of `zone` that `instant` is in."""
    first = local_date(instant, zone).replace(day=1)
    return Period(local_midnight(first, zone), local_midnight(next_month(first), zone))


def day_of(instant: datetime, zone: ZoneInfo) -> Period:
    day = local_date(instant, zone)
    return Period(local_midnight(day, zone), local_midnight(day + timedelta(days=1), zone))


def week_of(instant: datetime, zone: ZoneInfo) -> Period:
    """The week from Monday to Monday of `zone` that `instant` is in."""
    day = local_date(instant, zone)
    monday = day - timedelta(days=day.weekday())
    return Period(local_midnight(monday, zone), local_midnight(monday + timedelta(days=7), zone))


def windows(span: Period, window: str, zone: ZoneInfo) -> Iterator[Period]:
    """`span` cut at the minutes, hours, days, weeks (from Monday) or months of `zone`; the first and last may be
    shorter. They tile `span`."""
    starts_after = {
        "minute": _next_minute,
        "hour": _next_hour,
        "day": _next_day,
        "week": _next_week,
        "month": _next_month_start,
    }[window]
    start = span.start
    while start < span.end:
        end = min(starts_after(start, zone), span.end)
        yield Period(start, end)
        start = end


def _next_minute(instant: datetime, zone: ZoneInfo) -> datetime:
    # Of zones with odd seconds, all of them long ago, too: whole minutes of UTC.
    return instant.replace(second=0, microsecond=0) + MINUTE


def _next_hour(instant: datetime, zone: ZoneInfo) -> datetime:
    # Whole hours of the local clock, which are whole hours of UTC but in half-hour zones.
    offset = instant.astimezone(zone).utcoffset() or timedelta(0)
    local = (instant + offset).replace(minute=0, second=0, microsecond=0)
    return local + HOUR - offset


def _next_day(instant: datetime, zone: ZoneInfo) -> datetime:
    return day_of(instant, zone).end


def _next_week(instant: datetime, zone: ZoneInfo) -> datetime:
    return week_of(instant, zone).end


def _next_month_start(instant: datetime, zone: ZoneInfo) -> datetime:
    return month_of(instant, zone).end


NAMED_PERIODS = (
    "today",
    "yesterday",
    "this_week",
    "last_week",
    "this_month",
    "last_month",
    "last_7_days",
    "last_30_days",
    "this_year",
)


def named_period(name: str, now: datetime, zone: ZoneInfo) -> Period:
    """The period of that name in the calendar of `zone`: whole days, with `now` in it or right behind it.

    The last 7 and 30 days end with today. Raises ValueError for a name that is none of NAMED_PERIODS.
    """
    today = local_date(now, zone)
    match name:
        case "today":
            return day_of(now, zone)
        case "yesterday":
            return _days(today - timedelta(days=1), today, zone)
        case "this_week":
            return week_of(now, zone)
        case "last_week":
            monday = today - timedelta(days=today.weekday())
            return _days(monday - timedelta(days=7), monday, zone)
        case "this_month":
            return month_of(now, zone)
        case "last_month":
            first = today.replace(day=1)
            return _days((first - timedelta(days=1)).replace(day=1), first, zone)
        case "last_7_days":
            return _days(today - timedelta(days=6), today + timedelta(days=1), zone)
        case "last_30_days":
            return _days(today - timedelta(days=29), today + timedelta(days=1), zone)
        case "this_year":
            return _days(date(today.year, 1, 1), date(today.year + 1, 1, 1), zone)
    raise ValueError(f"{name!r} is no named period: {', '.join(NAMED_PERIODS)}")


def _days(first: date, end: date, zone: ZoneInfo) -> Period:
    return Period(local_midnight(first, zone), local_midnight(end, zone))


def floor_hour(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)


def ceil_hour(instant: datetime) -> datetime:
    floor = floor_hour(instant)
    return floor if floor == instant else floor + HOUR
