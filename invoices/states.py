"""What an invoice is about to a customer or to staff, in one word or two: the same on every page."""

from dataclasses import dataclass
from datetime import date

from invoices.models import Invoice
from invoices.settling.settlement import is_overdue
from meters.words import day_words


@dataclass(frozen=True, slots=True)
class MoneyState:
    """`kind` is estimate, due, overdue, paid, partly, written_off or void."""

    kind: str
    words: str


def money_state(invoice: Invoice, day: date) -> MoneyState:
    """How it stands on `day`: in the invoice's zone, for who is to pay it."""
    if invoice.status == Invoice.Status.VOID:
        return MoneyState("void", "Void")
    if invoice.is_live:
        return MoneyState("estimate", "Estimate")
    if is_overdue(invoice, day):
        return MoneyState("overdue", "Overdue")
    if invoice.payment_status == Invoice.PaymentStatus.UNPAID:
        return MoneyState("due", f"Due {day_words(invoice.due_on)}" if invoice.due_on else "Unpaid")
    return MoneyState(str(invoice.payment_status), str(invoice.get_payment_status_display()))
