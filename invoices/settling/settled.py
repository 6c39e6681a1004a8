"""What a customer sees of how an invoice is settled, on pages and papers: credits, what is paid, credited and left."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from invoices.models import CreditNote, CreditNoteLine, Invoice, Payment
from invoices.prepaid.balances import credits_of, drawn_of
from invoices.settling.note_taxes import taxes_of
from meters.words import day_words
from pricing.money import total_of

WORDS = {Payment.Kind.PAYMENT: "Paid", Payment.Kind.REFUND: "Paid back", Payment.Kind.WRITE_OFF: "Written off"}


@dataclass(frozen=True, slots=True)
class Note:
    """A credit note with its lines, and its taxes apart, each with its rate in words."""

    note: CreditNote
    charges: Sequence[CreditNoteLine]
    taxes: Sequence[tuple[CreditNoteLine, str]]


@dataclass(frozen=True, slots=True)
class Settled:
    """`rows` are what lessens the total: name, detail, amount. `left` is below zero where it is owed back."""

    rows: Sequence[tuple[str, str, Decimal]]
    left: Decimal
    due: str
    notes: Sequence[Note]

    @property
    def is_owed_back(self) -> bool:
        return self.left < 0

    @property
    def owed_back(self) -> Decimal:
        return self.left.copy_negate()


@dataclass(frozen=True, slots=True)
class InvoiceCredits:
    """What credits pay of an invoice by name; an estimate while it is not final. `left` is then left to pay.
    `becomes`: what one below zero becomes as credit."""

    rows: Sequence[tuple[str, Decimal]]
    is_estimate: bool
    left: Decimal
    becomes: Decimal


def settled_of(invoice: Invoice) -> Settled | None:
    """None for an estimate: nothing is due of it. Credits are told apart, by `invoice_credits`."""
    if not invoice.number:
        return None
    notes = list(invoice.credit_notes.order_by("id").prefetch_related("lines"))
    rows = [("Credit note", note.number, note.total.copy_negate()) for note in notes]
    for payment in invoice.payments.exclude(kind=Payment.Kind.WRITE_OFF).order_by("id"):
        rows.append((WORDS[Payment.Kind(payment.kind)], day_words(payment.paid_on), payment.amount.copy_negate()))
    # As much of it as still is: a payment that came after all has taken its place.
    if invoice.written_off:
        rows.append((WORDS[Payment.Kind.WRITE_OFF], "", invoice.written_off.copy_negate()))
    is_due = invoice.status == Invoice.Status.FINAL and invoice.amount_due > 0 and invoice.due_on is not None
    return Settled(
        rows=rows,
        left=invoice.amount_due,
        due=day_words(invoice.due_on) if is_due and invoice.due_on else "",
        notes=[
            Note(
                note,
                [line for line in note.lines.all() if not line.is_tax],
                taxes_of(note, invoice),
            )
            for note in notes
        ],
    )


def invoice_credits(invoice: Invoice, *, now: datetime) -> InvoiceCredits | None:
    """None where there is nothing to say."""
    below = max(invoice.total.copy_negate(), Decimal(0)) if invoice.status != Invoice.Status.VOID else Decimal(0)
    if invoice.is_live:
        preview = credits_of(invoice.customer, now).previews.get(invoice.pk)
        drawn = preview.drawn if preview is not None else ()
    else:
        drawn = tuple(drawn_of(invoice)) if invoice.credits_applied or below else ()
    if not drawn and not below:
        return None
    return InvoiceCredits(
        rows=[(grant.name, amount) for grant, amount in drawn],
        is_estimate=invoice.is_live,
        left=total_of((invoice.total, *(amount.copy_negate() for _, amount in drawn))),
        becomes=below,
    )
