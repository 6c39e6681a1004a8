"""Cutting windows into segments: every instant of a window is read once, from a whole unit or from an edge."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meters.periods import Period, floor_hour
from meters.segments import Segments, day_segments, floor_day, hour_segments

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)


def span(start: str, end: str) -> Period:
    """ "09:30", "11:00"; of the next day with a "+"."""

    def instant(text: str) -> datetime:
        hours, minutes = text.strip("+").split(":")
        return MIDNIGHT + timedelta(days="+" in text, hours=int(hours), minutes=int(minutes))

    return Period(instant(start), instant(end))


@pytest.mark.parametrize(
    ("windows", "whole", "edges"),
    [
        ([], [], []),
        ([("09:00", "11:00")], [("09:00", "11:00")], []),
        ([("09:30", "11:00")], [("10:00", "11:00")], [("09:30", "10:00")]),
        ([("09:30", "11:10")], [("10:00", "11:00")], [("09:30", "10:00"), ("11:00", "11:10")]),
        ([("09:30", "10:10")], [], [("09:30", "10:10")]),
        ([("09:20", "09:40")], [], [("09:20", "09:40")]),
        # A bound between two windows cuts its hour, too; hours that are cut side by side are one edge.
        ([("09:00", "10:30"), ("10:30", "12:00")], [("09:00", "10:00"), ("11:00", "12:00")], [("10:00", "11:00")]),
        ([("09:30", "10:30"), ("10:30", "11:30")], [], [("09:30", "11:30")]),
        # What no window covers is not read.
        ([("09:00", "10:00"), ("20:00", "21:00")], [("09:00", "10:00"), ("20:00", "21:00")], []),
        ([("09:00", "12:00"), ("10:00", "11:00")], [("09:00", "12:00")], []),
    ],
    ids=str,
)
def test_hours(windows: list[tuple[str, str]], whole: list[tuple[str, str]], edges: list[tuple[str, str]]) -> None:
    segments = hour_segments([span(*window) for window in windows])
    assert segments.whole == tuple(span(*period) for period in whole)
    assert segments.edges == tuple(span(*period) for period in edges)


def test_an_empty_window_has_no_segment() -> None:
    nothing = Period(MIDNIGHT, MIDNIGHT)
    assert hour_segments([nothing]) == Segments((), (), (), (), ())
    assert hour_segments([nothing, span("09:00", "10:00")]).pairs == ((1, 1),)


INSTANTS = st.integers(0, 3 * 48 * 30).map(lambda minutes: MIDNIGHT + timedelta(minutes=minutes))
WINDOWS = st.lists(st.tuples(INSTANTS, INSTANTS).map(lambda ends: Period(min(ends), max(ends))), max_size=6)


@given(WINDOWS, INSTANTS)
def test_an_instant_is_read_once_for_each_of_its_windows(windows: list[Period], instant: datetime) -> None:
    for of, floor in ((hour_segments, floor_hour), (day_segments, floor_day)):
        segments = of(windows)
        covered = any(instant in window for window in windows)
        assert sum(instant in period for period in (*segments.whole, *segments.edges)) == covered
        assert sum(instant in period for period in segments.runs) == covered
        number = sum(bound <= instant for bound in segments.bounds)  # as width_bucket counts
        inside = {window for segment, window in segments.pairs if segment == number}
        assert inside == {index for index, window in enumerate(windows) if instant in window}
        assert len(set(segments.pairs)) == len(segments.pairs)
        for period in segments.whole:
            assert floor(period.start) == period.start
            # A whole unit lies in one segment, so that its row can be put into it.
            assert not any(period.start < bound < period.end and floor(bound) != bound for bound in segments.bounds)
            assert floor(period.end) == period.end
