"""What a customer sees of how an invoice is settled: what is paid, credited and left, and its credit notes."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from invoices.models import CreditNote, CreditNoteLine, Invoice, Payment
from meters.words import day_words

WORDS = {Payment.Kind.PAYMENT: "Paid", Payment.Kind.REFUND: "Paid back", Payment.Kind.WRITE_OFF: "Written off"}


@dataclass(frozen=True, slots=True)
class Note:
    """A credit note with its lines, and its taxes apart."""

    note: CreditNote
    charges: Sequence[CreditNoteLine]
    taxes: Sequence[CreditNoteLine]


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


def settled_of(invoice: Invoice) -> Settled | None:
    """None for an estimate: nothing is due of it. Credits are told apart, by `portal.credits`."""
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
                [line for line in note.lines.all() if line.is_tax],
            )
            for note in notes
        ],
    )
