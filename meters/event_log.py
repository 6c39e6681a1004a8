"""Finding events on a table too large to count or to sort: every search is bounded by an index.

One customer's events are read in the order of an index, however many there are. Without a customer a search is held
to a short span, or to the events that arrived last. Pages follow a cursor on time and arrival, so that the last page
costs what the first one does, and events that come in meanwhile move none.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection

from meters import event_log_sql as sql
from meters.ids import key_of
from meters.models import Customer, Event, EventKey, Meter, VoidRecord

STATES = ("all", "counted", "voided")

# Without a customer: at most so long a span, and without one at most so many of the last arrivals.
LONGEST_SPAN = timedelta(days=1)
NEWEST = 100_000
# A page that looks for what no index knows (a dimension, a state) reads at most about so many events of a customer.
# Where that is not enough for a page it is short, and its cursor goes on from there.
EXAMINED = 20_000
# Far from where arithmetic with dates overflows.
FIRST_YEAR, LAST_YEAR = 1970, 2200
LAST_SEQUENCE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EventQuery:
    """What is asked for; all of it must hold. The span is `[start, end)`.

    `dimensions`: the text that each of these has, declared by the meter or not; the empty text is that of an event
    without it. `state`: "all", "counted" (neither voided nor outside of its meter's filter) or "voided". `record`:
    the void that holds the events out.
    """

    customer: Customer | None = None
    meter: Meter | None = None
    start: datetime | None = None
    end: datetime | None = None
    event_id: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    state: str = "all"
    record: VoidRecord | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events, the newest first; `next` is the cursor of the older ones, `previous` of the newer ones."""

    events: list[Event]
    next: str | None
    previous: str | None


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two events: before (older than) or after (newer than) the event of this time and arrival."""

    newer: bool
    at: datetime
    sequence: int


def page(query: EventQuery, *, limit: int, cursor: str | None = None) -> EventPage:
    """At most `limit` events with all that a row shows, from the newest on, or from where `cursor` says.

    Raises ValidationError by field where no index bounds the search. A page may hold fewer events than there are
    and a cursor all the same, where a search reads far for few events.
    """
    validate(query)
    position = position_of(cursor) if cursor else None
    newer = position is not None and position.newer
    names, values = conditions(query)
    if position:
        names.append("after" if newer else "before")
        values |= {"at": position.at, "sequence": position.sequence}
    values["limit"] = limit + 1
    if query.customer is None:
        statement, floor = sql.events_of_all, None
        if query.start is None:
            names.append("newest")
            values["newest"] = NEWEST
    else:
        statement = sql.events_of_customer
        names = [name for name in names if name not in ("customer", "meters")]
        floor = _floor(names, values, newer)
        if floor is not None:
            names.append("not_after" if newer else "not_before")
            values["floor"] = floor
    found = Event.objects.raw(statement(names, newer=newer), values)
    events = list(found.prefetch_related("customer", "meter", "dimension_set", "void"))
    more = len(events) > limit
    events = events[:limit]
    onward = None
    if more:
        onward = Position(newer, events[-1].occurred_at, events[-1].sequence)
    elif floor is not None:
        onward = Position(newer, floor, LAST_SEQUENCE if newer else 0)
    back = None
    if events and position:
        back = Position(not newer, events[0].occurred_at, events[0].sequence)
    elif position:
        # Nothing here: the way back begins where this page did.
        back = Position(not newer, position.at, position.sequence)
    if newer:
        events.reverse()
        onward, back = back, onward
    return EventPage(events, next=_cursor(onward), previous=_cursor(back))


def events_of(customer: Customer, event_id: str) -> list[Event]:
    """The events of one id, at most one for each meter that it fed, by meter."""
    events = page(EventQuery(customer=customer, event_id=event_id), limit=1000).events
    return sorted(events, key=lambda event: event.meter.key)


def counts(event: Event) -> bool:
    """Whether the figures of its meter count the event."""
    return event.void_id is None and in_filter(event)


def in_filter(event: Event) -> bool:
    """Whether the event passes the filter of its meter. A dimension that it lacks is the empty text."""
    declared = event.dimension_set.values
    return all(declared.get(name, "") in texts for name, texts in event.meter.where.items())


def validate(query: EventQuery, *, longest: timedelta = LONGEST_SPAN) -> None:
    """Raises ValidationError by field where the question makes no sense or no index bounds its search. `longest`: how
    long a span may be without a customer."""
    start, end = query.start, query.end
    for name, bound in (("start", start), ("end", end)):
        if bound and not FIRST_YEAR <= bound.year <= LAST_YEAR:
            raise ValidationError({name: f"A year from {FIRST_YEAR} to {LAST_YEAR}."})
    if start and end and end <= start:
        raise ValidationError({"end": "The end is after the start."})
    if query.state not in STATES:
        raise ValidationError({"state": f"One of {', '.join(STATES)}."})
    if query.customer is None:
        if query.event_id:
            raise ValidationError({"customer": "An event id is unique for a customer only: name the customer."})
        for name, bound, other in (("start", start, end), ("end", end, start)):
            if other and not bound:
                raise ValidationError({name: "Without a customer give both ends of the span."})
        if start and end and end - start > longest:
            days = "one day" if longest == LONGEST_SPAN else f"{longest.days} days"
            raise ValidationError({"end": f"Without a customer at most {days} can be searched."})


def conditions(query: EventQuery) -> tuple[list[str], dict[str, Any]]:
    """The names of the conditions that make up a query, of meters/event_log_sql.py, and their parameters."""
    names: list[str] = []
    values: dict[str, Any] = {}
    meters = [query.meter] if query.meter else list(Meter.objects.all()) if query.customer else []
    if query.customer:
        names.append("customer")
        values["customer"] = query.customer.id
    if meters:
        names.append("meters")
    values["meters"] = [meter.id for meter in meters]
    if query.start:
        names.append("start")
        values["start"] = query.start
    if query.end:
        names.append("end")
        values["end"] = query.end
    if query.event_id:
        # The guard's primary key knows when the events of an id occurred, one for each meter at most.
        key = key_of(query.event_id)
        guards = EventKey.objects.filter(customer=query.customer, meter__in=values["meters"], key=key)
        names.append("key")
        values |= {"key": key, "times": list(guards.values_list("occurred_at", flat=True))}
    if query.dimensions:
        names.append("dimensions")
        values["dimensions"] = json.dumps(dict(query.dimensions))
    if query.state == "voided":
        names.append("voided")
    elif query.state == "counted":
        names.append("not_voided")
        if not meters or any(meter.where for meter in meters):
            names.append("in_filter")
    if query.record:
        names.append("record")
        values["record"] = query.record.id
    return names, values


def _floor(names: list[str], values: dict[str, Any], newer: bool) -> datetime | None:
    """How far a page of one customer's events may read: to this time, or (None) to the end."""
    if "key" in names or not any(name in sql.READ_FOR for name in names):
        return None
    indexed = [name for name in names if name not in sql.READ_FOR]
    # Divided among the meters, as each one's events are read on their own.
    examined = max(EXAMINED // max(len(values["meters"]), 1), EXAMINED // 50)
    with connection.cursor() as cursor:
        cursor.execute(sql.floor_of_customer(indexed, newer=newer), values | {"examined": examined})
        row = cursor.fetchone()
    floor: datetime | None = row[0] if row else None
    return floor


def _cursor(position: Position | None) -> str | None:
    if position is None:
        return None
    text = f"{'after' if position.newer else 'before'} {position.at.astimezone(UTC).isoformat()} {position.sequence}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def position_of(cursor: str) -> Position:
    """The place that a cursor of ours names. Raises ValidationError on any other text."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        direction, at, sequence = text.split(" ")
        instant = datetime.fromisoformat(at)
        # Near the ends of the calendar a time with an offset is none in UTC.
        position = Position({"before": False, "after": True}[direction], instant.astimezone(UTC), int(sequence))
        sane = instant.tzinfo is not None and 0 <= position.sequence <= LAST_SEQUENCE
    except (binascii.Error, ValueError, KeyError, UnicodeError, OverflowError) as error:
        raise ValidationError({"cursor": "This cursor is not one of ours."}) from error
    if not sane:
        raise ValidationError({"cursor": "This cursor is not one of ours."})
    return position
