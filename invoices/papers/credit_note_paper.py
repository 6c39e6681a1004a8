"""A credit note as a paper: the same file whenever it is made."""

from collections.abc import Iterator

from invoices.addressee import addressee_of
from invoices.models import CreditNote
from invoices.papers.paper import Column, Line, Paper, Sum, Table
from invoices.papers.parties import buyer_party, look_of, seller_party
from invoices.seller import seller_of
from invoices.settling.note_taxes import taxes_of
from meters.periods import local_date
from meters.words import day_words, period_words
from pricing.money import format_money

COLUMNS = (Column("Item"), Column("Credited", is_figure=True))


def credit_note_paper(note: CreditNote) -> Paper:
    """Its invoice is final or void, so its head is that of the invoice, which no longer changes."""
    invoice, seller = note.invoice, seller_of(note)
    currency, addressee = invoice.currency, addressee_of(invoice)
    lines = [Line((line.name, format_money(line.amount, currency))) for line in note.lines.all() if not line.is_tax]
    return Paper(
        title=f"Credit note {note.number}",
        made_at=note.issued_at,
        seller=seller_party(seller),
        buyer=buyer_party(addressee, "Credited to"),
        facts=list(_facts(note)),
        headline=f"{format_money(note.total, currency)} credited",
        opening=f"Reason: {note.reason}".splitlines(),
        tables=[Table(COLUMNS, lines)] if lines else [],
        sums=list(_sums(note)),
        notes=[text for text in [addressee.note] if text],
        look=look_of(seller),
    )


def _facts(note: CreditNote) -> Iterator[tuple[str, str]]:
    invoice = note.invoice
    zone = invoice.zone
    yield "Issued", day_words(local_date(note.issued_at, zone))
    yield "Invoice", invoice.number
    if invoice.finalized_at is not None:
        yield "Invoiced", day_words(local_date(invoice.finalized_at, zone))
    yield "Period", f"{period_words(invoice.period, zone)}, days of {invoice.time_zone}"
    yield "Currency", invoice.currency


def _sums(note: CreditNote) -> Iterator[Sum]:
    currency = note.invoice.currency
    taxes = taxes_of(note, note.invoice)
    if taxes:
        yield Sum("Subtotal", format_money(note.subtotal, currency))
    for line, rate in taxes:
        yield Sum(line.name, format_money(line.amount, currency), rate)
    yield Sum("Total credited", format_money(note.total, currency), is_strong=True)
