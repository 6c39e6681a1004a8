"""Documents that make up for usage that came too late, or was voided, where no invoice to come does: at once."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from django.db.models import Sum

from invoices.drafting import Draft, with_corrections
from invoices.late.corrections import Pending, lines_of
from invoices.locking import PARTS
from invoices.models import CreditNote, CreditNoteLine, Invoice, InvoiceEvent, InvoiceLine
from invoices.recalculating import write_draft
from invoices.settling.credit_notes import CorrectionLine, issue_correction
from pricing.money import total_of
from pricing.steps import EXACT

ZERO = Decimal(0)
NOTHING = Draft(lines=(), subtotal=total_of(()), total=total_of(()))


def take_back(pending: Sequence[Pending], now: datetime) -> CreditNote:
    """A credit note for what is pending of an invoice, which comes to less than nothing."""
    lines = [
        CorrectionLine(one.correction.name, one.amount.copy_negate(), one.correction.key, is_tax=one.is_tax)
        for one in pending
    ]
    return issue_correction(pending[0].invoice, lines, now)


def take_back_of_void(pending: Sequence[Pending], now: datetime) -> list[CreditNote]:
    """Credit notes for what final documents carry of an invoice that is void: one, where a document has room for all
    of it; else one for each document, of all that it has. Where that is less than nothing there is none: it stays
    pending."""
    void = pending[0].invoice
    carried = _carried_for(void)
    wanted = {one.correction.key: one.amount.copy_negate() for one in pending}
    found = {pk: list(lines.values()) for pk, lines in carried.items()}
    for pk, lines in sorted(carried.items(), reverse=True):
        if all(key in lines and _has_room(lines[key].amount, amount) for key, amount in wanted.items()):
            found = {pk: [replace(lines[key], amount=amount) for key, amount in wanted.items()]}
            break
    carriers = Invoice.objects.in_bulk(found)
    reason = f"Invoice {void.number} is void."
    return [
        issue_correction(carriers[pk], some, now, reason=reason)
        for pk, some in sorted(found.items())
        if total_of(one.amount for one in some) > 0
    ]


def _carried_for(void: Invoice) -> dict[int, dict[str, CorrectionLine]]:
    """What final documents carry of it and have not taken back yet, by document and line."""
    lines = InvoiceLine.objects.filter(corrects=void, invoice__status=Invoice.Status.FINAL).order_by("position")
    back = CreditNoteLine.objects.filter(invoice_line__in=lines.order_by()).exclude(corrects_key="").order_by()
    taken: dict[int, Decimal] = dict(back.values_list("invoice_line").annotate(Sum("amount")))
    found: dict[int, dict[str, CorrectionLine]] = defaultdict(dict)
    for line in lines:
        left = EXACT.subtract(line.amount, taken.get(line.pk, ZERO))
        if left:
            is_tax = line.kind == InvoiceLine.Kind.TAX_CORRECTION
            found[line.invoice_id][line.corrects_key] = CorrectionLine(line.name, left, line.corrects_key, is_tax, line)
    return found


def _has_room(amount: Decimal, wanted: Decimal) -> bool:
    return (amount > 0) == (wanted > 0) and abs(amount) >= abs(wanted)


def open_correction(pending: Sequence[Pending], now: datetime) -> Invoice:
    """An invoice of what is pending of another one, for the same period, to be made final in the same transaction."""
    corrected = Invoice.objects.select_related(*PARTS).get(pk=pending[0].invoice.pk)
    invoice = Invoice.objects.create(
        customer=corrected.customer,
        assignment=corrected.assignment,
        plan_version=corrected.plan_version,
        status=Invoice.Status.GRACE,
        period_start=corrected.period_start,
        period_end=corrected.period_end,
        closes_at=now,
        time_zone=corrected.time_zone,
        currency=corrected.currency,
        is_correction=True,
        is_stale=False,
        usage_version=corrected.rerated_version,
        usage_at=now,
        computed_at=now,
    )
    write_draft(invoice, with_corrections(NOTHING, lines_of(pending)))
    InvoiceEvent.objects.create(invoice=invoice, kind="opened", detail={"corrects": corrected.number})
    return invoice
