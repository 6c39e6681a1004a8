"""Taking events out of the figures, and back into them: by id or by a filter, with a reason, on record.

A voided event stays in the list and keeps its id: sending it again is a duplicate and stays voided. Everything that
was computed from usage follows, as after an event that came in: the customers' usage versions are raised in the same
transaction.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from meters import event_log, event_log_sql, voiding_sql
from meters.aggregation import EXACT, ZERO
from meters.event_log import EventQuery
from meters.ids import key_of
from meters.models import Customer, Meter, VoidRecord
from meters.periods import Period, month_of
from meters.rebuilding import Day, Hour, lock_usage, rebuild, together
from meters.statements import array, execute

MAX_EVENTS = 100_000
# Of one meter over all customers, which only the block ranges of time bound.
LONGEST_SPAN = timedelta(days=31)
# So many events are marked by one statement.
MARKED_AT_ONCE = 10_000
MAX_REASON = 500
# Events are partitioned by its months.
PARTITIONS_ZONE = ZoneInfo("UTC")


class EventRef(NamedTuple):
    """An event by the sender's id of it; without a meter, all events of the id."""

    customer: str
    id: str
    meter: str = ""


@dataclass(frozen=True, slots=True)
class Selection:
    """Events to void or to bring back, as `select_events` checked and made it. `asked` is kept on record. `void`: only
    those that this void holds out."""

    refs: tuple[EventRef, ...]
    query: EventQuery | None
    asked: dict[str, Any]
    void: VoidRecord | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """How many events of one customer and meter change, and the sum of their values, in the values' own unit."""

    customer: str
    meter: str
    events: int
    sum: Decimal


@dataclass(frozen=True, slots=True)
class Voided:
    """What a call changed, or would change where it was a dry run (`record` is None then, and where nothing changed).

    `unchanged`: events that were found voided already, or counted already where they were to be brought back.
    `unknown`: what was named and does not exist.
    """

    record: VoidRecord | None
    dry_run: bool
    changes: tuple[Change, ...]
    unchanged: int
    unknown: tuple[EventRef, ...]

    @property
    def events(self) -> int:
        return sum(change.events for change in self.changes)


class _Found(NamedTuple):
    customer_id: int
    meter_id: int
    occurred_at: datetime
    sequence: int
    value: Decimal
    void_id: int | None


@dataclass(slots=True)
class _Tally:
    """Events and the sum of their values by customer and meter."""

    events: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    sums: dict[tuple[int, int], Decimal] = field(default_factory=lambda: defaultdict(lambda: ZERO))

    def add(self, customer_id: int, meter_id: int, events: int, total: Decimal) -> None:
        self.events[customer_id, meter_id] += events
        self.sums[customer_id, meter_id] = EXACT.add(self.sums[customer_id, meter_id], total)

    def changes(self) -> tuple[Change, ...]:
        """The most events first."""
        customers = dict(Customer.objects.filter(id__in={c for c, _ in self.events}).values_list("id", "key"))
        meters = dict(Meter.objects.values_list("id", "key"))
        changes = [
            Change(customers[customer], meters[meter], events, self.sums[customer, meter])
            for (customer, meter), events in self.events.items()
        ]
        return tuple(sorted(changes, key=lambda change: (-change.events, change.customer, change.meter)))


def select_events(*, refs: Sequence[EventRef] | None = None, query: EventQuery | None = None) -> Selection:
    """Checks what is to be voided or brought back: ids, or a filter. Raises ValidationError by field where nothing is
    named, or no index bounds the filter: it names a customer, or a meter and a span of at most 31 days."""
    if (refs is None) == (query is None):
        raise ValidationError({"events": "Name events by id, or give a filter; one of them."})
    if query is None:
        named = tuple(dict.fromkeys(refs or ()))
        if not named:
            raise ValidationError({"events": "Name at least one event."})
        if len(named) > MAX_EVENTS:
            raise ValidationError({"events": f"At most {MAX_EVENTS:,} events a call."})
        return Selection(named, None, {"events": [_ref_json(ref) for ref in named]})
    return Selection((), _checked(query), {"filter": filter_json(query)})


def void_events(selection: Selection, *, reason: str, actor: str, dry_run: bool = False) -> Voided:
    """Takes the selected events out of all figures. A dry run says what it would change and changes nothing.

    `actor` is the API key's name or the member of staff. Raises ValidationError by field without a reason, and beyond
    100,000 events; then nothing is changed.
    """
    return _change(VoidRecord.Kind.VOID, selection, reason, actor, dry_run)


def unvoid_events(selection: Selection, *, reason: str, actor: str, dry_run: bool = False) -> Voided:
    """Brings voided events of the selection back, as `void_events` takes them out."""
    return _change(VoidRecord.Kind.UNVOID, selection, reason, actor, dry_run)


def selection_of(record: VoidRecord) -> Selection:
    """The events that this void holds out still: what undoing it brings back."""
    asked = {"record": record.id}
    if "filter" in record.selection:
        return Selection((), replace(_query_of(record.selection["filter"]), record=record), asked, record)
    refs = (EventRef(**ref) for ref in record.selection["events"])
    return Selection(tuple(refs), None, asked, record)


def filter_json(query: EventQuery) -> dict[str, Any]:
    """A filter as the API takes it and the record keeps it."""
    said: dict[str, Any] = {}
    if query.customer:
        said["customer"] = query.customer.key
    if query.meter:
        said["meter"] = query.meter.key
    for name, bound in (("from", query.start), ("to", query.end)):
        if bound:
            said[name] = bound.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if query.event_id:
        said["id"] = query.event_id
    if query.dimensions:
        said["dimensions"] = dict(query.dimensions)
    if query.state != "all":
        said["state"] = query.state
    if query.record:
        said["record"] = query.record.id
    return said


def _query_of(said: Mapping[str, Any]) -> EventQuery:
    """The filter that was kept on record. Customers, meters and records are never deleted."""
    bounds = {name: datetime.fromisoformat(said[name]) for name in ("from", "to") if name in said}
    return EventQuery(
        customer=Customer.objects.get(key=said["customer"]) if "customer" in said else None,
        meter=Meter.objects.get(key=said["meter"]) if "meter" in said else None,
        start=bounds.get("from"),
        end=bounds.get("to"),
        event_id=said.get("id", ""),
        dimensions=said.get("dimensions", {}),
    )


def _checked(query: EventQuery) -> EventQuery:
    if query.customer is None:
        if query.meter is None:
            raise ValidationError({"customer": "Name a customer, or a meter and a span."})
        if not query.start and not query.end:
            raise ValidationError({"start": "Without a customer give both ends of the span."})
    event_log.validate(query, longest=LONGEST_SPAN)
    return query


def _change(kind: VoidRecord.Kind, selection: Selection, reason: str, actor: str, dry_run: bool) -> Voided:
    reason = reason.strip()
    if not reason and not dry_run:
        raise ValidationError({"reason": "Say why."})
    if len(reason) > MAX_REASON:
        raise ValidationError({"reason": f"At most {MAX_REASON} characters."})
    # Found before the lock, which nobody should hold while a filter is being searched for. What another void changes
    # in between is left out by the mark itself.
    found, unknown = _found(selection)
    voiding = kind == VoidRecord.Kind.VOID
    targets = [event for event in found if (event.void_id is None) == voiding]
    if dry_run:
        tally = _Tally()
        for event in targets:
            tally.add(event.customer_id, event.meter_id, 1, event.value)
        return Voided(None, True, tally.changes(), len(found) - len(targets), unknown)
    if not targets:
        return Voided(None, False, (), len(found), unknown)
    with transaction.atomic():
        lock_usage()
        record = VoidRecord.objects.create(
            kind=kind, reason=reason, actor=actor[:200], selection=selection.asked, events=0
        )
        tally, hours, days = _mark(targets, record if voiding else None, selection.void)
        if not hours:
            # Somebody else was first with every one of them.
            record.delete()
            return Voided(None, False, (), len(found), unknown)
        rebuild(hours, days)
        record.events = sum(tally.events.values())
        record.save(update_fields=["events"])
    return Voided(record, False, tally.changes(), len(found) - record.events, unknown)


def _mark(
    targets: Sequence[_Found], void: VoidRecord | None, held_by: VoidRecord | None
) -> tuple[_Tally, list[Hour], list[Day]]:
    """Marks the events month by month, so that each statement knows its partition. Answers what changed, and the
    hours and days that are to be rebuilt."""
    by_month: dict[Period, list[_Found]] = defaultdict(list)
    for event in targets:
        by_month[month_of(event.occurred_at, PARTITIONS_ZONE)].append(event)
    tally = _Tally()
    hours: set[Hour] = set()
    days: set[Day] = set()
    for month, events in by_month.items():
        fixed = {
            "void": void.id if void else None,
            "counted": void is not None,
            "held_by": held_by.id if held_by else None,
            "start": month.start,
            "end": month.end,
        }
        for first in range(0, len(events), MARKED_AT_ONCE):
            at_once = events[first : first + MARKED_AT_ONCE]
            for statement, one, some in together(voiding_sql.MARK, at_once, lambda event: event.customer_id):
                marked = execute(statement, fixed | _columns(some) | {"customer": one})
                for customer, meter, hour, count, total, is_distinct in marked:
                    tally.add(customer, meter, count, total)
                    hours.add((customer, meter, hour))
                    if is_distinct:
                        days.add((customer, meter, hour.astimezone(UTC).date()))
    return tally, sorted(hours), sorted(days)


def _columns(events: Sequence[_Found]) -> dict[str, str]:
    return {
        "customers": array(str(event.customer_id) for event in events),
        "meters": array(str(event.meter_id) for event in events),
        "times": array(event.occurred_at.isoformat() for event in events),
        "sequences": array(str(event.sequence) for event in events),
    }


def _found(selection: Selection) -> tuple[list[_Found], tuple[EventRef, ...]]:
    """The events that a selection means, and what it names that does not exist."""
    if selection.refs:
        return _found_by_id(selection)
    assert selection.query is not None
    names, values = event_log.conditions(selection.query)
    if not values["meters"]:
        return [], ()
    with connection.cursor() as cursor:
        cursor.execute(event_log_sql.found(names), values | {"limit": MAX_EVENTS + 1})
        found = [_Found(*row) for row in cursor.fetchall()]
    _refuse_beyond_limit(len(found), "filter")
    return found, ()


def _found_by_id(selection: Selection) -> tuple[list[_Found], tuple[EventRef, ...]]:
    refs = selection.refs
    customers = dict(Customer.objects.filter(key__in={ref.customer for ref in refs}).values_list("key", "id"))
    meters = dict(Meter.objects.values_list("key", "id"))
    known = [ref for ref in refs if ref.customer in customers and (not ref.meter or ref.meter in meters)]
    named: set[EventRef] = set()
    # By sequence number, as two of the ids may mean one event.
    found: dict[int, _Found] = {}
    for statement, customer, some in together(voiding_sql.FOUND_BY_ID, known, lambda ref: customers[ref.customer]):
        parameters = {
            "customer": customer,
            "customers": array(str(customers[ref.customer]) for ref in some),
            "meters": array(str(meters[ref.meter]) if ref.meter else "NULL" for ref in some),
            "keys": array(key_of(ref.id) for ref in some),
            "all_meters": list(meters.values()),
        }
        for place, *event in execute(statement, parameters):
            named.add(some[place - 1])
            found.setdefault(event[3], _Found(*event))
        _refuse_beyond_limit(len(found), "events")
    held = [event for event in found.values() if not selection.void or event.void_id == selection.void.id]
    return held, tuple(ref for ref in refs if ref not in named)


def _refuse_beyond_limit(events: int, name: str) -> None:
    if events > MAX_EVENTS:
        raise ValidationError({name: f"This selects more than {MAX_EVENTS:,} events. Narrow it, and call again."})


def _ref_json(ref: EventRef) -> dict[str, str]:
    return {"customer": ref.customer, "id": ref.id} | ({"meter": ref.meter} if ref.meter else {})
