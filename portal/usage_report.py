"""One meter's usage of a month by day: what the usage page draws, tabulates and gives as a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from meters.aggregation import adds_up
from meters.charts import MOST_SERIES, Chart, Series, bar_chart, short_number
from meters.models import Customer, Meter
from meters.periods import Period, local_date, windows
from meters.usage import OTHER, Group, Usage, read_usage, read_usage_of
from portal.bills import day_slots
from pricing.money import format_quantity

NO_VALUE = "not set"
TOTAL_LABELS = {
    "min": "Least",
    "max": "Greatest",
    "average": "Average",
    "latest": "Latest",
    "unique_count": "Different in all",
    "percentile": "In all",
    "time_weighted_average": "Average",
}


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
        return TOTAL_LABELS.get(self.meter.aggregation, "Total")

    @property
    def rows(self) -> list[tuple[date, tuple[tuple[str, Decimal], ...], Decimal]]:
        """Each day with its groups by name, and its total."""
        return [
            (day, tuple((column.name, column.values[index]) for column in self.groups), self.total.values[index])
            for index, day in enumerate(self.days)
        ]


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
    total = _column("Total", read_usage(customer, [meter], [*days, period], until=now), meter, len(days), ())
    groups = _groups(customer, meter, days, period, group, most, now) if group else []
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
        chart=chart,
    )


def _groups(
    customer: Customer, meter: Meter, days: Sequence[Period], period: Period, group: str, most: int, now: datetime
) -> list[UsageColumn]:
    """The greatest groups, and the others as one: read as one, since few aggregations can be added up."""
    whole = read_usage(customer, [meter], [period], group_by=[group], until=now)
    ranked = sorted(whole.groups(meter), key=lambda one: whole.quantity(meter, 0, one), reverse=True)
    # A single other one is shown as itself.
    shown = ranked if len(ranked) == most + 1 else ranked[:most]
    usage = read_usage_of([customer], [meter], [*days, period], group_by=[group], keep=shown, until=now)
    columns = [_column(one[0] or NO_VALUE, usage, meter, len(days), one) for one in shown]
    if others := len(ranked) - len(shown):
        columns.append(_column(f"{others} others", usage, meter, len(days), OTHER))
    return columns


def _column(name: str, usage: Usage, meter: Meter, whole: int, group: Group) -> UsageColumn:
    values = tuple(usage.quantity(meter, index, group) for index in range(whole))
    return UsageColumn(name, values, usage.quantity(meter, whole, group))
