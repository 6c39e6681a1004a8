"""Reading usage: one way to every figure, for the API, the portal and the invoice.

A span is whole buckets plus raw events at its ragged edges (a bound inside an hour: half-hour time zones, a start
at an instant), so what is read is exact for any bounds. Percentiles and time-weighted figures are made of the raw
events. Voided events are in none of them.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from meters import usage_sql
from meters.aggregation import EXACT, NOTHING, TIME_WEIGHTED, Change, Part, quantity, shares, time_weighted
from meters.distribution import is_distributed
from meters.models import RESERVED_DIMENSION, Customer, Meter
from meters.periods import Period, floor_hour
from meters.retention import EventsRetired, retired_before
from meters.segments import Segments, day_segments, hour_segments
from meters.statements import array, execute
from meters.usage_sql import Shape

Group = tuple[str, ...]
Where = Mapping[str, Sequence[str]]
# By meter: its usage is kept apart by the first of these filters that the dimensions meet.
Filters = Mapping[int, Sequence[Where]]
# By meter, window and group.
Parts = dict[tuple[int, int, Group], Part]

# All groups that are not kept apart. No group of the database has this text: it stores no NUL.
OTHER: Group = ("\0",)
ONE_VALUE = re.compile("[^,]+")


@dataclass(frozen=True, slots=True)
class Usage:
    """Usage of one customer, or of several together, in some windows.

    `version` is the customers' usage version that every figure holds at least (of several the sum of theirs, 0: no
    usage ever), and `at` is when it came in. Figures are exact `Decimal`s in the meter's unit; what has no usage
    is 0. Values that hold are counted up to `until`.
    """

    windows: tuple[Period, ...]
    group_by: tuple[str, ...]
    version: int
    at: datetime | None
    parts: Parts
    until: datetime

    def quantity(self, meter: Meter, window: int = 0, group: Group | None = None) -> Decimal:
        """The quantity of `meter` in the window of that index, in one group (default: the ungrouped one)."""
        return quantity(meter, self.parts.get((meter.id, window, () if group is None else group), NOTHING))

    def events(self, meter: Meter, window: int = 0, group: Group = ()) -> int:
        """How many events of the window the quantity is made of; a value that holds from before is none of them."""
        return self.parts.get((meter.id, window, group), NOTHING).count

    def groups(self, meter: Meter) -> list[Group]:
        """The groups that have usage in any window, in alphabetical order, OTHER at the end."""
        found = {group for meter_id, _, group in self.parts if meter_id == meter.id}
        return sorted(found, key=lambda group: (group == OTHER, group))

    def series(self, meter: Meter, group: Group = ()) -> list[Decimal]:
        """The quantities of all windows in order, zero-filled."""
        return [self.quantity(meter, index, group) for index in range(len(self.windows))]

    def shares(self, meter: Meter, windows: Iterable[int], group: Group = ()) -> list[Decimal]:
        """What each of these consecutive windows adds to the quantity of all of them, before the meter's rounding; of
        a meter that adds up."""
        return shares(meter, [self.parts.get((meter.id, window, group), NOTHING) for window in windows])

    def follows_clock(self, meter: Meter, window: int = 0) -> bool:
        """Whether time alone moves the quantity: a value that holds, in a window that goes on after `until`."""
        return (
            meter.aggregation in TIME_WEIGHTED
            and self.windows[window].end > self.until
            and any(meter_id == meter.id for meter_id, _, _ in self.parts)
        )


@dataclass(frozen=True, slots=True)
class Values:
    """The values of single events in the order of their time and arrival, in the meter's unit (times its multiplier).

    Kept as text, which is a tenth of the memory, and read anew by each iteration.
    """

    texts: tuple[str, ...] = ()
    multiplier: Decimal = Decimal(1)

    def __iter__(self) -> Iterator[Decimal]:
        for text in self.texts:
            for match in ONE_VALUE.finditer(text):
                yield EXACT.multiply(Decimal(match[0]), self.multiplier)

    def __len__(self) -> int:
        return sum(text.count(",") + 1 for text in self.texts)


def read_usage(
    customer: Customer,
    meters: Sequence[Meter],
    windows: Sequence[Period],
    *,
    group_by: Sequence[str] = (),
    where: Where | None = None,
    filters: Filters | None = None,
    until: datetime | None = None,
    from_events: bool = False,
) -> Usage:
    """Usage of these meters in each of these windows, which may overlap (a running total is windows that all start
    at once). `group_by` names dimensions; usage without one of them is in the group of the empty text. `where` says
    which texts of a dimension count, beside the meter's own conditions. A value that holds until the next one does so
    until `until` (default: now) at the latest.

    With `filters` the last text of each group is the number, from 0, of the first of its meter's filters that the
    dimensions meet, and the empty text where they meet none. So each combination of dimensions is in one group, and
    the quantity of a group is exact for every aggregation.

    `from_events` counts the raw events, and uses nothing that was computed of them when they came in: slow, and
    what a figure is checked against. Events of months that are detached are not there to be counted.
    """
    reading = _Reading(
        "one", {"customer": customer.id}, windows, group_by, where, until, filters=filters, raw=from_events
    )
    return reading.read(meters).usage_of(None)


def read_usage_of(
    customers: Sequence[Customer] | None,
    meters: Sequence[Meter],
    windows: Sequence[Period],
    *,
    group_by: Sequence[str] = (),
    where: Where | None = None,
    keep: Sequence[Group] | None = None,
    until: datetime | None = None,
) -> Usage:
    """Usage of several customers together, or of all (None): like `read_usage`, in as many statements.

    `group_by` may name "customer", whose text is the customer's key. With `keep`, usage of other groups than those is
    taken together in the group OTHER, which is as exact as any: different values are counted once among them, and a
    percentile is that of their events.
    """
    scope, ids = _scope_of(customers)
    return _Reading(scope, ids, windows, group_by, where, until, keep=keep).read(meters).usage_of(None)


def read_usages(
    customers: Sequence[Customer],
    meters: Sequence[Meter],
    windows: Sequence[Period],
    *,
    group_by: Sequence[str] = (),
    where: Where | None = None,
    filters: Filters | None = None,
    until: datetime | None = None,
    from_events: bool = False,
) -> dict[int, Usage]:
    """Usage of each of these customers by its id: what `read_usage` answers for each, in as many statements as one."""
    scope, ids = _scope_of(customers)
    reading = _Reading(scope, ids, windows, group_by, where, until, filters=filters, apart=True, raw=from_events)
    reading.read(meters)
    return {customer.id: reading.usage_of(customer.id) for customer in customers}


def read_values(
    customers: Sequence[Customer],
    meters: Sequence[Meter],
    windows: Sequence[Period],
    *,
    filters: Filters | None = None,
) -> dict[tuple[int, int, int, Group], Values]:
    """The values of single events by customer's id, meter's id, window and group; see `read_usage` for windows and
    groups. What has no event is left out. A meter that does not sum has no values that its quantity is made of.
    """
    scope, ids = _scope_of(customers)
    return _Reading(scope, ids, windows, (), None, None, filters=filters, apart=True).values_of(meters)


def _scope_of(customers: Sequence[Customer] | None) -> tuple[str, dict[str, Any]]:
    if customers is None:
        return "all", {}
    return "some", {"customers": sorted({customer.id for customer in customers})}


class _Reading:
    """One read: runs the statements that its meters need, and hands out the figures by customer (None: together)."""

    def __init__(
        self,
        scope: str,
        customers: Mapping[str, Any],
        windows: Sequence[Period],
        group_by: Sequence[str],
        where: Where | None,
        until: datetime | None,
        *,
        keep: Sequence[Group] | None = None,
        filters: Filters | None = None,
        apart: bool = False,
        raw: bool = False,
    ) -> None:
        self.raw = raw
        self.filters = dict(filters or {})
        self.windows = tuple(windows)
        self.group_by = tuple(group_by)
        self.until = until or timezone.now()
        self.scope, self.keep, self.apart = scope, keep, apart
        self.where = dict(where or {})
        self.parameters = {**customers, **{f"group_{index}": name for index, name in enumerate(self.group_by)}}
        if keep is not None:
            self.parameters["keep"] = [json.dumps(group) for group in keep]
        self.parts: dict[int | None, Parts] = defaultdict(dict)
        self.versions: dict[int | None, tuple[int, datetime]] = {}

    def usage_of(self, customer: int | None) -> Usage:
        version, at = self.versions.get(customer, (0, None))
        return Usage(self.windows, self.group_by, version, at, self.parts.get(customer, {}), self.until)

    def values_of(self, meters: Sequence[Meter]) -> dict[tuple[int, int, int, Group], Values]:
        segments = hour_segments(self.windows)
        if segments.span is None or not meters:
            return {}
        by_id = {meter.id: meter for meter in meters}
        shape, parameters = self._shape(meters, segments, by_event=True)
        texts: dict[tuple[int, int, Group], dict[int, str]] = defaultdict(dict)
        for customer, meter, group, segment, text in execute(usage_sql.values(shape), parameters):
            texts[customer, meter, _group(group)][segment] = text
        found: dict[tuple[int, int, int, Group], Values] = {}
        for (customer, meter, group), by_segment in texts.items():
            in_window: dict[int, list[str]] = defaultdict(list)
            for segment, window in sorted(segments.pairs):
                if segment in by_segment:
                    in_window[window].append(by_segment[segment])
            for window, some in in_window.items():
                found[customer, meter, window, group] = Values(tuple(some), Decimal(by_id[meter].multiplier))
        return found

    def read(self, meters: Sequence[Meter]) -> "_Reading":
        kind = Meter.Aggregation
        by_kind: dict[str, list[Meter]] = defaultdict(list)
        for meter in meters:
            by_kind[meter.aggregation].append(meter)
        percentile = by_kind.pop(kind.PERCENTILE, [])
        gauges = [meter for name in sorted(TIME_WEIGHTED) for meter in by_kind.pop(name, [])]
        # First, as the version that it answers is one that all others hold, too.
        self._read_buckets([meter for some in by_kind.values() for meter in some])
        if by_kind[kind.UNIQUE_COUNT]:
            self._read_distinct(by_kind[kind.UNIQUE_COUNT])
        if percentile:
            self._read_percentiles(percentile)
        if gauges:
            self._read_gauges(gauges)
        return self

    def _read_buckets(self, meters: Sequence[Meter]) -> None:
        segments = hour_segments(self.windows if meters else ())
        shape, parameters = self._shape(meters, segments)
        parameters["latest"] = [meter.id for meter in meters if meter.aggregation == Meter.Aggregation.LATEST]
        # The machines of a distributed database answer a statement each at a moment of its own, so the version is
        # asked for before: what is read may be newer than that, never older.
        before = is_distributed()
        if before:
            for customer, *_, version, at in execute(usage_sql.versions(shape), parameters):
                self.versions[customer] = version, at
        for row in execute(usage_sql.usage(shape), parameters):
            customer, window, meter, group, count, total, least, greatest, last, version, at = row
            if window is None:
                if not before:
                    self.versions[customer] = version, at
            else:
                self.parts[customer][meter, window, _group(group)] = Part(
                    count=count, sum=total, min=least, max=greatest, last=last
                )

    def _read_distinct(self, meters: Sequence[Meter]) -> None:
        shape, parameters = self._shape(meters, day_segments(self.windows))
        for customer, window, meter, grp, distinct in execute(usage_sql.distinct(shape), parameters):
            parts, key = self.parts[customer], (meter, window, _group(grp))
            parts[key] = Part(count=parts.get(key, NOTHING).count, distinct=distinct)

    def _read_percentiles(self, meters: Sequence[Meter]) -> None:
        shape, parameters = self._shape(meters, hour_segments(self.windows), by_event=True)
        parameters["percentiles"] = [meter.percentile for meter in meters]
        for customer, window, meter, group, count, value in execute(usage_sql.percentiles(shape), parameters):
            self.parts[customer][meter, window, _group(group)] = Part(count=count, percentile=value)

    def _read_gauges(self, meters: Sequence[Meter]) -> None:
        # What is running ends now, but what comes later is read as well: it says whose figures will move by then.
        running = [window.clip(end=self.until) if window.start < self.until else None for window in self.windows]
        to_come = [window.clip(start=self.until) for window in self.windows if self.until < window.end]
        segments = hour_segments([*(window for window in running if window is not None), *to_come])
        if segments.span is None:
            return
        lasting = [window if window is not None and window.start < window.end else None for window in running]
        shape, parameters = self._shape(meters, segments, by_event=True)
        parameters["first_hour"] = floor_hour(segments.span.start)
        changes: dict[tuple[int | None, int, Group], dict[int, Change]] = defaultdict(dict)
        for customer, meter, group, segment, *change in execute(usage_sql.gauge_changes(shape), parameters):
            changes[customer, meter, _group(group)][segment] = Change(*change)
        for (customer, meter, group), by_segment in changes.items():
            for window, part in enumerate(time_weighted(by_segment, segments.bounds, lasting)):
                self.parts[customer][meter, window, group] = part

    def _shape(
        self, meters: Sequence[Meter], segments: Segments, *, by_event: bool = False
    ) -> tuple[Shape, dict[str, Any]]:
        self._need_events(meters, segments.runs if by_event or self.raw else segments.edges)
        if self.raw:
            # Nothing is a whole unit, so all of it is read as the ragged edges are.
            segments = replace(segments, whole=(), edges=segments.runs)
        conditions: list[tuple[int | None, str, Sequence[str]]]
        conditions = [(None, name, texts) for name, texts in self.where.items()]
        conditions += [(meter.id, name, texts) for meter in meters for name, texts in meter.where.items()]
        parameters = {
            **self.parameters,
            "meters": [meter.id for meter in meters],
            "bounds": _times(segments.bounds),
            "pair_segments": array(str(segment) for segment, _ in segments.pairs),
            "pair_windows": array(str(window) for _, window in segments.pairs),
            "first": segments.span.start if segments.span else None,
            "end": segments.span.end if segments.span else None,
            "whole_first": segments.whole[0].start if segments.whole else None,
            "whole_end": segments.whole[-1].end if segments.whole else None,
        }
        for name, spans in (("whole", segments.whole), ("edge", segments.edges), ("run", segments.runs)):
            parameters[f"{name}_starts"] = _times(span.start for span in spans)
            parameters[f"{name}_ends"] = _times(span.end for span in spans)
        for index, (meter_id, name, texts) in enumerate(conditions):
            parameters[f"condition_meter_{index}"] = meter_id
            parameters[f"condition_name_{index}"] = name
            parameters[f"condition_texts_{index}"] = list(texts)
        index = 0
        named: list[int] = []
        for meter in meters:
            for number, where in enumerate(self.filters.get(meter.id, ())):
                parameters[f"filter_meter_{index}"], parameters[f"filter_group_{index}"] = meter.id, str(number)
                for place, (name, texts) in enumerate(where.items()):
                    parameters[f"filter_name_{index}_{place}"] = name
                    parameters[f"filter_texts_{index}_{place}"] = list(texts)
                named.append(len(where))
                index += 1
        shape = Shape(
            self.scope,
            tuple(name == RESERVED_DIMENSION for name in self.group_by),
            tuple(meter_id is not None for meter_id, _, _ in conditions),
            self.keep is not None,
            self.apart,
            len(segments.whole) == 1,
            bool(segments.edges),
            tuple(named) if self.filters else None,
            len(segments.whole) == 1 and not any(_is_inside(bound, segments.whole[0]) for bound in segments.bounds),
            self.raw,
            any(meter.aggregation == Meter.Aggregation.LATEST for meter in meters),
        )
        return shape, parameters

    def _need_events(self, meters: Sequence[Meter], spans: Sequence[Period]) -> None:
        """Raises EventsRetired where there was usage in one of these spans whose events are not here any more."""
        before = retired_before()
        old = [span.clip(end=before) for span in spans if before is not None and span.start < before]
        if not old or before is None:
            return
        parameters = {
            **self.parameters,
            "meters": [meter.id for meter in meters],
            "starts": _times(floor_hour(span.start) for span in old),
            "ends": _times(span.end for span in old),
        }
        ((had,),) = execute(usage_sql.had_usage(self.scope), parameters)
        if had:
            raise EventsRetired(before)


def _is_inside(bound: datetime, span: Period) -> bool:
    return span.start < bound < span.end


def _group(texts: list[str] | None) -> Group:
    return OTHER if texts is None else tuple(texts)


def _times(instants: Iterable[datetime]) -> str:
    return array(instant.isoformat() for instant in instants)
