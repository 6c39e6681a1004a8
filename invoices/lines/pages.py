"""The page of one line, for portal and admin: what it opens to, its days as a chart, and a page of its events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from invoices.lines.days import Day
from invoices.lines.events import LineEvent, LineEventPage, events_page
from invoices.lines.opened import OpenedLine, open_line
from invoices.models import Invoice
from meters.charts import AHEAD, PAST, TODAY, Chart, Series, Slot, bar_chart, short_number
from meters.periods import local_date, windows
from meters.words import second_words, short_day_words
from pricing.money import format_money, format_quantity

PER_PAGE = 50
STATE_NAMES = {"all": "All", "counted": "Counted", "voided": "Voided", "changed": "Came or voided since final"}


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as it is read; times in the zone of the invoice's days."""

    one: LineEvent
    time: str
    received: str
    value: str
    dimensions: str


@dataclass(frozen=True, slots=True)
class LinePage:
    """`states` are the lists of events that there are: which, its name, whether it is this one. Nothing of events
    where the line counts none."""

    opened: OpenedLine
    quantity: str
    amount: str
    chart: Chart | None
    rows: Sequence[EventRow]
    state: str
    states: Sequence[tuple[str, str, bool]]
    older: str | None
    newer: str | None

    @property
    def name(self) -> str:
        part = self.opened.part
        return f"{self.opened.name} ({part})" if part else self.opened.name

    @property
    def days(self) -> list[tuple[Day, str]]:
        return [(day, format_quantity(day.quantity)) for day in self.opened.days]

    @property
    def notes(self) -> list[str]:
        """The sentences that say more than the rows of the table do, to stand below it."""
        told = [row.detail for row in self.opened.rows]
        said = [one for one in self.opened.sentences if not any(detail in one for detail in told)]
        return [*said, *([self.opened.rounding] if self.opened.rounding else [])]


def line_page(
    invoice: Invoice,
    position: int,
    *,
    now: datetime,
    state: str = "all",
    cursor: str = "",
    with_days: bool = True,
    with_events: bool = True,
) -> LinePage | None:
    """The page of the line at this position; None where there is none. Raises ValidationError by field, where there is
    no such list of its events or no such place in it."""
    opened = open_line(invoice, position, with_days=with_days, now=now)
    if opened is None:
        return None
    found = LineEventPage([], None, None)
    states: list[tuple[str, str, bool]] = []
    if opened.events is not None and with_events:
        found = events_page(opened.events, state=state, limit=PER_PAGE, cursor=cursor or None)
        names = [name for name in STATE_NAMES if name != "changed" or opened.events.of.number]
        states = [(name, STATE_NAMES[name], name == state) for name in names]
    return LinePage(
        opened=opened,
        quantity=_counted(opened.line.quantity, opened),
        amount=format_money(opened.line.amount, invoice.currency),
        chart=_chart(opened, now) if opened.days else None,
        rows=[_row(one, opened) for one in found.events],
        state=state,
        states=states,
        older=found.next,
        newer=found.previous,
    )


def _counted(quantity: Decimal | None, opened: OpenedLine) -> str:
    if quantity is None or not (opened.line.unit or opened.events):
        return ""
    return f"{format_quantity(quantity)} {opened.line.unit or 'units'}"


def _row(one: LineEvent, opened: OpenedLine) -> EventRow:
    event = one.event
    return EventRow(
        one=one,
        time=second_words(event.occurred_at, opened.zone),
        received=second_words(event.received_at, opened.zone),
        value=format_quantity(event.value),
        dimensions=", ".join(f"{name}: {text}" for name, text in event.dimensions.items()),
    )


def _chart(opened: OpenedLine, now: datetime) -> Chart:
    quantities = tuple(day.quantity for day in opened.days)
    return bar_chart(
        slots_of(opened, now),
        [Series(opened.name, quantities)],
        value_words=lambda value: words_of(value, opened),
        tick_words=short_number,
        least_step=Decimal(1) if all(each == each.to_integral_value() for each in quantities) else Decimal(0),
    )


def slots_of(opened: OpenedLine, now: datetime) -> list[Slot]:
    """The days of a line's span as places on a chart."""
    return [
        Slot(
            short_day_words(local_date(day.start, opened.zone)),
            TODAY if now in day else AHEAD if day.start > now else PAST,
        )
        for day in windows(opened.span, "day", opened.zone)
    ]


def words_of(quantity: Decimal, opened: OpenedLine) -> str:
    """ "5,000 calls"."""
    return f"{format_quantity(quantity)} {opened.line.unit}".strip()
