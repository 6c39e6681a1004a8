"""The events of a line: those that it counts, and those that were voided, a page at a time and each with its marks."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError

from invoices.lines.opened import LineEvents
from invoices.models import Invoice
from meters.aggregation import TIME_WEIGHTED, plain
from meters.event_log import EventQuery, every_event, page
from meters.models import Event
from meters.spreadsheet import cell

# all: with those that were voided. changed: what came, or was voided, after the invoice was final.
STATES = ("all", "counted", "voided", "changed")
# What a mark says.
CARRIED, VOIDED, VOIDED_LATER, LATE, IN_GRACE = "carried_in", "voided", "voided_later", "late", "in_grace"
MARKS = {
    CARRIED: "Carried in",
    VOIDED: "Voided",
    VOIDED_LATER: "Voided after the invoice was final",
    LATE: "Came after the invoice was final",
    IN_GRACE: "Came after the period",
}
COLUMNS = ("id", "time", "received_at", "value", "counts", "marks")


@dataclass(frozen=True, slots=True)
class LineEvent:
    """An event with what is to be said of it. `counts`: it is in what is known now of the line's usage."""

    event: Event
    marks: tuple[str, ...]

    @property
    def counts(self) -> bool:
        return self.event.void_id is None

    @property
    def words(self) -> list[str]:
        return [MARKS[mark] for mark in self.marks]


@dataclass(frozen=True, slots=True)
class LineEventPage:
    """Events, the newest first; `next` is the cursor of the older ones, `previous` of the newer ones."""

    events: list[LineEvent]
    next: str | None
    previous: str | None


def events_page(events: LineEvents, *, state: str = "all", limit: int, cursor: str | None = None) -> LineEventPage:
    """A page of a line's events. Raises ValidationError by field."""
    query = query_of(events, state)
    found = page(query, limit=limit, cursor=cursor)
    return LineEventPage([marked(event, events) for event in found.events], found.next, found.previous)


def query_of(events: LineEvents, state: str) -> EventQuery:
    if state not in STATES:
        raise ValidationError({"state": f"One of {', '.join(STATES)}."})
    query = EventQuery(
        customer=events.customer,
        meter=events.meter,
        start=events.span.start,
        end=events.span.end,
        where=events.where,
        unless=events.unless,
        in_filter=True,
        with_held=events.meter.aggregation in TIME_WEIGHTED,
    )
    if state != "changed":
        return replace(query, state=state)
    since = _final_since(events.of)
    if since is None:
        raise ValidationError({"state": "The invoice is not final, so nothing came after that."})
    return replace(query, changed_after=since)


def marked(event: Event, events: LineEvents) -> LineEvent:
    """What is to be said of an event: whether it was voided, when it came, and whether its value is from before."""
    marks = []
    since = _final_since(events.of)
    if event.occurred_at < events.span.start:
        marks.append(CARRIED)
    if event.void is not None:
        marks.append(VOIDED_LATER if since and event.void.created_at > since else VOIDED)
    if since and event.received_at > since:
        marks.append(LATE)
    elif event.received_at >= events.of.period_end:
        marks.append(IN_GRACE)
    return LineEvent(event, tuple(marks))


def _final_since(invoice: Invoice) -> datetime | None:
    """From when on usage is not in a final invoice. The clock that says when it became final is read before usage is,
    so what came in between is in it."""
    if not invoice.number or invoice.finalized_at is None:
        return None
    return max(invoice.finalized_at, invoice.usage_at) if invoice.usage_at else invoice.finalized_at


# --- As a file ---


class _Echo:
    """What the csv module writes to: each row is handed on as it is."""

    def write(self, text: str) -> str:
        return text


def csv_rows(events: LineEvents, *, state: str = "all") -> Iterator[str]:
    """All events of a line as CSV (RFC 4180), the newest first, read some at a time; times in UTC. Raises
    ValidationError by field before the first row."""
    query = query_of(events, state)
    found = every_event(query)
    names = sorted(events.meter.dimensions)
    return _rows(found, events, names)


def _rows(found: Iterator[Event], events: LineEvents, names: list[str]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    unit = f" ({events.meter.unit})" if events.meter.unit else ""
    first, *others = COLUMNS
    heading = [f"value{unit}" if name == "value" else name for name in others]
    yield writer.writerow([first, *map(cell, heading), *map(cell, names), "other_dimensions"])
    for event in found:
        one = marked(event, events)
        dimensions = event.dimensions
        more = "; ".join(f"{name}={text}" for name, text in sorted(dimensions.items()) if name not in names)
        yield writer.writerow(
            [
                cell(event.event_id),
                time_text(event.occurred_at),
                time_text(event.received_at),
                plain(event.value),
                "true" if one.counts else "false",
                "; ".join(one.words),
                *(cell(dimensions.get(name, "")) for name in names),
                cell(more),
            ]
        )


def time_text(instant: datetime) -> str:
    return instant.astimezone(ZoneInfo("UTC")).isoformat().replace("+00:00", "Z")


def file_name(invoice: Invoice, position: int) -> str:
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in invoice.number)
    return f"invoice-{name or invoice.pk}-line-{position}-events.csv"
