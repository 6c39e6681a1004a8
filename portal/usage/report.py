"""A customer's usage of one meter in a span of time, in units. portal/usage/cost.py has the same in money."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from meters.aggregation import ADDITIVE, adds_up
from meters.charts import MOST_SERIES
from meters.models import Customer, Meter
from meters.periods import Period
from meters.usage import OTHER, Group, Usage, read_usage, read_usage_of
from meters.words import instant_words, period_words
from portal.usage.periods import Span, earlier, slot_of, stamp, tiles
from portal.usage.table import Column, Compared, UsageReport

NO_VALUE = "not set"
ZERO = Decimal(0)
# Why there is no running total, by aggregation.
NOT_CUMULATIVE = {
    "min": "the least value of two {cut}s is not the sum of theirs",
    "max": "the greatest value of two {cut}s is not the sum of theirs",
    "average": "averages of two {cut}s do not add up to the average of both",
    "latest": "the latest values of two {cut}s do not add up: the later one counts",
    "unique_count": "what is there in two {cut}s counts in each of them, and once for both",
    "percentile": "percentiles of two {cut}s do not add up",
    "time_weighted_average": "averages of two {cut}s do not add up to the average of both",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for: of more than `most` groups of the dimension `group` the smaller ones are taken together;
    `filters` are texts that dimensions have."""

    meter: Meter
    span: Span
    group: str = ""
    filters: Mapping[str, str] | None = None
    is_cumulative: bool = False
    is_compared: bool = False
    most: int = MOST_SERIES

    @property
    def where(self) -> dict[str, list[str]]:
        return {name: [text] for name, text in (self.filters or {}).items()}


@dataclass(frozen=True, slots=True)
class Grid:
    """The places of a question: its slots, how many of them have begun, and where those of the comparison are."""

    span: Span
    slots: tuple[Period, ...]
    begun: int
    before: tuple[Period, ...]
    so_far: Period

    @property
    def whole_before(self) -> Period:
        return Period(self.before[0].start, self.before[-1].end)


def grid_of(span: Span, now: datetime) -> Grid:
    slots = span.windows()
    bounds = [*(slot.start for slot in slots), span.period.end]
    moved = earlier(bounds, span.days, span.zone)
    cut = earlier([now], span.days, span.zone)[0] if now in span.period else moved[-1]
    return Grid(
        span=span,
        slots=tuple(slots),
        begun=sum(slot.start <= now for slot in slots),
        before=tuple(tiles(moved)),
        so_far=Period(moved[0], min(max(cut, moved[0]), moved[-1])),
    )


def usage_report(customer: Customer, question: Question, *, now: datetime) -> UsageReport:
    """Usage up to the slot that `now` is in; slots without usage are 0."""
    meter, span = question.meter, question.span
    grid = grid_of(span, now)
    begun = list(grid.slots[: grid.begun])
    wanted = [*begun, span.period]
    if question.is_compared:
        wanted += [*(slot for slot in grid.before if slot.length), grid.so_far, grid.whole_before]
    usage = read_usage(customer, [meter], wanted, where=question.where, until=now)
    at = {window: index for index, window in reversed(list(enumerate(wanted)))}
    total = _column("Total", usage, meter, at, begun, span.period, ())
    report = UsageReport(
        meter=meter,
        span=span,
        slots=tuple(slot_of(slot, span, now) for slot in grid.slots),
        stamps=tuple(stamp(slot, span) for slot in grid.slots),
        groups=tuple(_groups(customer, question, begun, now)) if question.group else (),
        total=total,
        adds_up=adds_up(meter),
    )
    if question.is_compared:
        values = tuple(usage.quantity(meter, at[slot]) if slot.length else None for slot in grid.before)
        so_far, whole = (usage.quantity(meter, at[span_]) for span_ in (grid.so_far, grid.whole_before))
        report = replace(report, compared=compared_with(grid, values, so_far, whole))
    if report.groups and not report.adds_up:
        report = replace(report, notes=("The groups do not add up to the total, which the chart shows.",))
    return cumulated(report, question.is_cumulative)


def compared_with(grid: Grid, values: Sequence[Decimal | None], so_far: Decimal, whole: Decimal) -> Compared:
    zone, days = grid.span.zone, grid.span.days
    is_running = grid.so_far != grid.whole_before
    words = period_words(grid.whole_before, zone)
    return Compared(
        name=f"{days} days before" if days != 1 else "The day before",
        words=words,
        so_far_words=f"{words}, until {instant_words(grid.so_far.end, zone)}" if is_running else words,
        values=tuple(values),
        so_far=so_far,
        whole=whole,
        is_running=is_running,
    )


def cumulated(report: UsageReport, is_asked: bool) -> UsageReport:
    """The running totals of a report that adds up; of any other, why there are none."""
    if not is_asked:
        return report
    if not (report.adds_up or report.is_cost):
        return replace(report, notes=(*report.notes, _why_not(report.meter, report.span.cut)))
    compared = report.compared
    if compared:
        running = Column("", compared.values, ZERO).cumulated().values
        compared = replace(compared, values=running)
    return replace(
        report,
        groups=tuple(column.cumulated() for column in report.groups),
        total=report.total.cumulated(),
        compared=compared,
        is_cumulative=True,
    )


def _why_not(meter: Meter, cut: str) -> str:
    why = NOT_CUMULATIVE.get(meter.aggregation, "")
    if meter.aggregation in ADDITIVE:
        why = "each {cut} is rounded by itself, and the whole once, so they do not add up to it"
    return f"There is no cumulative view of {meter}: {why.format(cut=cut)}. Each {cut} is shown on its own."


def _groups(customer: Customer, question: Question, begun: Sequence[Period], now: datetime) -> list[Column]:
    """The greatest groups, and the others as one: read as one, since few aggregations can be added up."""
    meter, period, group_by = question.meter, question.span.period, [question.group]
    whole = read_usage(customer, [meter], [period], group_by=group_by, where=question.where, until=now)
    ranked = sorted(whole.groups(meter), key=lambda one: whole.quantity(meter, 0, one), reverse=True)
    # A single other one is shown as itself.
    shown = ranked if len(ranked) == question.most + 1 else ranked[: question.most]
    wanted = [*begun, period]
    usage = read_usage_of([customer], [meter], wanted, group_by=group_by, where=question.where, keep=shown, until=now)
    at = {window: index for index, window in reversed(list(enumerate(wanted)))}
    columns = [replace(_column(one[0] or NO_VALUE, usage, meter, at, begun, period, one), text=one[0]) for one in shown]
    if others := len(ranked) - len(shown):
        columns.append(_column(f"{others} others", usage, meter, at, begun, period, OTHER))
    return columns


def _column(
    name: str,
    usage: Usage,
    meter: Meter,
    at: Mapping[Period, int],
    slots: Sequence[Period],
    period: Period,
    group: Group,
) -> Column:
    values = tuple(usage.quantity(meter, at[slot], group) for slot in slots)
    return Column(name, values, usage.quantity(meter, at[period], group))
