"""What the page of one invoice has beside its lines: the figure that counts, and its files."""

from dataclasses import dataclass
from decimal import Decimal

from invoices.models import Invoice
from invoices.settling.settled import InvoiceCredits
from pricing.money import format_money


@dataclass(frozen=True, slots=True)
class Headline:
    """The one figure of an invoice, with what it is; `beside` says how it stands to the total."""

    name: str
    amount: Decimal
    beside: str = ""


def headline_of(invoice: Invoice, drawn: InvoiceCredits | None) -> Headline:
    """What is due where something is to be paid, else the total."""
    due, total = invoice.amount_due, invoice.total
    in_all = f"Total {format_money(total, invoice.currency)}"
    if invoice.is_live:
        left = ""
        if drawn is not None and drawn.rows:
            left = f"About {format_money(drawn.left, invoice.currency)} left to pay after credits, an estimate"
        return Headline("Total so far", total, left)
    if due < 0:
        return Headline("Owed back to you", due.copy_negate(), in_all)
    if invoice.status == Invoice.Status.VOID:
        return Headline("Total", total, "Nothing is to be paid")
    if due:
        return Headline("Amount due", due, in_all if due != total else "")
    return Headline("Total", total, "Nothing is left to pay")
