"""Cycles: periods of any interval and count, by the calendar and by anniversary, that tile whatever the clock does."""

import calendar
import itertools
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meters.cycles import INTERVALS, Cycle, days_between, period_at
from meters.periods import Period, local_date, local_midnight

ALL_ZONES = sorted(zoneinfo.available_timezones())
INSTANT = timedelta(microseconds=1)

zones = st.sampled_from(ALL_ZONES).map(ZoneInfo)
anchors = st.one_of(
    st.dates(date(1990, 1, 1), date(2037, 1, 1)),
    # The days that some months do not have.
    st.builds(lambda year, month: date(year, month, _last(year, month)), st.integers(1990, 2036), st.integers(1, 12)),
)
cycles = st.builds(
    Cycle,
    interval=st.sampled_from(INTERVALS),
    count=st.one_of(st.integers(1, 4), st.integers(1, 366)),
    anniversary=st.booleans(),
    anchor=anchors,
)


def _last(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def clock_changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """When the offset of a zone changes in a year, to the second."""

    def offset(instant: datetime) -> timedelta | None:
        return instant.astimezone(zone).utcoffset()

    day = timedelta(days=1)
    first = datetime(year, 1, 1, tzinfo=UTC)
    found = []
    for before, after in itertools.pairwise(first + n * 6 * day for n in range(62)):
        while offset(before) != offset(after) and after - before > timedelta(seconds=1):
            middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
            before, after = (middle, after) if offset(middle) == offset(before) else (before, middle)
        if offset(before) != offset(after):
            found.append(after)
    return found


@st.composite
def moments(draw: st.DrawFn) -> tuple[datetime, ZoneInfo]:
    """An instant and a zone; often one near a change of the zone's clock."""
    zone = draw(zones)
    changes = clock_changes(zone, draw(st.integers(1970, 2036)))
    near = draw(st.timedeltas(timedelta(hours=-26), timedelta(hours=26)))
    if changes:
        return draw(st.sampled_from(changes)) + near, zone
    return draw(st.datetimes(datetime(1970, 1, 2), datetime(2037, 1, 1))).replace(tzinfo=UTC), zone


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("interval", "count", "anchor", "day", "first", "end"),
    [
        ("day", 1, "2026-01-01", "2026-03-09", "2026-03-09", "2026-03-10"),
        ("day", 10, "2026-01-01", "2026-01-25", "2026-01-21", "2026-01-31"),
        ("week", 1, "2026-11-18", "2026-11-22", "2026-11-16", "2026-11-23"),
        ("week", 2, "2026-11-18", "2026-11-30", "2026-11-30", "2026-12-14"),
        ("week", 2, "2026-11-18", "2026-11-15", "2026-11-02", "2026-11-16"),
        ("month", 1, "2026-01-31", "2028-02-29", "2028-02-01", "2028-03-01"),
        ("month", 5, "2026-03-31", "2026-08-01", "2026-08-01", "2027-01-01"),
        ("month", 5, "2026-03-31", "2026-02-28", "2025-10-01", "2026-03-01"),
        ("quarter", 1, "2026-11-18", "2026-11-18", "2026-10-01", "2027-01-01"),
        ("quarter", 2, "2026-11-18", "2027-04-01", "2027-04-01", "2027-10-01"),
        ("year", 1, "2026-11-18", "2026-12-31", "2026-01-01", "2027-01-01"),
        ("year", 3, "2026-11-18", "2025-12-31", "2023-01-01", "2026-01-01"),
    ],
)
def test_by_the_calendar(interval: str, count: int, anchor: str, day: str, first: str, end: str) -> None:
    cycle = Cycle(interval, count, anniversary=False, anchor=date.fromisoformat(anchor))
    assert period_at(cycle, at(day), ZoneInfo("UTC")) == Period(at(first), at(end))


@pytest.mark.parametrize(
    ("interval", "count", "anchor", "day", "first", "end"),
    [
        ("day", 3, "2026-11-18", "2026-11-17", "2026-11-15", "2026-11-18"),
        ("week", 1, "2026-11-18", "2026-11-24", "2026-11-18", "2026-11-25"),
        ("month", 1, "2026-01-28", "2026-02-28", "2026-02-28", "2026-03-28"),
        ("month", 1, "2026-01-29", "2026-02-28", "2026-02-28", "2026-03-29"),
        ("month", 1, "2026-01-30", "2026-03-01", "2026-02-28", "2026-03-30"),
        # The 31st comes back wherever there is one.
        ("month", 1, "2026-01-31", "2026-02-27", "2026-01-31", "2026-02-28"),
        ("month", 1, "2026-01-31", "2026-03-30", "2026-02-28", "2026-03-31"),
        ("month", 1, "2026-01-31", "2026-04-30", "2026-04-30", "2026-05-31"),
        ("month", 1, "2028-01-31", "2028-02-29", "2028-02-29", "2028-03-31"),
        ("month", 4, "2026-10-31", "2027-03-01", "2027-02-28", "2027-06-30"),
        ("quarter", 1, "2026-11-30", "2027-03-01", "2027-02-28", "2027-05-30"),
        ("year", 1, "2024-02-29", "2026-02-28", "2026-02-28", "2027-02-28"),
        ("year", 1, "2024-02-29", "2028-03-01", "2028-02-29", "2029-02-28"),
        ("year", 4, "2024-02-29", "2028-02-28", "2024-02-29", "2028-02-29"),
        # Before the anchor, too: an assignment may begin before the day that its periods count from.
        ("month", 1, "2026-12-31", "2026-11-18", "2026-10-31", "2026-11-30"),
        ("year", 2, "2028-02-29", "2026-02-27", "2024-02-29", "2026-02-28"),
    ],
)
def test_by_anniversary(interval: str, count: int, anchor: str, day: str, first: str, end: str) -> None:
    cycle = Cycle(interval, count, anniversary=True, anchor=date.fromisoformat(anchor))
    assert period_at(cycle, at(day), ZoneInfo("UTC")) == Period(at(first), at(end))


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00", 23),
        ("Europe/Berlin", "2026-10-25T12:00", 25),
        ("Australia/Lord_Howe", "2026-10-04T01:00", 23.5),
        # The clock went back from 00:01 on the 7th to 23:01: the 7th had begun, and has 25 hours.
        ("America/St_Johns", "2010-11-07T02:31", 25),
        ("Pacific/Apia", "2011-12-30T10:00", 24),
        ("Asia/Kathmandu", "2026-11-18T18:15", 24),
    ],
)
def test_days_are_as_long_as_the_clock_makes_them(zone: str, day: str, hours: float) -> None:
    period = period_at(Cycle("day", 1, anniversary=False, anchor=date(2000, 1, 1)), at(day), ZoneInfo(zone))
    assert period.length == timedelta(hours=hours)
    assert at(day) in period


@settings(max_examples=500)
@given(cycles, moments())
def test_periods_hold_their_instants_and_tile(cycle: Cycle, moment: tuple[datetime, ZoneInfo]) -> None:
    instant, zone = moment
    period = period_at(cycle, instant, zone)
    assert instant in period
    assert period_at(cycle, period.start, zone) == period_at(cycle, period.end - INSTANT, zone) == period
    after, before = period_at(cycle, period.end, zone), period_at(cycle, period.start - INSTANT, zone)
    assert (before.end, after.start) == (period.start, period.end)


@pytest.mark.parametrize("year", [2009, 2026])
def test_days_tile_at_each_change_of_each_clock_of_the_world(year: int) -> None:
    daily = Cycle("day", 1, anniversary=False, anchor=date(2026, 1, 1))
    changed = 0
    for name in ALL_ZONES:
        zone = ZoneInfo(name)
        for change in clock_changes(zone, year):
            changed += 1
            for minutes in (-61, -1, 0, 1, 29, 31, 59, 61):
                instant = change + timedelta(minutes=minutes)
                day = period_at(daily, instant, zone)
                assert instant in day, (name, instant)
                assert period_at(daily, day.end, zone).start == day.end, (name, instant)
    assert changed > 100


@given(cycles, moments())
def test_anniversaries_are_whole_counts_from_the_anchor(cycle: Cycle, moment: tuple[datetime, ZoneInfo]) -> None:
    cycle = Cycle(cycle.interval, cycle.count, anniversary=True, anchor=cycle.anchor)
    zone = ZoneInfo("UTC")
    period = period_at(cycle, moment[0], zone)
    for bound in (local_date(period.start, zone), local_date(period.end, zone)):
        if cycle.interval in ("day", "week"):
            days = (bound - cycle.anchor).days
            assert days % (cycle.count * (7 if cycle.interval == "week" else 1)) == 0
        else:
            months = (bound.year - cycle.anchor.year) * 12 + bound.month - cycle.anchor.month
            assert months % (cycle.count * {"month": 1, "quarter": 3, "year": 12}[cycle.interval]) == 0
            assert bound.day == min(cycle.anchor.day, _last(bound.year, bound.month))


@given(cycles, moments())
def test_the_calendar_begins_periods_where_its_units_begin(cycle: Cycle, moment: tuple[datetime, ZoneInfo]) -> None:
    cycle = Cycle(cycle.interval, cycle.count, anniversary=False, anchor=cycle.anchor)
    first = local_date(period_at(cycle, moment[0], ZoneInfo("UTC")).start, ZoneInfo("UTC"))
    begins = {
        "day": True,
        "week": first.weekday() == 0,
        "month": first.day == 1,
        "quarter": first.day == 1 and first.month in (1, 4, 7, 10),
        "year": (first.day, first.month) == (1, 1),
    }
    assert begins[cycle.interval]
    # One of the periods begins with the very unit that the anchor is in.
    around = period_at(cycle, local_midnight(cycle.anchor, ZoneInfo("UTC")), ZoneInfo("UTC"))
    unit = Cycle(cycle.interval, 1, anniversary=False, anchor=cycle.anchor)
    assert around.start == period_at(unit, local_midnight(cycle.anchor, ZoneInfo("UTC")), ZoneInfo("UTC")).start


@given(cycles, moments(), st.lists(st.integers(0, 400), max_size=4))
def test_the_days_of_stubs_and_parts_add_up_to_the_whole(
    cycle: Cycle, moment: tuple[datetime, ZoneInfo], cuts: list[int]
) -> None:
    instant, zone = moment
    whole = period_at(cycle, instant, zone)
    first = local_date(whole.start, zone)
    bounds = sorted(
        {whole.start, whole.end}
        | {cut for days in cuts if (cut := local_midnight(first + timedelta(days=days), zone)) in whole}
    )
    parts = [Period(start, end) for start, end in itertools.pairwise(bounds)]
    assert sum(days_between(part, zone) for part in parts) == days_between(whole, zone) > 0
    assert all(days_between(part, zone) >= 0 for part in parts)


@given(moments(), st.integers(1, 60), anchors)
def test_a_later_anchor_leaves_no_gap_at_the_start(moment: tuple[datetime, ZoneInfo], days: int, anchor: date) -> None:
    """From the start of an assignment to an anchor behind it: a stub, then whole periods, one of which begins there."""
    zone = moment[1]
    starts_on = anchor - timedelta(days=days)
    cycle = Cycle("month", 1, anniversary=True, anchor=anchor)
    start = at_start = local_midnight(starts_on, zone)
    spans: list[Period] = []
    while start <= local_midnight(anchor, zone):
        whole = period_at(cycle, start, zone)
        spans.append(whole.clip(start))
        start = whole.end
    assert spans[0].start == at_start
    assert all(one.end == other.start for one, other in itertools.pairwise(spans))
    assert local_midnight(anchor, zone) in {span.start for span in spans}


@pytest.mark.parametrize("interval", INTERVALS)
@pytest.mark.parametrize("anniversary", [False, True])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_the_ends_of_the_calendar_are_bounds_too(interval: str, anniversary: bool, zone: str) -> None:
    for year in (2, 2026, 9998):
        cycle = Cycle(interval, 366, anniversary=anniversary, anchor=date(year, 1, 31))
        for instant in (at("0003-01-01"), at("9997-01-01")):
            assert instant in period_at(cycle, instant, ZoneInfo(zone))


@pytest.mark.parametrize(("interval", "count"), [("fortnight", 1), ("month", 0), ("", 1), ("day", -1)])
def test_what_is_no_cycle_is_refused(interval: str, count: int) -> None:
    with pytest.raises(ValueError, match=r"interval|count"):
        Cycle(interval, count, anniversary=False, anchor=date(2026, 1, 1))
