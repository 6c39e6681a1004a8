"""Dates and spans of time as people read them, in the customer's zone. Pure."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from meters.periods import Period, local_date

INSTANT = timedelta(microseconds=1)


def day_words(day: date) -> str:
    """ "2 Dec 2026"."""
    return f"{day.day} {day:%b %Y}"


def short_day_words(day: date) -> str:
    """ "2 Dec"."""
    return f"{day.day} {day:%b}"


def clock_words(instant: datetime, zone: ZoneInfo) -> str:
    """ "14:02 UTC"."""
    return f"{instant.astimezone(zone):%H:%M %Z}"


def instant_words(instant: datetime, zone: ZoneInfo) -> str:
    """ "2 Dec 2026, 14:02 UTC"."""
    return f"{day_words(local_date(instant, zone))}, {clock_words(instant, zone)}"


def second_words(instant: datetime, zone: ZoneInfo) -> str:
    """ "2 Dec 2026, 14:02:07 UTC"."""
    return f"{day_words(local_date(instant, zone))}, {instant.astimezone(zone):%H:%M:%S %Z}"


def last_day(period: Period, zone: ZoneInfo) -> date:
    return local_date(period.end - INSTANT, zone)


def period_words(period: Period, zone: ZoneInfo) -> str:
    """ "1–30 Nov 2026", "18 Nov – 3 Dec 2026", "2 Dec 2026": the first and the last day that are inside."""
    first, last = local_date(period.start, zone), last_day(period, zone)
    if first == last:
        return day_words(last)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{day_words(last)}"
    if first.year == last.year:
        return f"{short_day_words(first)} – {day_words(last)}"
    return f"{day_words(first)} – {day_words(last)}"


def every_words(interval: str, count: int) -> str:
    """ "every month", "every 2 weeks"."""
    return f"every {interval}" if count == 1 else f"every {count} {interval}s"


def days_in(period: Period, zone: ZoneInfo) -> int:
    """How many local days a period has."""
    return (last_day(period, zone) - local_date(period.start, zone)).days + 1


def day_number(period: Period, now: datetime, zone: ZoneInfo) -> int:
    """Which day of the period `now` is in, from 1."""
    return (local_date(now, zone) - local_date(period.start, zone)).days + 1
