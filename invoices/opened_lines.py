"""A stored line opened to the full: which price it has and since when, the span that it is about, its quantity by day,
the steps to its amount, its rounding, and which events it counts. The same words on every surface.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils import timezone

from invoices.explained import exact_sentences_of, parts_of, rate_text_of, rounding_of, rows_of
from invoices.models import Invoice, InvoiceLine
from meters.models import Customer, Meter
from meters.periods import Period
from meters.words import period_words
from pricing.explain import Row

Where = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Day:
    """What was used on a day of the customer's zone, in the meter's unit; at the ends of a span, a part of a day."""

    day: date
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class LineEvents:
    """Which events a line counts: those of the meter in the span (by the time of the event, its end not included) that
    pass the meter's own filter, have one of the texts of each name in `where`, and meet none of the filters of
    `unless`, which other lines count."""

    customer: Customer
    meter: Meter
    span: Period
    where: Where
    unless: tuple[Where, ...]


@dataclass(frozen=True, slots=True)
class OpenedLine:
    """`price` says which version the line is priced by, and since when; `rate_text` the price as it was. `days` are of
    lines about usage, and sum to the quantity, or `days_notes` say why not, and what has come since. `sentences` and
    `rows` are the steps to the exact amount, `rounding` what follows them; any of these may be empty."""

    line: InvoiceLine
    name: str
    part: str
    price: str
    rate_text: list[str]
    span: Period
    span_utc: str
    span_local: str
    zone: ZoneInfo
    rows: list[Row]
    sentences: list[str]
    rounding: str
    days: list[Day] = field(default_factory=list)
    days_notes: list[str] = field(default_factory=list)
    events: LineEvents | None = None


def open_line(line: InvoiceLine, *, now: datetime | None = None) -> OpenedLine:
    """One line of an invoice; the others are read with it, as they say what is left for it."""
    return next(one for one in open_lines(line.invoice, now=now) if one.line.pk == line.pk)


def open_lines(invoice: Invoice, *, with_days: bool = True, now: datetime | None = None) -> list[OpenedLine]:
    """All lines of an invoice in their order, in as many statements as one. `with_days`: with quantities by day, for
    which usage is read as of `now`."""
    now = now or timezone.now()
    about = ("product_item__meter", "promotion__promotion", "tax_rate", "corrects")
    lines = list(invoice.lines.select_related(*about).order_by("position"))
    for line in lines:
        line.invoice = invoice
    return [
        OpenedLine(
            line=line,
            name=line.name,
            part=part,
            price=str(invoice.plan_version),
            rate_text=rate_text_of(line),
            span=invoice.period,
            span_utc=f"{invoice.period_start:%Y-%m-%d %H:%M} to {invoice.period_end:%Y-%m-%d %H:%M} UTC",
            span_local=f"{period_words(invoice.period, invoice.zone)} ({invoice.time_zone})",
            zone=invoice.zone,
            rows=rows_of(line),
            sentences=exact_sentences_of(line),
            rounding=rounding_of(line),
        )
        for line, part in zip(lines, parts_of(lines), strict=True)
    ]
