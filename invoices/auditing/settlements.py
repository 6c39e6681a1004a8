"""What is kept beside an invoice (credits, credit notes, payments, its state) against the rows that it is made of."""

from dataclasses import fields
from decimal import Decimal

from invoices.auditing.looking import Finding, Look, Seen, money_words, name_of
from invoices.models import AuditFinding, Invoice
from invoices.settling.settlement import Settlement, settlements_of

CHECK = AuditFinding.Check.SETTLEMENT
AT_ONCE = 1000
WORDS = {
    "credits_applied": "Credits",
    "credited": "What is credited",
    "paid": "What is paid",
    "written_off": "What is written off",
    "payment_status": "The payment state",
}


def look(at: Look) -> Seen:
    seen = Seen()
    seen.checked[CHECK] = 0
    numbered = Invoice.objects.filter(customer__in=at.ids).exclude(number="").order_by("pk").defer("frozen_terms")
    ids = list(numbered.values_list("pk", flat=True))
    for first in range(0, len(ids), AT_ONCE):
        invoices = list(numbered.filter(pk__in=ids[first : first + AT_ONCE]))
        should = settlements_of(invoices)
        seen.checked[CHECK] += len(invoices)
        for invoice in invoices:
            seen.findings += _differences(invoice, should[invoice.pk])
    return seen


def _differences(invoice: Invoice, should: Settlement) -> list[Finding]:
    found = []
    for name in (one.name for one in fields(Settlement)):
        expected, kept = getattr(should, name), getattr(invoice, name)
        if expected != kept:
            text = f"{WORDS[name]} of {name_of(invoice)}"
            words = [_words(one, invoice.currency) for one in (expected, kept)]
            found.append(Finding(CHECK, text, invoice.customer_id, invoice.pk, *words))
    return found


def _words(value: Decimal | str, currency: str) -> str:
    return money_words(value, currency) if isinstance(value, Decimal) else Invoice.PaymentStatus(value).label
