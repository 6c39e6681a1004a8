"""The rows that answer a usage query: zero-filled, and their total, all of one moment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from meters.aggregation import EXACT, ZERO, adds_up
from meters.api.problems import Problem
from meters.api.usage_query import UsageQuery
from meters.models import RESERVED_DIMENSION
from meters.periods import Period
from meters.snapshot import snapshot
from meters.usage import OTHER, Group, Usage, read_usage, read_usage_of

MAX_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class Row:
    """One window of one group; `other`: of all groups that are not among the greatest."""

    window: Period
    group: dict[str, str]
    other: bool
    value: Decimal
    events: int


@dataclass(frozen=True, slots=True)
class Table:
    """What a query comes to. `value` and `events` are of the whole span without groups, read as one window: a
    greatest value or a number of different values is no sum of its rows."""

    query: UsageQuery
    value: Decimal
    events: int
    version: int
    at: datetime | None
    usage: Usage
    groups: tuple[Group, ...]
    # Where the first window's figures are in `usage`.
    first: int

    def rows(self) -> Iterator[Row]:
        meter, names = self.query.meter, self.query.group_by
        named = [{} if group == OTHER else dict(zip(names, group, strict=True)) for group in self.groups]
        for index, window in enumerate(self.query.windows, self.first):
            for group, texts in zip(self.groups, named, strict=True):
                value, events = self.usage.quantity(meter, index, group), self.usage.events(meter, index, group)
                yield Row(window, texts, group == OTHER, value, events)


def read_table(query: UsageQuery) -> Table:
    """Reads it, with as many statements for many customers as for one. Raises a Problem beyond MAX_ROWS."""
    with snapshot():
        return _grouped(query) if query.group_by else _ungrouped(query)


def _ungrouped(query: UsageQuery) -> Table:
    cut = query.window != "none"
    usage = _read(query, [query.span, *query.windows] if cut else [query.span])
    value, events = usage.quantity(query.meter), usage.events(query.meter)
    return Table(query, value, events, usage.version, usage.at, usage, ((),), 1 if cut else 0)


def _grouped(query: UsageQuery) -> Table:
    meter = query.meter
    whole = _read(query, [query.span], query.group_by)
    groups = _groups(query, whole)
    events = sum(whole.events(meter, 0, group) for group in groups)
    if adds_up(meter):
        value = ZERO
        for group in groups:
            value = EXACT.add(value, whole.quantity(meter, 0, group))
    else:
        value = _read(query, [query.span]).quantity(meter)
    if query.top is not None:
        # sorted() is stable: equals stay in alphabetical order.
        groups.sort(key=lambda group: whole.quantity(meter, 0, group), reverse=True)
    keep = None
    if query.top is not None and len(groups) > query.top:
        keep = groups[: query.top]
        groups = [*keep, OTHER]
    _refuse_too_many(query, groups)
    if keep is None and query.window == "none":
        usage = whole
    else:
        usage = _read(query, query.windows, query.group_by, keep=keep)
    return Table(query, value, events, whole.version, whole.at, usage, tuple(groups), 0)


def _groups(query: UsageQuery, whole: Usage) -> list[Group]:
    """The groups with usage in the span; where customers are named and are the groups, each of them."""
    groups = set(whole.groups(query.meter))
    if query.customers is not None and query.group_by == (RESERVED_DIMENSION,):
        groups |= {(customer.key,) for customer in query.customers}
    return sorted(groups)


def _refuse_too_many(query: UsageQuery, groups: Sequence[Group]) -> None:
    count = len(groups) * len(query.windows)
    if count > MAX_ROWS:
        detail = (
            f"{len(groups):,} groups in {len(query.windows):,} windows are {count:,} rows; at most {MAX_ROWS:,} are "
            "answered. Ask for fewer windows, filter, or name a top."
        )
        raise Problem(400, "too_many_rows", detail, [{"pointer": "/group_by", "detail": detail}])


def _read(
    query: UsageQuery,
    windows: Sequence[Period],
    group_by: Sequence[str] = (),
    *,
    keep: Sequence[Group] | None = None,
) -> Usage:
    options: dict[str, Any] = {"group_by": group_by, "where": query.where, "until": query.now}
    customers = query.customers
    if customers is not None and len(customers) == 1 and keep is None and RESERVED_DIMENSION not in group_by:
        return read_usage(customers[0], [query.meter], windows, **options)
    return read_usage_of(customers, [query.meter], windows, keep=keep, **options)
