"""What the usage of a meter costs in any spans of time, by the invoices of that time.

The cost of a span is what the usage lines come to at its end less what they come to at its start, as `daily_costs` has
it for days: so spans that tile a period add up to its lines to the cent, whatever the price.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal

from invoices.computing import LineUsage, Priced, filters_of, priced_lines
from invoices.drafting import draft
from invoices.models import Invoice, InvoiceLine
from invoices.pricing_of import priced_version
from invoices.subjects import Frame, Subject, frames_of
from meters.models import Meter
from meters.periods import Period
from meters.usage import Values
from pricing.models import ProductItem
from pricing.money import round_money, total_of
from pricing.terms import Terms

Where = Mapping[str, Sequence[str]]
# Of single events that are priced one by one, what a page can wait for.
MOST_EVENTS = 20_000
# Digits for the largest quantity and then some.
ESTIMATE = Context(prec=100)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class PartCosts:
    """What the usage that one price is for costs in each span, and in all of the period, as usage is known now.
    `billed` is what stands on the invoice for it."""

    where: Where
    costs: tuple[Decimal, ...]
    whole: Decimal
    billed: Decimal


@dataclass(frozen=True, slots=True)
class InvoiceCosts:
    """The parts of one invoice in the order in which prices are looked at; none where it has no price for it.
    `is_whole`: no usage is left that none of the prices is for."""

    invoice: Invoice
    parts: tuple[PartCosts, ...]
    is_whole: bool = True


def costs_in(
    invoices: Sequence[Invoice], meter: Meter, spans: Sequence[Period], *, now: datetime
) -> list[InvoiceCosts]:
    """The costs of these spans by each of these invoices of one customer, in order, in as many statements as versions
    of plans that they are of. A span that an invoice does not touch costs nothing by it, and so does the trial."""
    item = ProductItem.objects.filter(meter=meter).select_related("meter").first()
    if item is None or not invoices:
        return [InvoiceCosts(invoice, ()) for invoice in invoices]
    subjects = [Subject(one.customer, one.assignment, priced_version(one.plan_version), one.period) for one in invoices]
    billed = _billed(invoices, item)
    alike: dict[int, list[_Charged]] = defaultdict(list)
    for invoice, subject, frame in zip(invoices, subjects, frames_of(subjects), strict=True):
        lines = priced_lines(subject.priced, frame, [item])
        alike[invoice.plan_version_id].append(_Charged(invoice, subject, frame, lines, spans))
    most = MOST_EVENTS // len(invoices)
    found = {
        one.invoice.pk: one.costs(usage, windows, billed, most)
        for some in alike.values()
        for usage, windows in [_read(some, item, now)]
        for one in some
    }
    return [found[invoice.pk] for invoice in invoices]


def _billed(invoices: Sequence[Invoice], item: ProductItem) -> dict[tuple[int, str], Decimal]:
    """By invoice and filter what its lines of usage come to."""
    lines = InvoiceLine.objects.filter(invoice__in=invoices, product_item=item, kind=InvoiceLine.Kind.USAGE)
    amounts: dict[tuple[int, str], list[Decimal]] = defaultdict(list)
    for invoice, where, amount in lines.values_list("invoice_id", "where", "amount"):
        amounts[invoice, _key(where)].append(amount)
    return {key: total_of(some) for key, some in amounts.items()}


def _key(where: Where) -> str:
    return repr(sorted((name, sorted(texts)) for name, texts in where.items()))


def _read(some: "Sequence[_Charged]", item: ProductItem, now: datetime) -> tuple[LineUsage, dict[Period, int]]:
    """The usage from the start of each charge to each bound, read together as all have the same prices."""
    windows = {window: index for index, window in enumerate({w: None for one in some for w in one.windows})}
    until = max([now, *(one.invoice.period_end for one in some if one.invoice.status != Invoice.Status.OPEN)])
    lines = next((one.lines for one in some if one.lines), [])
    filters = filters_of(some[0].subject.priced, [item])
    return LineUsage([some[0].invoice.customer], lines, list(windows), filters=filters, until=until), windows


class _Charged:
    """What of an invoice's period is charged, and its places where spans begin and end."""

    def __init__(
        self, invoice: Invoice, subject: Subject, frame: Frame, lines: list[Priced], spans: Sequence[Period]
    ) -> None:
        self.invoice, self.subject = invoice, subject
        self.lines = [line for line in lines if line.rate is not None]
        self.is_whole = len(self.lines) == len(lines)
        charged = frame.charged
        self.spans = [span.clip(charged.start, charged.end) for span in spans]
        bounds = {bound for span in self.spans if span.length for bound in (span.start, span.end)}
        places = sorted({*bounds, charged.end} - {charged.start}) if self.lines else []
        self.windows = [Period(charged.start, bound) for bound in places]

    def costs(
        self, usage: LineUsage, windows: Mapping[Period, int], billed: Mapping[tuple[int, str], Decimal], most: int
    ) -> InvoiceCosts:
        parts = []
        places = [windows[window] for window in self.windows]
        for line in self.lines:
            amounts = running_amounts(self.invoice, line, usage, places, most=most)
            at = {window.end: amount for window, amount in zip(self.windows, amounts, strict=True)}
            costs = tuple(
                total_of((at.get(span.end, ZERO), -at.get(span.start, ZERO))) if span.length else ZERO
                for span in self.spans
            )
            on_it = billed.get((self.invoice.pk, _key(line.where)), ZERO)
            parts.append(PartCosts(line.where, costs, amounts[-1] if amounts else ZERO, on_it))
        return InvoiceCosts(self.invoice, tuple(parts), self.is_whole)


def running_amounts(
    invoice: Invoice, line: Priced, usage: LineUsage, windows: Sequence[int], *, most: int = MOST_EVENTS
) -> list[Decimal]:
    """What a line comes to at the end of each of these windows, which begin where its charge does and grow: of more
    than `most` single events, those before the last one have their shares of it."""
    last = usage.item_usage(invoice.customer, line, windows[-1]) if windows else None
    if last is None or not isinstance(last.events, Values) or len(last.events) <= most:
        so_far = (usage.item_usage(invoice.customer, line, window) for window in windows)
        return [draft([one], Terms(invoice.currency)).total for one in so_far]
    total = draft([last], Terms(invoice.currency)).total
    read = usage.usages[invoice.customer.pk]
    sums = [read.quantity(line.item.meter, window, line.group) for window in windows]
    if not sums[-1]:
        return [ZERO] * (len(sums) - 1) + [total]
    shares = [ESTIMATE.divide(ESTIMATE.multiply(total, one), sums[-1]) for one in sums[:-1]]
    return [*(round_money(share, invoice.currency) for share in shares), total]
