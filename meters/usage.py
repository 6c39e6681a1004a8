"""Reading usage: one function answers the API, the portal and the invoice.

A span is whole buckets plus raw events at its ragged edges (a bound inside an hour: half-hour time zones, a start
at an instant), so what is read is exact for any bounds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from meters import sql
from meters.aggregation import ZERO, Part, quantity
from meters.models import Customer, Meter
from meters.periods import Period, ceil_hour, floor_hour
from meters.statements import array, execute

Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of one customer in some windows.

    `version` is the customer's usage version that every figure holds at least (0: no usage ever), and `at` is
    when that version came in. Figures are exact `Decimal`s in the meter's unit; what has no usage is 0.
    """

    windows: tuple[Period, ...]
    group_by: tuple[str, ...]
    version: int
    at: datetime | None
    parts: dict[tuple[int, int, Group], Part]

    def quantity(self, meter: Meter, window: int = 0, group: Group | None = None) -> Decimal:
        """The quantity of `meter` in the window of that index, in one group (default: the ungrouped one)."""
        part = self.parts.get((meter.id, window, () if group is None else group))
        return ZERO if part is None else quantity(meter.aggregation, part)

    def events(self, meter: Meter, window: int = 0, group: Group = ()) -> int:
        """How many events the quantity is made of."""
        part = self.parts.get((meter.id, window, group))
        return 0 if part is None else part.count

    def groups(self, meter: Meter) -> list[Group]:
        """The groups that have usage in any window, in alphabetical order."""
        return sorted({group for meter_id, _, group in self.parts if meter_id == meter.id})

    def series(self, meter: Meter, group: Group = ()) -> list[Decimal]:
        """The quantities of all windows in order, zero-filled."""
        return [self.quantity(meter, index, group) for index in range(len(self.windows))]


def read_usage(
    customer: Customer, meters: Sequence[Meter], windows: Sequence[Period], *, group_by: Sequence[str] = ()
) -> Usage:
    """Usage of these meters in each of these windows, which may overlap (a running total is windows that all start
    at once). `group_by` names dimensions; usage without one of them is in the group of the empty text.
    """
    parts, version, at = _read(customer, meters, windows, group_by)
    if unique := [meter for meter in meters if meter.aggregation == Meter.Aggregation.UNIQUE_COUNT]:
        parts |= _read_distinct(customer, unique, windows, group_by, parts)
    return Usage(tuple(windows), tuple(group_by), version, at, parts)


def _read(
    customer: Customer, meters: Sequence[Meter], windows: Sequence[Period], group_by: Sequence[str]
) -> tuple[dict[tuple[int, int, Group], Part], int, datetime | None]:
    inner = [_inner(window, ceil_hour(window.start), floor_hour(window.end)) for window in windows]
    rows = execute(
        sql.USAGE,
        {
            "customer": customer.id,
            "meters": [meter.id for meter in meters],
            "group_by": list(group_by),
            "starts": _times(window.start for window in windows),
            "from_hours": _times(span.start for span in inner),
            "to_hours": _times(span.end for span in inner),
            "ends": _times(window.end for window in windows),
        },
    )
    parts: dict[tuple[int, int, Group], Part] = {}
    version, at = 0, None
    for window, meter_id, group, count, total, greatest, row_version, row_at in rows:
        if window is None:
            version, at = row_version, row_at
        else:
            parts[meter_id, window - 1, tuple(group)] = Part(count=count, sum=total, max=greatest)
    return parts, version, at


def _read_distinct(
    customer: Customer,
    meters: Sequence[Meter],
    windows: Sequence[Period],
    group_by: Sequence[str],
    parts: dict[tuple[int, int, Group], Part],
) -> dict[tuple[int, int, Group], Part]:
    inner = [_inner(window, _ceil_day(window.start), _floor_day(window.end)) for window in windows]
    rows = execute(
        sql.DISTINCT_USAGE,
        {
            "customer": customer.id,
            "meters": [meter.id for meter in meters],
            "group_by": list(group_by),
            "starts": _times(window.start for window in windows),
            "from_days": _times(span.start for span in inner),
            "to_days": _times(span.end for span in inner),
            "ends": _times(window.end for window in windows),
        },
    )
    merged: dict[tuple[int, int, Group], Part] = {}
    for window, meter_id, group, distinct in rows:
        key = (meter_id, window - 1, tuple(group))
        merged[key] = Part(count=parts.get(key, Part()).count, distinct=distinct)
    return merged


def _inner(window: Period, start: datetime, end: datetime) -> Period:
    """The whole buckets inside a window. Where there are none, both bounds are its end, and all of it is edge."""
    return Period(start, end) if start < end else Period(window.end, window.end)


def _floor_day(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _ceil_day(instant: datetime) -> datetime:
    floor = _floor_day(instant)
    return floor if floor == instant else floor + timedelta(days=1)


def _times(instants: Iterable[datetime]) -> str:
    return array(instant.isoformat() for instant in instants)
