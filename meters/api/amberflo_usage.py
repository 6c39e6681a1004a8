"""Usage, as Amberflo's clients ask for it: `/usage`, `/usage/batch` and `/usage/all`."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from meters.aggregation import EXACT, plain
from meters.api.amberflo_base import (
    CUSTOMER,
    AmberfloView,
    answer,
    fault,
    needed,
    of_seconds,
    parameters,
    read,
    seconds,
    whole,
)
from meters.api.auth import customer_of, require_customer
from meters.api.problems import Problem
from meters.api.usage_query import FIRST_YEAR, LAST_YEAR, MAX_CUSTOMERS, MAX_FILTER_TEXTS, MAX_WINDOWS
from meters.api.usage_table import MAX_ROWS
from meters.models import RESERVED_DIMENSION, ApiKey, Customer, Meter
from meters.periods import Period, day_of, floor_hour, month_of, week_of, windows
from meters.snapshot import snapshot
from meters.usage import Group, Usage, read_usage_of

UTC = ZoneInfo("UTC")
INTERVALS = {
    "HOUR": lambda instant: floor_hour(instant),
    "DAY": lambda instant: day_of(instant, UTC).start,
    "WEEK": lambda instant: week_of(instant, UTC).start,
    "MONTH": lambda instant: month_of(instant, UTC).start,
}
Kind = Meter.Aggregation
AGGREGATIONS = {"SUM": Kind.SUM, "COUNT": Kind.COUNT, "MIN": Kind.MIN, "MAX": Kind.MAX}
# What the values of single events are nothing to.
OF_ITS_OWN = (Kind.UNIQUE_COUNT, Kind.PERCENTILE, Kind.TIME_WEIGHTED_AVERAGE, Kind.TIME_WEIGHTED_SUM)
MOST_QUERIES = 100
HUNDREDTH = Decimal("0.01")


class TimeRange(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    start_time_in_seconds: int
    end_time_in_seconds: int | None = None


class Take(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    limit: int
    is_ascending: bool = False


class Asked(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    meter_api_name: str
    time_range: TimeRange
    time_grouping_interval: str
    aggregation: str | None = None
    group_by: list[str] | None = None
    filter: dict[str, list[str]] | None = None
    take: Take | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What to read. `meter` aggregates as was asked; `customers` None: all of them."""

    meter: Meter
    aggregation: str
    customers: Sequence[Customer] | None
    span: Period
    interval: str
    windows: tuple[Period, ...]
    group_by: tuple[str, ...]
    where: Mapping[str, Sequence[str]]
    take: Take | None
    asked: dict[str, Any]
    now: datetime

    @property
    def starts(self) -> list[int]:
        """When the windows begin by the clock of UTC. The first one has of its usage what is in the span."""
        return [seconds(INTERVALS[self.interval](window.start)) for window in self.windows]


class UsageView(AmberfloView):
    scopes = {"POST": ApiKey.Scope.READ.value}
    permissions = {"POST": "meters.view_usagebucket"}
    customer_keys = ("POST",)

    def post(self, request: Request) -> HttpResponse:
        parameters(request, ())
        with snapshot():
            return answer(_report(_query(read(request, Asked), request, timezone.now())))


class UsageBatchView(UsageView):
    def post(self, request: Request) -> HttpResponse:
        parameters(request, ())
        asked, now = read(request, list[Asked]), timezone.now()
        if len(asked) > MOST_QUERIES:
            raise Problem(400, "too_many_queries", f"At most {MOST_QUERIES} queries at a time.")
        with snapshot():
            return answer(_reports([_query(one, request, now) for one in asked]))


class UsageOfAllView(AmberfloView):
    """A report for each meter, by what it counts for billing."""

    permissions = {"GET": "meters.view_usagebucket"}
    customer_keys = ("GET",)

    def get(self, request: Request) -> HttpResponse:
        names = ("startTimeInSeconds", "endTimeInSeconds", "timeGroupingInterval", "groupBy", CUSTOMER)
        sent, now = parameters(request, names), timezone.now()
        end = whole(sent, names[1]) if names[1] in sent else None
        with snapshot():
            queries = []
            for meter in Meter.objects.all():
                asked = Asked(
                    meter_api_name=meter.key,
                    time_range=TimeRange(whole(sent, names[0]), end),
                    time_grouping_interval=needed(sent, names[2]),
                    group_by=[sent["groupBy"]] if "groupBy" in sent else None,
                    filter={CUSTOMER: [sent[CUSTOMER]]} if CUSTOMER in sent else None,
                )
                queries.append(_query(asked, request, now))
            return answer(_reports(queries))


def _query(asked: Asked, request: Request, now: datetime) -> Query:
    """Raises a Problem for what there is not here, by their names of it."""
    meter = Meter.objects.filter(key=asked.meter_api_name).first()
    if meter is None:
        raise fault("meterApiName", f"There is no meter {asked.meter_api_name!r}.")
    counted, aggregation = _aggregating(meter, asked.aggregation)
    where = dict(asked.filter or {})
    customers = _customers(where.pop(CUSTOMER, None), request)
    group_by = asked.group_by or []
    for place, names in (("groupBy", [name for name in group_by if name != CUSTOMER]), ("filter", list(where))):
        for name in names:
            if name not in meter.dimensions:
                raise fault(place, f"The meter {meter.key!r} does not declare the dimension {name!r}.")
    if len(set(group_by)) < len(group_by):
        raise fault("groupBy", "Name each once.")
    if sum(len(texts) for texts in where.values()) > MAX_FILTER_TEXTS:
        raise fault("filter", f"At most {MAX_FILTER_TEXTS:,} texts.")
    if asked.take is not None and asked.take.limit < 1:
        raise fault("take/limit", "This is 1 or more.")
    interval = asked.time_grouping_interval.upper()
    if interval not in INTERVALS:
        raise fault("timeGroupingInterval", f"This is one of {', '.join(INTERVALS)}.")
    span = _span(asked.time_range, now)
    return Query(
        meter=counted,
        aggregation=aggregation,
        customers=customers,
        span=span,
        interval=interval,
        windows=tuple(_cut(span, interval)),
        group_by=tuple(RESERVED_DIMENSION if name == CUSTOMER else name for name in group_by),
        where=where,
        take=asked.take,
        asked={name: value for name, value in msgspec.to_builtins(asked).items() if value is not None},
        now=now,
    )


def _aggregating(meter: Meter, name: str | None) -> tuple[Meter, str]:
    """The meter as it would count by that aggregation. Left out it is its own, which is what bills have, too."""
    if name is None:
        return meter, meter.aggregation.upper()
    name = name.upper()
    if name not in AGGREGATIONS:
        raise fault("aggregation", f"This is one of {', '.join(AGGREGATIONS)}.")
    if name == "COUNT":
        counted = copy(meter)
        counted.aggregation, counted.multiplier, counted.rounding = Kind.COUNT, Decimal(1), Meter.Rounding.NONE
        return counted, name
    if meter.aggregation in OF_ITS_OWN:
        if name != "SUM":
            raise fault("aggregation", f"{meter.key!r} is a meter of the kind {meter.aggregation!r}: SUM or COUNT.")
        return meter, name
    counted = copy(meter)
    counted.aggregation = AGGREGATIONS[name]
    return counted, name


def _customers(keys: list[str] | None, request: Request) -> Sequence[Customer] | None:
    own = customer_of(request)
    if keys is not None and len(keys) > MAX_CUSTOMERS:
        raise fault(f"filter/{CUSTOMER}", f"At most {MAX_CUSTOMERS:,} customers.")
    if own is not None:
        for key in keys or ():
            require_customer(request, key)
        return [own]
    # Of those that there are not is no usage.
    return None if keys is None else list(Customer.objects.filter(key__in=keys))


def _span(asked: TimeRange, now: datetime) -> Period:
    place = "timeRange/startTimeInSeconds"
    start = of_seconds(asked.start_time_in_seconds, place)
    end = now
    if asked.end_time_in_seconds is not None:
        end = of_seconds(asked.end_time_in_seconds, "timeRange/endTimeInSeconds")
    if end <= start:
        raise fault(place, "The start is before the end.")
    if end.year > LAST_YEAR:
        raise fault("timeRange/endTimeInSeconds", f"A year from {FIRST_YEAR} to {LAST_YEAR}.")
    return Period(start, end)


def _cut(span: Period, interval: str) -> Iterator[Period]:
    for count, window in enumerate(windows(span, interval.lower(), UTC)):
        if count == MAX_WINDOWS:
            raise fault("timeGroupingInterval", f"At most {MAX_WINDOWS:,} of them: ask for a shorter time.")
        yield window


def _reports(queries: Sequence[Query]) -> list[dict[str, Any]]:
    room, reports = MAX_ROWS, []
    for query in queries:
        reports.append(_report(query, room))
        room -= len(reports[-1]["clientMeters"]) * len(query.windows)
    return reports


def _report(query: Query, room: int = MAX_ROWS) -> dict[str, Any]:
    usage = _read(query, [query.span])
    groups = _groups(query, usage)
    if len(groups) * len(query.windows) > room:
        raise Problem(400, "too_many_rows", f"At most {MAX_ROWS:,} values: ask for fewer groups or a shorter time.")
    totals = [usage.quantity(query.meter, 0, group) for group in groups]
    cut = _read(query, query.windows, groups if query.take is not None and query.group_by else None)
    starts = query.starts
    return {
        "metadata": query.asked | {"aggregation": query.aggregation, "timeGroupingInterval": query.interval},
        "secondsSinceEpochIntervals": starts,
        "clientMeters": [
            {
                "group": {"groupInfo": _names(query, group)},
                "groupValue": _number(total),
                "values": list(_values(starts, cut.series(query.meter, group))),
            }
            for group, total in zip(groups, totals, strict=True)
        ],
    }


def _read(query: Query, spans: Sequence[Period], keep: Sequence[Group] | None = None) -> Usage:
    return read_usage_of(
        query.customers,
        [query.meter],
        spans,
        group_by=query.group_by,
        where=query.where,
        keep=keep or None,
        until=query.now,
    )


def _groups(query: Query, usage: Usage) -> list[Group]:
    """Those with usage, in alphabetical order; with `take` so many of the greatest, or of the least."""
    if not query.group_by:
        return [()]
    groups = usage.groups(query.meter)
    if query.take is None:
        return groups
    # sorted() is stable: equals stay in alphabetical order.
    ascending = query.take.is_ascending
    ordered = sorted(groups, key=lambda group: usage.quantity(query.meter, 0, group), reverse=not ascending)
    return ordered[: query.take.limit]


def _names(query: Query, group: Group) -> dict[str, str]:
    names = (CUSTOMER if name == RESERVED_DIMENSION else name for name in query.group_by)
    return dict(zip(names, group, strict=True))


def _values(starts: Sequence[int], series: Sequence[Decimal]) -> Iterator[dict[str, Any]]:
    before: Decimal | None = None
    for start, value in zip(starts, series, strict=True):
        yield {
            "value": _number(value),
            "secondsSinceEpochUtc": start,
            "percentageFromPrevious": _growth(before, value),
        }
        before = value


def _growth(before: Decimal | None, value: Decimal) -> Decimal:
    """In percent, to two decimals; from nothing it is none."""
    if not before:
        return Decimal(0)
    growth = EXACT.divide(EXACT.multiply(EXACT.subtract(value, before), Decimal(100)), before)
    return _number(growth.quantize(HUNDREDTH, ROUND_HALF_UP, EXACT))


def _number(number: Decimal) -> Decimal:
    """With the digits that it needs, and no exponent."""
    return Decimal(plain(number))
