"""From an event to the line of a bill that counts it: the way back of portal pages that open a line to its events."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from invoices.lines.events import LATE, LineEvent, marked
from invoices.lines.explained import USAGE, parts_of
from invoices.lines.opened import LineEvents
from invoices.lines.spans import Counted, Where, about_of
from invoices.models import Invoice, InvoiceLine
from meters.event_log import in_filter
from meters.models import Event


@dataclass(frozen=True, slots=True)
class CountingLine:
    """`part` says which part of its product item's usage the line is about. `late`: the invoice was final before the
    event came, and `carried` are the lines of other invoices that make up for what came late."""

    invoice: Invoice
    line: InvoiceLine
    part: str
    marked: LineEvent
    carried: tuple[InvoiceLine, ...]

    @property
    def late(self) -> bool:
        return LATE in self.marked.marks


def counting_line(event: Event, invoices: QuerySet[Invoice]) -> CountingLine | None:
    """The line that an event counts on, or would if it were not voided, of these invoices of its customer; None where
    none does. A value that holds until the next one counts on later invoices as well."""
    if not in_filter(event):
        return None
    of_time = invoices.filter(period_start__lte=event.occurred_at, period_end__gt=event.occurred_at)
    of_time = of_time.exclude(status=Invoice.Status.VOID).exclude(is_correction=True).select_related("assignment")
    for invoice in of_time.order_by("id"):
        lines = list(invoice.lines.filter(kind__in=USAGE).select_related("product_item__meter").order_by("position"))
        lines = [line for line in lines if line.product_item and line.product_item.meter_id == event.meter_id]
        for line in lines:
            line.invoice = invoice
        for about, part in zip(about_of(invoice, lines), parts_of(lines), strict=True):
            for counted in about.counted:
                if _counts(counted, event):
                    events = LineEvents(
                        invoice, invoice.customer, counted.meter, counted.span, counted.where, counted.unless
                    )
                    found = marked(event, events)
                    return CountingLine(invoice, about.line, part, found, tuple(_carried(about.line, found, invoices)))
    return None


def _counts(counted: Counted, event: Event) -> bool:
    meets_unless = any(_meets(where, event) for where in counted.unless)
    return event.occurred_at in counted.span and _meets(counted.where, event) and not meets_unless


def _meets(where: Where, event: Event) -> bool:
    """Whether an event has one of the texts of each dimension; one that it lacks is the empty text."""
    return all(event.dimension_set.values.get(name, "") in texts for name, texts in where.items())


def _carried(line: InvoiceLine, found: LineEvent, invoices: QuerySet[Invoice]) -> Iterable[InvoiceLine]:
    if LATE not in found.marks:
        return []
    carried = InvoiceLine.objects.filter(
        corrects=line.invoice,
        product_item=line.product_item,
        kind=InvoiceLine.Kind.CORRECTION,
        invoice__in=invoices.exclude(status=Invoice.Status.VOID),
    )
    return carried.select_related("invoice").order_by("invoice_id", "position")
