"""Documents that make up for usage that came too late, or was voided, where no invoice to come does: at once."""

from collections.abc import Sequence
from datetime import datetime

from invoices.drafting import Draft, with_corrections
from invoices.late.corrections import Pending, lines_of
from invoices.locking import PARTS
from invoices.models import CreditNote, Invoice, InvoiceEvent
from invoices.recalculating import write_draft
from invoices.settling.credit_notes import CorrectionLine, issue_correction
from pricing.money import total_of

NOTHING = Draft(lines=(), subtotal=total_of(()), total=total_of(()))


def take_back(pending: Sequence[Pending], now: datetime) -> CreditNote:
    """A credit note for what is pending of an invoice, which comes to less than nothing."""
    lines = [
        CorrectionLine(one.correction.name, one.amount.copy_negate(), one.correction.key, is_tax=one.is_tax)
        for one in pending
    ]
    return issue_correction(pending[0].invoice, lines, now)


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
