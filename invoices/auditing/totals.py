"""Subtotals and totals of invoices and credit notes against their lines."""

from decimal import Decimal

from invoices.auditing.audit_sql import NOTE_TOTALS, TOTALS
from invoices.auditing.looking import Finding, Look, Seen, money_words, name_of
from invoices.models import AuditFinding, CreditNote, Invoice
from meters.statements import array, execute

CHECK = AuditFinding.Check.TOTALS


def look(at: Look) -> Seen:
    seen = Seen()
    notes = CreditNote.objects.filter(invoice__customer__in=at.ids)
    seen.checked[CHECK] = Invoice.objects.filter(customer__in=at.ids).count() + notes.count()
    customers = {"customers": array(map(str, sorted(at.ids)))}
    rows = execute(TOTALS, customers)
    invoices = Invoice.objects.in_bulk([row[0] for row in rows])
    for pk, *figures in rows:
        invoice = invoices[pk]
        seen.findings.append(_finding(f"The totals of {name_of(invoice)}", invoice, *figures))
    rows = execute(NOTE_TOTALS, customers)
    noted = notes.select_related("invoice").in_bulk([row[0] for row in rows])
    for pk, *figures in rows:
        note = noted[pk]
        seen.findings.append(_finding(f"The totals of credit note {note.number}", note.invoice, *figures))
    return seen


def _finding(
    what: str, invoice: Invoice, subtotal: Decimal, total: Decimal, of_lines: Decimal, in_all: Decimal
) -> Finding:
    expected, found = (
        f"{money_words(before, invoice.currency)} before tax, {money_words(after, invoice.currency)} in all"
        for before, after in ((of_lines, in_all), (subtotal, total))
    )
    text = f"{what} are not what the lines come to"
    return Finding(CHECK, text, invoice.customer_id, invoice.pk, expected[:120], found[:120])
