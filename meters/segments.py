"""Cutting time where windows begin and end, so that each stored row is read once, however windows overlap. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from meters.periods import HOUR, Period, floor_hour

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments between neighbouring bounds of some windows, numbered from 1 as PostgreSQL's `width_bucket` does.

    `pairs` says which segments each window (from 0) is made of. `runs` are the longest spans that windows cover
    without a gap; each is tiled by `whole`, which holds whole units only, and `edges`, the units that a bound cuts.
    """

    bounds: tuple[datetime, ...]
    pairs: tuple[tuple[int, int], ...]
    runs: tuple[Period, ...]
    whole: tuple[Period, ...]
    edges: tuple[Period, ...]

    @property
    def span(self) -> Period | None:
        """From the first bound to the last; None where there is nothing to read."""
        return Period(self.runs[0].start, self.runs[-1].end) if self.runs else None


def hour_segments(windows: Sequence[Period]) -> Segments:
    return _segments(windows, floor_hour, HOUR)


def day_segments(windows: Sequence[Period]) -> Segments:
    """By UTC days, which is what values of unique counts are kept by."""
    return _segments(windows, floor_day, DAY)


def floor_day(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _segments(windows: Sequence[Period], floor: Callable[[datetime], datetime], unit: timedelta) -> Segments:
    bounds = sorted({bound for window in windows if window.start < window.end for bound in (window.start, window.end)})
    number = {bound: index for index, bound in enumerate(bounds, start=1)}
    pairs = tuple(
        (segment, index)
        for index, window in enumerate(windows)
        if window.start < window.end
        for segment in range(number[window.start], number[window.end])
    )
    covered = {segment for segment, _ in pairs}
    runs = _joined(Period(*ends) for segment, ends in enumerate(pairwise(bounds), start=1) if segment in covered)
    whole: list[Period] = []
    edges: list[Period] = []
    for run in runs:
        inside = [bound for bound in bounds if run.start <= bound <= run.end]
        cut = _joined(
            Period(floor(bound), floor(bound) + unit).clip(run.start, run.end)
            for bound in inside
            if floor(bound) != bound
        )
        edges += cut
        starts, ends = [run.start, *(edge.end for edge in cut)], [*(edge.start for edge in cut), run.end]
        whole += [Period(start, end) for start, end in zip(starts, ends, strict=True) if start < end]
    return Segments(tuple(bounds), pairs, tuple(runs), tuple(whole), tuple(edges))


def _joined(periods: Iterable[Period]) -> list[Period]:
    """Periods in order, those that touch or overlap made one."""
    joined: list[Period] = []
    for period in periods:
        if joined and period.start <= joined[-1].end:
            joined[-1] = Period(joined[-1].start, max(joined[-1].end, period.end))
        else:
            joined.append(period)
    return joined
