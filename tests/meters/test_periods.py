"""Periods: local midnights, half-open, tiling, across every clock change."""

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meters.periods import (
    NAMED_PERIODS,
    Period,
    ceil_hour,
    day_of,
    floor_hour,
    local_date,
    local_midnight,
    month_of,
    named_period,
    read_day,
    week_of,
    windows,
)

ZONES = st.sampled_from(sorted(zone for zone in zoneinfo.available_timezones() if "/" in zone and zone[:3] != "Etc"))
INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2037, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("day", "zone", "expected"),
    [
        (date(2026, 11, 1), "UTC", "2026-11-01T00:00"),
        (date(2026, 11, 1), "Europe/Berlin", "2026-10-31T23:00"),
        (date(2026, 7, 1), "Europe/Berlin", "2026-06-30T22:00"),
        (date(2026, 11, 1), "Asia/Kolkata", "2026-10-31T18:30"),
        # The clock went from 23:59:59 to 01:00: the day began at 01:00.
        (date(2018, 11, 4), "America/Sao_Paulo", "2018-11-04T03:00"),
        # Midnight came twice: the day began at the first.
        (date(2026, 11, 1), "America/Havana", "2026-11-01T04:00"),
    ],
    ids=str,
)
def test_local_midnight(day: date, zone: str, expected: str) -> None:
    assert local_midnight(day, ZoneInfo(zone)).isoformat().startswith(expected)


@pytest.mark.parametrize(
    ("instant", "zone", "first", "hours"),
    [
        ("2026-02-10", "UTC", "2026-02-01T00:00", 28 * 24),
        ("2028-02-29", "UTC", "2028-02-01T00:00", 29 * 24),
        ("2026-03-10", "Europe/Berlin", "2026-02-28T23:00", 31 * 24 - 1),
        ("2026-10-10", "Europe/Berlin", "2026-09-30T22:00", 31 * 24 + 1),
        ("2026-12-31", "Pacific/Auckland", "2026-11-30T11:00", 31 * 24),
    ],
    ids=str,
)
def test_month_of(instant: str, zone: str, first: str, hours: int) -> None:
    month = month_of(datetime.fromisoformat(instant).replace(tzinfo=UTC), ZoneInfo(zone))
    assert month.start.isoformat().startswith(first)
    assert month.length == timedelta(hours=hours)


def test_the_day_that_has_begun_goes_on_when_the_clock_goes_back_over_midnight() -> None:
    """At 00:01 on the 7th the clock in St. John's went back to 23:01, and the evening of the 6th did not come again."""
    zone = ZoneInfo("America/St_Johns")
    midnight = datetime(2010, 11, 7, 2, 30, tzinfo=UTC)
    for minutes in (0, 1, 59, 60, 61):
        assert local_date(midnight + timedelta(minutes=minutes), zone) == date(2010, 11, 7)
    assert local_date(midnight - timedelta(microseconds=1), zone) == date(2010, 11, 6)
    start = midnight + timedelta(minutes=30)
    assert list(windows(Period(start, midnight + timedelta(hours=25)), "day", zone)) == [
        Period(start, midnight + timedelta(hours=25))
    ]


@settings(max_examples=300)
@given(INSTANTS, ZONES)
def test_months_and_days_hold_their_instant_and_tile(instant: datetime, zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    for of in (month_of, week_of, day_of):
        period = of(instant, zone)
        assert instant in period
        assert of(period.end, zone).start == period.end
        assert of(period.end - timedelta(microseconds=1), zone) == period
    assert local_date(month_of(instant, zone).start, zone).day == 1
    assert local_date(week_of(instant, zone).start, zone).weekday() == 0


@settings(max_examples=150)
@given(
    INSTANTS, st.timedeltas(timedelta(0), timedelta(days=40)), ZONES, st.sampled_from(["hour", "day", "week", "month"])
)
def test_windows_tile_their_span(start: datetime, length: timedelta, zone_name: str, window: str) -> None:
    span = Period(start, start + length)
    parts = list(windows(span, window, ZoneInfo(zone_name)))
    assert sum((part.length for part in parts), timedelta(0)) == length
    if parts:
        assert (parts[0].start, parts[-1].end) == (span.start, span.end)
        assert all(before.end == after.start for before, after in zip(parts, parts[1:], strict=False))


def test_a_period_is_half_open() -> None:
    start, end = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    period = Period(start, end)
    assert start in period
    assert end not in period
    assert period.clip(end=start) == Period(start, start)
    assert period.clip(start=start + timedelta(days=1)).start == start + timedelta(days=1)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
        (datetime(2026, 1, 1), datetime(2026, 1, 2)),
    ],
    ids=["backwards", "naive"],
)
def test_what_is_no_period_is_refused(start: datetime, end: datetime) -> None:
    with pytest.raises(ValueError, match="period"):
        Period(start, end)


def test_hours_are_floored_and_ceiled() -> None:
    on, off = datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 1, 1, 5, 0, 0, 1, tzinfo=UTC)
    assert (floor_hour(on), ceil_hour(on)) == (on, on)
    assert (floor_hour(off), ceil_hour(off)) == (on, on + timedelta(hours=1))


@pytest.mark.parametrize(
    ("name", "first", "end"),
    [
        ("today", "2026-10-26", "2026-10-27"),
        ("yesterday", "2026-10-25", "2026-10-26"),
        ("this_week", "2026-10-26", "2026-11-02"),
        ("last_week", "2026-10-19", "2026-10-26"),
        ("this_month", "2026-10-01", "2026-11-01"),
        ("last_month", "2026-09-01", "2026-10-01"),
        ("last_7_days", "2026-10-20", "2026-10-27"),
        ("last_30_days", "2026-09-27", "2026-10-27"),
        ("this_year", "2026-01-01", "2027-01-01"),
    ],
)
def test_named_periods_are_of_the_local_calendar(name: str, first: str, end: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 10, 25, 23, 30, tzinfo=UTC)  # in Berlin the Monday after the clocks changed
    expected = Period(*(local_midnight(date.fromisoformat(day), zone) for day in (first, end)))
    assert named_period(name, now, zone) == expected


def test_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match="next_week"):
        named_period("next_week", datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))


@settings(max_examples=100)
@given(INSTANTS, ZONES)
def test_named_periods_follow_each_other(now: datetime, zone_name: str) -> None:
    zone = ZoneInfo(zone_name)
    named = {name: named_period(name, now, zone) for name in NAMED_PERIODS}
    for name in ("today", "this_week", "this_month", "this_year", "last_7_days", "last_30_days"):
        assert now in named[name]
    for before, after in (("yesterday", "today"), ("last_week", "this_week"), ("last_month", "this_month")):
        assert named[before].end == named[after].start


def test_a_day_is_written_in_one_way() -> None:
    assert read_day("2026-12-31") == date(2026, 12, 31)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20261231",
        "2026-W53-4",
        "2026W534",
        "2026-W53",
        "2026-1-5",
        "2026-02-30",
        "2026-12-31\n",
        " 2026-12-31",
        "2026-12-31T00:00",
        "２０２６-12-31",
        "0000-01-01",
    ],
)
def test_other_ways_to_write_a_day_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_day(text)
