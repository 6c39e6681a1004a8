"""Finding events on a table too large to count or to sort: every search is bounded by an index.

One customer's events are read in the order of an index, however many there are. Without a customer a search is held
to a short span, or to the events that arrived last. Pages follow a cursor on time and arrival, so that the last page
costs what the first one does, and events that come in meanwhile move none.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection

from meters import event_log_sql as sql
from meters.arrivals import last_sequence
from meters.distribution import is_distributed
from meters.ids import key_of
from meters.models import Customer, Event, EventKey, Meter, VoidRecord
from meters.periods import floor_hour
from meters.retention import EventsRetired, retired_before

Where = Mapping[str, Sequence[str]]

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
# What a row shows beside the event itself.
SHOWN = ("customer", "meter", "dimension_set", "void")


@dataclass(frozen=True, slots=True)
class EventQuery:
    """What is asked for; all of it must hold. The span is `[start, end)`.

    `dimensions`: the text that each of these has, declared by the meter or not; the empty text is that of an event
    without it. `state`: "all", "counted" (neither voided nor outside of its meter's filter) or "voided". `record`:
    the void that holds the events out.

    What figures are made of, of one customer's meter: `where` says which texts of declared dimensions count, none of
    the filters of `unless` is met, and with `in_filter` neither is what the meter's own filter leaves out.
    `changed_after`: only what arrived, or was voided, after that. `with_held`: before the events of the span, the last
    one of each value that goes on into it.
    """

    customer: Customer | None = None
    meter: Meter | None = None
    start: datetime | None = None
    end: datetime | None = None
    event_id: str = ""
    dimensions: Mapping[str, str] = field(default_factory=dict)
    state: str = "all"
    record: VoidRecord | None = None
    where: Where = field(default_factory=dict)
    unless: tuple[Where, ...] = ()
    in_filter: bool = False
    changed_after: datetime | None = None
    with_held: bool = False


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


@dataclass(frozen=True, slots=True)
class Read:
    """Events in the order of reading. `more`: there are others behind them. `floor`: it was read to this time only."""

    events: list[Event]
    more: bool = False
    floor: datetime | None = None

    @property
    def is_done(self) -> bool:
        return not self.more and self.floor is None


def page(query: EventQuery, *, limit: int, cursor: str | None = None) -> EventPage:
    """At most `limit` events with all that a row shows, from the newest on, or from where `cursor` says.

    Raises ValidationError by field where no index bounds the search. A page may hold fewer events than there are
    and a cursor all the same, where a search reads far for few events.
    """
    validate(query)
    position = position_of(cursor) if cursor else None
    newer = position is not None and position.newer
    read = _read(query, limit, position)
    events, onward = read.events, _onward(read, position)
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


def every_event(query: EventQuery, *, at_once: int = 2000) -> Iterator[Event]:
    """All events of a query, the newest first, read some at a time. Raises ValidationError by field."""
    validate(query)
    return _every_event(query, at_once)


def _every_event(query: EventQuery, at_once: int) -> Iterator[Event]:
    position: Position | None = None
    while True:
        read = _read(query, at_once, position)
        yield from read.events
        position = _onward(read, position)
        if position is None:
            return


def _onward(read: Read, position: Position | None) -> Position | None:
    newer = position is not None and position.newer
    if read.more:
        return Position(newer, read.events[-1].occurred_at, read.events[-1].sequence)
    if read.floor is not None:
        return Position(newer, read.floor, LAST_SEQUENCE if newer else 0)
    return None


def _read(query: EventQuery, limit: int, position: Position | None) -> Read:
    """The events from a position on; those whose value goes on into the span are before it, and so behind the others
    where the newest come first."""
    newer = position is not None and position.newer
    parts = [_read_span]
    if query.with_held and query.start is not None:
        parts = [_read_held, _read_span] if newer else [_read_span, _read_held]
        if position is not None and (position.at < query.start) != newer:
            del parts[0]
    events: list[Event] = []
    for part in parts:
        read = part(query, limit - len(events), position, newer)
        events += read.events
        if not read.is_done:
            return Read(events, read.more, read.floor)
    return Read(events)


def _read_span(query: EventQuery, limit: int, position: Position | None, newer: bool) -> Read:
    names, values = conditions(query)
    _from_position(names, values, position)
    values["limit"] = limit + 1
    if query.customer is None:
        statement, floor = sql.events_of_all, None
        if query.start is None:
            names.append("newest")
            values["newest"] = last_sequence() - NEWEST
    else:
        statement = sql.events_of_customer
        names = [name for name in names if name not in ("customer", "meters")]
        floor = _floor(names, values, newer)
        if floor is not None:
            names.append("not_after" if newer else "not_before")
            values["floor"] = floor
    found = Event.objects.raw(statement(names, newer=newer), values)
    events = list(found.prefetch_related(*SHOWN))
    return Read(events[:limit], True) if len(events) > limit else Read(events, floor=floor)


def _read_held(query: EventQuery, limit: int, position: Position | None, newer: bool) -> Read:
    """Of each value that goes on into the span, the event that it holds from."""
    assert query.customer is not None
    assert query.meter is not None
    assert query.start is not None
    if query.state == "voided":
        return Read([])
    names, values = conditions(query)
    names = [sql.OF_HELD[name] for name in names if name in sql.OF_HELD]
    _from_position(names, values, position)
    values |= {"meter": query.meter.id, "start_hour": floor_hour(query.start), "limit": limit + 1}
    with connection.cursor() as cursor:
        cursor.execute(sql.held(names, newer=newer), values)
        places = cursor.fetchall()
    found = Event.objects.filter(
        customer=query.customer, meter=query.meter, occurred_at__in=[at for at, _ in places]
    ).filter(sequence__in=[sequence for _, sequence in places])
    by_place = {(event.occurred_at, event.sequence): event for event in found.prefetch_related(*SHOWN)}
    events = [by_place[place] for place in places[:limit]]
    return Read(events, len(places) > limit)


def _from_position(names: list[str], values: dict[str, Any], position: Position | None) -> None:
    if position:
        names.append("after" if position.newer else "before")
        values |= {"at": position.at, "sequence": position.sequence}


def events_of(customer: Customer, event_id: str) -> list[Event]:
    """The events of one id, at most one for each meter that it fed, by meter."""
    events = page(EventQuery(customer=customer, event_id=event_id), limit=1000).events
    return sorted(events, key=lambda event: event.meter.key)


def need_events_of(customer: Customer, event_id: str) -> None:
    """Raises EventsRetired where an event of this id was there and is in an archive now."""
    before = retired_before()
    if (
        before is not None
        and EventKey.objects.filter(customer=customer, key=key_of(event_id), occurred_at__lt=before).exists()
    ):
        raise EventsRetired(before)


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
        values["lacked"] = json.dumps(dict.fromkeys(query.dimensions, ""))
    if query.state == "voided":
        names.append("voided")
    elif query.state == "counted":
        names.append("not_voided")
    if (query.state == "counted" or query.in_filter) and (not meters or any(meter.where for meter in meters)):
        names.append("in_filter" if query.customer or not is_distributed() else "in_filter_of_all")
        filters = {meter.id: meter.where for meter in meters or Meter.objects.all() if meter.where}
        values["filters"] = json.dumps(filters)
    if query.where:
        names.append("where")
        values["where"] = json.dumps({name: list(texts) for name, texts in query.where.items()})
    if query.unless:
        names.append("unless")
        values["unless"] = json.dumps([{name: list(texts) for name, texts in one.items()} for one in query.unless])
    if query.changed_after:
        names.append("changed")
        values["changed_after"] = query.changed_after
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
