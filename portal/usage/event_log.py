"""The event log as a customer reads it: rows, what became of one event, and the file."""

import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from invoices.branding import brand
from invoices.lines.counting import CountingLine, counting_line
from invoices.lines.events import time_text
from meters.aggregation import ADDITIVE, TIME_WEIGHTED, Part, plain, unrounded
from meters.event_log import EventQuery, events_of, every_event, in_filter
from meters.models import Customer, Event, Meter
from meters.spreadsheet import cell
from meters.words import instant_words, second_words
from portal.access import visible_invoices
from pricing.money import format_quantity
from pricing.plan_words import any_of

PER_PAGE = 50
# What a file holds at most: the newest.
MOST_ROWS = 100_000
COUNTED, VOIDED, OUTSIDE = "counted", "voided", "outside_of_meter"
STATE_WORDS = {COUNTED: "Counted", VOIDED: "Voided", OUTSIDE: "Not what the meter counts"}


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as it is read; times to the second, in the zone that who looks has chosen."""

    event: Event
    state: str
    time: str
    received: str
    value: str
    dimensions: tuple[tuple[str, str], ...]

    @property
    def state_words(self) -> str:
        return STATE_WORDS[self.state]

    @property
    def counts(self) -> bool:
        return self.state == COUNTED


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an event: whether it counts, as what, and on which line; `voided` tells who took it out, when."""

    row: EventRow
    counted: str
    why: str
    line: CountingLine | None
    holds: bool


def state_of(event: Event) -> str:
    return VOIDED if event.void_id else COUNTED if in_filter(event) else OUTSIDE


def row_of(event: Event, zone: ZoneInfo) -> EventRow:
    return EventRow(
        event=event,
        state=state_of(event),
        time=second_words(event.occurred_at, zone),
        received=second_words(event.received_at, zone),
        value=format_quantity(event.value),
        dimensions=tuple(sorted(event.dimensions.items())),
    )


def verdicts(customer: Customer, event_id: str, zone: ZoneInfo) -> list[Verdict]:
    """What became of the events of one id, one for each meter that it was sent for; nothing where there is none."""
    return [verdict_of(customer, event, zone) for event in events_of(customer, event_id)]


def verdict_of(customer: Customer, event: Event, zone: ZoneInfo) -> Verdict:
    row = row_of(event, zone)
    return Verdict(
        row=row,
        counted=_counted(event) if row.counts else "",
        why=_why_not(event, row.state, zone),
        line=counting_line(event, visible_invoices(customer)),
        holds=event.meter.aggregation in TIME_WEIGHTED,
    )


def _counted(event: Event) -> str:
    """What the event is to its meter: "52 calls", "a value of 7 connections"."""
    meter = event.meter
    if meter.aggregation == Meter.Aggregation.UNIQUE_COUNT:
        return f"by its {meter.unique_dimension}, once however often that comes"
    if meter.aggregation in ADDITIVE and meter.aggregation not in TIME_WEIGHTED:
        return _with_unit(format_quantity(unrounded(meter, Part(count=1, sum=event.value))), meter)
    return f"as a value of {_with_unit(format_quantity(event.value), meter)}"


def _with_unit(number: str, meter: Meter) -> str:
    return f"{number} {meter.unit}".strip()


def _why_not(event: Event, state: str, zone: ZoneInfo) -> str:
    """Why it does not count, as the customer may know it: reasons and names of staff are the vendor's own."""
    if state == VOIDED and event.void:
        when = instant_words(event.void.created_at, zone)
        return f"{brand().name} took it out of all figures on {when}. Ask there, if that is news to you."
    if state == OUTSIDE:
        conditions = [f"{name} is {any_of(texts)}" for name, texts in sorted(event.meter.where.items())]
        return f"{event.meter} counts only events whose {' and whose '.join(conditions)}."
    return ""


# --- As a file ---


class _Echo:
    def write(self, text: str) -> str:
        return text


def csv_rows(query: EventQuery, meters: Sequence[Meter]) -> Iterator[str]:
    """The newest MOST_ROWS events of a query as CSV (RFC 4180), read some at a time; times in UTC."""
    chosen = [query.meter] if query.meter else meters
    names = sorted({name for meter in chosen for name in meter.dimensions})
    return _rows(itertools.islice(every_event(query), MOST_ROWS), names)


def _rows(found: Iterator[Event], names: list[str]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(
        ["id", "meter", "time", "received_at", "value", "unit", "state", *map(cell, names), "other_dimensions"]
    )
    for event in found:
        dimensions = event.dimensions
        more = "; ".join(f"{name}={text}" for name, text in sorted(dimensions.items()) if name not in names)
        yield writer.writerow(
            [
                cell(event.event_id),
                cell(event.meter.key),
                time_text(event.occurred_at),
                time_text(event.received_at),
                plain(event.value),
                cell(event.meter.unit),
                state_of(event),
                *(cell(dimensions.get(name, "")) for name in names),
                cell(more),
            ]
        )
