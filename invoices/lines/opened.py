"""A stored line opened to the full: which price it has and since when, the span that it is about, its quantity by day,
the steps to its amount, its rounding, and which events it counts. The same words on every surface.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils import timezone

from invoices.lines.changes import changes_of
from invoices.lines.days import ByDay, Day, by_day
from invoices.lines.explained import exact_sentences_of, parts_of, rounding_of, rows_of
from invoices.lines.prices import Prices
from invoices.lines.spans import About, about_of
from invoices.models import Invoice, InvoiceLine
from meters.models import Customer, Meter
from meters.periods import Period
from meters.words import instant_words
from pricing.explain import Row

__all__ = ["Day", "LineEvents", "OpenedLine", "open_line", "open_lines", "span_words"]

Where = Mapping[str, Sequence[str]]
UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class LineEvents:
    """Which events a line counts: those of the meter in the span (by the time of the event, its end not included) that
    pass the meter's own filter, have one of the texts of each name in `where`, and meet none of the filters of
    `unless`, which other lines count. `of` is the invoice whose usage that is: of a correction, the corrected one."""

    of: Invoice
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


def open_line(
    invoice: Invoice, position: int, *, with_days: bool = True, now: datetime | None = None
) -> OpenedLine | None:
    """The line of an invoice at that position; None where there is none. The others are looked at with it, as they say
    what is left for it."""
    found = open_lines(invoice, with_days=with_days, now=now, only=position)
    return next((one for one in found if one.line.position == position), None)


def open_lines(
    invoice: Invoice, *, with_days: bool = True, now: datetime | None = None, only: int | None = None
) -> list[OpenedLine]:
    """All lines of an invoice in their order, in as many statements as one; but one for each set of prices that
    corrected invoices have beside its own. `with_days`: with quantities by day, for which usage is read as of `now`;
    with `only`, those of the line at that position."""
    now = now or timezone.now()
    about = ("product_item__meter", "promotion__promotion", "tax_rate", "corrects")
    lines = list(invoice.lines.select_related(*about).order_by("position"))
    if not lines:
        return []
    for line in lines:
        line.invoice = invoice
    found = about_of(invoice, lines)
    parts = parts_of(lines)
    if only is not None:
        alike = {one.line.product_item_id for one in found if one.line.position == only and len(one.counted) > 1}
        kept = [one.line.position == only or one.line.product_item_id in alike for one in found]
        found = [one for one, keep in zip(found, kept, strict=True) if keep]
        parts = [part for part, keep in zip(parts, kept, strict=True) if keep]
    # Which of several spans one line is about, its days say.
    with_days = with_days or (only is not None and any(len(one.counted) > 1 for one in found))
    days: list[ByDay | None] = by_day(found, invoice, now=now) if with_days else [None] * len(found)
    changes = changes_of(invoice, days)
    prices = Prices(found)
    return [
        _opened(one, part, prices, its_days, its_changes)
        for one, part, its_days, its_changes in zip(found, parts, days, changes, strict=True)
    ]


def _opened(about: About, part: str, prices: Prices, days: ByDay | None, changes: list[str]) -> OpenedLine:
    about = about if days is None else days.about
    line, zone = about.line, about.of.zone
    return OpenedLine(
        line=line,
        name=line.name,
        part=part,
        price=prices.source(about),
        rate_text=prices.text(about),
        span=about.span,
        span_utc=span_words(about.span, UTC),
        span_local=span_words(about.span, zone) + ("" if zone.key == UTC.key else f" ({zone.key})"),
        zone=zone,
        rows=rows_of(line),
        sentences=exact_sentences_of(line),
        rounding=rounding_of(line),
        days=[] if days is None else days.days,
        days_notes=[*([] if days is None else days.notes), *changes],
        events=_events(about),
    )


def _events(about: About) -> LineEvents | None:
    if not about.counted:
        return None
    counted = about.counted[0]
    return LineEvents(about.of, about.of.customer, counted.meter, about.span, counted.where, counted.unless)


def span_words(span: Period, zone: ZoneInfo) -> str:
    """ "1 Nov 2026, 00:00 CET to 1 Dec 2026, 00:00 CET"; the end is not in it."""
    return f"{instant_words(span.start, zone)} to {instant_words(span.end, zone)}"
