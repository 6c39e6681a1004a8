"""What has changed of a final invoice since, and where that is made up for."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Sum

from invoices.models import Correction, CreditNote, Invoice, InvoiceLine
from pricing.money import format_money, format_quantity, total_of


@dataclass(frozen=True, slots=True)
class Row:
    """`counted`: how many units were billed, and how many it is about now; nothing where that is the same."""

    name: str
    counted: str
    before: str
    after: str
    difference: str


@dataclass(frozen=True, slots=True)
class MadeUp:
    """An invoice, or a credit note (without a `pk`), and how much of the difference it has, with taxes."""

    pk: int | None
    name: str
    amount: str


def correction_rows(invoice: Invoice) -> list[Row]:
    if not invoice.number:
        return []
    return [_row(one, invoice.currency) for one in invoice.corrections.order_by("pk")]


def _row(one: Correction, currency: str) -> Row:
    before, after = one.quantity_before or 0, one.quantity_after or 0
    counted = ""
    if before != after:
        counted = f"{format_quantity(one.quantity_before or total_of(()))} → "
        counted += f"{format_quantity(one.quantity_after or total_of(()))} {one.unit}".rstrip()
    return Row(
        one.name,
        counted,
        format_money(one.amount_before, currency),
        format_money(one.amount_after, currency),
        format_money(one.amount, currency),
    )


def made_up_for(invoice: Invoice) -> Iterator[MadeUp]:
    """The documents that carry corrections of an invoice, but void ones."""
    lines = InvoiceLine.objects.filter(corrects=invoice).exclude(invoice__status=Invoice.Status.VOID)
    sums = lines.order_by("invoice__period_start", "invoice").values_list("invoice", "invoice__number")
    for pk, number, amount in sums.annotate(Sum("amount")):
        yield MadeUp(pk, number or "the running invoice", format_money(amount, invoice.currency))
    notes = CreditNote.objects.filter(invoice=invoice).exclude(lines__invoice_line__isnull=False)
    for number, total in notes.order_by("id").values_list("number", "total"):
        yield MadeUp(None, f"credit note {number}", format_money(-total, invoice.currency))
