"""An invoice as a paper. One that is not final is an estimate, and says so.

Of a final invoice all words come of what is stored with it and what settles it, never of the time of printing: so it
is the same file until something more settles it.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Max
from django.utils import timezone

from invoices.addressee import addressee_of
from invoices.due import overtaken
from invoices.lines.explained import TAXES, facts_of, is_usage, notes_of, opens
from invoices.lines.opened import OpenedLine, open_lines
from invoices.models import Invoice, InvoiceLine
from invoices.papers.paper import Column, Line, Paper, Step, Sum, Table
from invoices.papers.parties import buyer_party, footer_lines, look_of, seller_party
from invoices.seller import seller_of
from invoices.settling.settled import InvoiceCredits, Settled, invoice_credits, settled_of
from meters.periods import local_date
from meters.words import day_words, instant_words, period_words
from pricing.money import format_money, format_quantity

COLUMNS = (Column("Item"), Column("Quantity", is_figure=True), Column("Amount", is_figure=True))
NOTHING = "Nothing was used, and nothing is owed."
NOTHING_TO_PAY = "Nothing is to be paid"
# Named by the plan's version alone; the price of the others stands with them.
PRICED = (InvoiceLine.Kind.USAGE, InvoiceLine.Kind.TRIAL, InvoiceLine.Kind.CORRECTION)


def invoice_paper(invoice: Invoice, *, now: datetime | None = None) -> Paper:
    """`now` counts for an estimate only."""
    now = now or timezone.now()
    is_behind = invoice.is_live and Invoice.objects.filter(overtaken([invoice.pk]), pk=invoice.pk).exists()
    seller, addressee = seller_of(invoice), addressee_of(invoice)
    lines = open_lines(invoice, with_days=False, now=now)
    credits_, settled = invoice_credits(invoice, now=now), settled_of(invoice)
    computed_at = invoice.computed_at if is_behind or invoice.follows_clock else None
    made_at = invoice.finalized_at or computed_at or now
    source = plan_words(invoice)
    return Paper(
        title=f"Invoice {invoice.number}" if invoice.number else "Running invoice",
        made_at=made_at,
        seller=seller_party(seller),
        buyer=buyer_party(addressee),
        stamp=_stamp(invoice, made_at),
        facts=list(_facts(invoice, lines, source)),
        headline=_headline(invoice, settled),
        opening=list(_opening(invoice, is_behind=is_behind)),
        tables=[Table(COLUMNS, [_line(one, source) for one in lines if one.line.kind not in TAXES], empty=NOTHING)],
        sums=list(_sums(invoice, lines, credits_, settled)),
        notes=[note for note in [addressee.note] if note],
        footer=footer_lines(seller, is_to_be_paid=_is_to_be_paid(invoice, settled)),
        look=look_of(seller),
    )


def plan_words(invoice: Invoice) -> str:
    """ "Growth, version 3"."""
    version = invoice.plan_version
    return f"{invoice.plan_name or version.plan.public_name}, version {version.number}"


def as_of(invoice: Invoice) -> date:
    """The day that the last thing has settled the invoice, in its zone; else the day that it became final."""
    settling = invoice.payments.aggregate(at=Max("created_at"))["at"]
    noted = invoice.credit_notes.aggregate(at=Max("issued_at"))["at"]
    drawn = invoice.credit_entries.aggregate(at=Max("at"))["at"]
    moments = [invoice.finalized_at, invoice.voided_at, settling, noted, drawn]
    return local_date(max(moment for moment in moments if moment is not None), invoice.zone)


# --- The head ---


def _is_to_be_paid(invoice: Invoice, settled: Settled | None) -> bool:
    return settled is not None and settled.left > 0 and invoice.status == Invoice.Status.FINAL


def _stamp(invoice: Invoice, made_at: datetime) -> str:
    if invoice.status == Invoice.Status.VOID:
        return "Void"
    return f"Estimate as of {instant_words(made_at, invoice.zone)}" if invoice.is_live else ""


def _facts(invoice: Invoice, lines: Iterable[OpenedLine], source: str) -> Iterator[tuple[str, str]]:
    zone = invoice.zone
    if invoice.finalized_at is not None:
        yield "Issued", day_words(local_date(invoice.finalized_at, zone))
    if invoice.due_on is not None and invoice.status == Invoice.Status.FINAL:
        yield "Due", day_words(invoice.due_on)
    yield "Period", f"{period_words(invoice.period, zone)}, days of {invoice.time_zone}"
    yield "Plan", source
    yield "Currency", invoice.currency
    if invoice.replaces is not None and invoice.replaces.number:
        yield "In place of", invoice.replaces.number
    if taken := _taken_by(invoice):
        yield "Replaced by", taken
    if corrected := sorted({one.line.corrects.number for one in lines if one.line.corrects is not None}):
        yield "Corrects", ", ".join(corrected)


def _taken_by(invoice: Invoice) -> str:
    try:
        return str(invoice.replaced_by.number)
    except ObjectDoesNotExist:
        return ""


def _headline(invoice: Invoice, settled: Settled | None) -> str:
    if settled is None:
        return f"{format_money(invoice.total, invoice.currency)} so far"
    if settled.is_owed_back:
        return f"{format_money(settled.owed_back, invoice.currency)} owed back to you"
    if settled.left <= 0:
        return NOTHING_TO_PAY
    left = format_money(settled.left, invoice.currency)
    return f"{left} due by {settled.due}" if settled.due else f"{left} due"


def _opening(invoice: Invoice, *, is_behind: bool) -> Iterator[str]:
    if invoice.is_live:
        yield "This is an estimate, and no invoice: it follows usage, and has no number until it is final."
    if is_behind:
        yield "Newer usage is being worked in."
    if invoice.is_correction:
        yield "It is only of usage of this period that came too late for the period's own invoice."


# --- The lines ---


def _line(one: OpenedLine, source: str) -> Line:
    line, currency = one.line, one.line.invoice.currency
    cells = (one.name, quantity_words(line), format_money(line.amount, currency))
    if not opens(line):
        return Line(cells, part=one.part, notes=facts_of(line))
    steps = [Step(row.label, row.detail, row.formatted_amount) for row in one.rows]
    notes = notes_of(line)
    if not steps and line.kind != InvoiceLine.Kind.UNPRICED:
        notes = ["Nothing used, nothing owed."]
    return Line(cells, part=_part(one), price=list(_price(one, source)), steps=steps, notes=notes)


def _part(one: OpenedLine) -> str:
    kind = {InvoiceLine.Kind.TRIAL: "Trial", InvoiceLine.Kind.UNPRICED: "Not priced"}
    return " · ".join(part for part in (one.part, kind.get(InvoiceLine.Kind(one.line.kind), "")) if part)


def _price(one: OpenedLine, source: str) -> Iterator[str]:
    """Where its price is from, where that is not what the head says; its price; its span, where that is not all."""
    if one.line.kind in PRICED and not one.price.startswith((f"{source},", f"{source}:")) and one.price != source:
        yield one.price
    yield from one.rate_text
    if one.line.kind in (InvoiceLine.Kind.USAGE, InvoiceLine.Kind.TRIAL) and one.span != one.line.invoice.period:
        yield one.span_local


def quantity_words(line: InvoiceLine) -> str:
    """ "12,300 calls", "5 seats"; nothing where nothing is counted, as of a discount or a fee without a unit."""
    if line.quantity is None or not (line.unit or is_usage(line)):
        return ""
    return f"{format_quantity(line.quantity)} {line.unit or 'units'}"


# --- What it comes to ---


def _sums(
    invoice: Invoice, lines: Iterable[OpenedLine], credits_: InvoiceCredits | None, settled: Settled | None
) -> Iterator[Sum]:
    currency = invoice.currency
    taxes = [one.line for one in lines if one.line.kind in TAXES]
    if taxes:
        yield Sum("Subtotal", format_money(invoice.subtotal, currency))
    for line in taxes:
        yield Sum(line.name, format_money(line.amount, currency), " ".join(facts_of(line)))
    label = "Total so far" if invoice.is_live else "Total"
    yield Sum(label, format_money(invoice.total, currency), is_strong=True)
    if credits_ is not None:
        yield from _credits(credits_, currency)
    if settled is not None:
        yield from _settled(invoice, settled)


def _credits(drawn: InvoiceCredits, currency: str) -> Iterator[Sum]:
    label = "Would be paid by credits" if drawn.is_estimate else "Paid by credits"
    for name, amount in drawn.rows:
        yield Sum(label, format_money(amount.copy_negate(), currency), name)
    if drawn.is_estimate and drawn.rows:
        yield Sum("Left to pay, an estimate", format_money(drawn.left, currency), is_strong=True)
    if drawn.becomes:
        label = "Would become credit" if drawn.is_estimate else "Became credit for your next invoices"
        yield Sum(label, format_money(drawn.becomes, currency))


def _settled(invoice: Invoice, settled: Settled) -> Iterator[Sum]:
    currency, day = invoice.currency, day_words(as_of(invoice))
    for name, detail, amount in settled.rows:
        yield Sum(f"{name} {detail}".rstrip(), format_money(amount, currency))
    if settled.is_owed_back:
        yield Sum(f"Owed back to you as of {day}", format_money(settled.owed_back, currency), is_strong=True)
    else:
        yield Sum(f"Amount due as of {day}", format_money(settled.left, currency), is_strong=True)
