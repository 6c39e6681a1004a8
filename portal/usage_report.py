"""One meter's usage of a month by day: what the usage page draws, tabulates and gives as a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from meters.aggregation import Part, merge, merges, quantity
from meters.charts import MOST_SERIES, Chart, Series, bar_chart, short_number
from meters.models import Customer, Meter
from meters.periods import Period, local_date, windows
from meters.usage import Group, Usage, read_usage
from portal.bills import day_slots
from pricing.money import format_quantity

NO_VALUE = "not set"


@dataclass(frozen=True, slots=True)
class UsageColumn:
    """The quantity of each day, and of the whole period, which is not their sum for every meter."""

    name: str
    values: tuple[Decimal, ...]
    total: Decimal


@dataclass(frozen=True, slots=True)
class UsageReport:
    meter: Meter
    period: Period
    zone: ZoneInfo
    group: str
    days: tuple[date, ...]
    groups: tuple[UsageColumn, ...]
    total: UsageColumn
    left_out: int  # groups that are not shown because they cannot be taken together
    chart: Chart

    @property
    def adds_up(self) -> bool:
        """Whether groups and days sum to the total."""
        return adds_up(self.meter)

    @property
    def is_empty(self) -> bool:
        return not self.total.total and not any(self.total.values)

    @property
    def total_label(self) -> str:
        """What the figure of the whole period is, by the meter's aggregation."""
        match self.meter.aggregation:
            case Meter.Aggregation.MAX:
                return "Greatest"
            case Meter.Aggregation.UNIQUE_COUNT:
                return "Different in all"
        return "Total"

    @property
    def rows(self) -> list[tuple[date, tuple[tuple[str, Decimal], ...], Decimal]]:
        """Each day with its groups by name, and its total."""
        return [
            (day, tuple((column.name, column.values[index]) for column in self.groups), self.total.values[index])
            for index, day in enumerate(self.days)
        ]


def adds_up(meter: Meter) -> bool:
    return meter.aggregation in (Meter.Aggregation.SUM, Meter.Aggregation.COUNT)


def usage_report(
    customer: Customer,
    meter: Meter,
    period: Period,
    *,
    zone: ZoneInfo,
    group: str,
    now: datetime,
    most: int = MOST_SERIES,
) -> UsageReport:
    """Usage up to the day that `now` is in; days without usage are 0. `group` is a dimension, or empty for none;
    of more than `most` groups the smaller ones are taken together."""
    days = [day for day in windows(period, "day", zone) if day.start <= now]
    total = _column("Total", read_usage(customer, [meter], [*days, period]), meter, len(days), ())
    groups, left_out = _groups(customer, meter, days, period, group, most) if group else ([], 0)
    # Only what adds up may be stacked.
    drawn = groups if groups and adds_up(meter) and len(groups) <= MOST_SERIES + 1 else [total]
    chart = bar_chart(
        day_slots(period, zone, now),
        [Series(column.name, column.values) for column in drawn],
        value_words=lambda value: f"{format_quantity(value)} {meter.unit}".strip(),
        tick_words=short_number,
        least_step=Decimal(1) if all(value == value.to_integral_value() for value in total.values) else Decimal(0),
    )
    return UsageReport(
        meter=meter,
        period=period,
        zone=zone,
        group=group,
        days=tuple(local_date(day.start, zone) for day in days),
        groups=tuple(groups),
        total=total,
        left_out=left_out,
        chart=chart,
    )


def _groups(
    customer: Customer, meter: Meter, days: Sequence[Period], period: Period, group: str, most: int
) -> tuple[list[UsageColumn], int]:
    """The greatest groups, and the others as one where they can be taken together."""
    usage = read_usage(customer, [meter], [*days, period], group_by=[group])
    whole = len(days)
    ranked = sorted(usage.groups(meter), key=lambda one: usage.quantity(meter, whole, one), reverse=True)
    # A single other one is shown as itself.
    shown = ranked if len(ranked) == most + 1 else ranked[:most]
    others = ranked[len(shown) :]
    columns = [_column(one[0] or NO_VALUE, usage, meter, whole, one) for one in shown]
    if others and merges(meter.aggregation):
        columns.append(_merged(usage, meter, whole, others))
        return columns, 0
    return columns, len(others)


def _column(name: str, usage: Usage, meter: Meter, whole: int, group: Group) -> UsageColumn:
    values = tuple(usage.quantity(meter, index, group) for index in range(whole))
    return UsageColumn(name, values, usage.quantity(meter, whole, group))


def _merged(usage: Usage, meter: Meter, whole: int, groups: Sequence[Group]) -> UsageColumn:
    def value(index: int) -> Decimal:
        parts = (usage.parts.get((meter.id, index, group), Part()) for group in groups)
        return quantity(meter.aggregation, merge(parts))

    return UsageColumn(f"{len(groups)} others", tuple(value(index) for index in range(whole)), value(whole))
