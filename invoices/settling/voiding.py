"""Voiding an invoice, and issuing another one for its period."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from invoices.locking import lock_invoice
from invoices.models import Invoice, InvoiceEvent
from invoices.prepaid.credits import grant_again
from invoices.services import mark_stale_beside, open_again
from invoices.settling.credit_notes import Leftover, Note, check_final, check_reason, write_note
from invoices.settling.settlement import refresh
from invoices.signals import voided


def preview_void(invoice: Invoice) -> Note:
    """The credit note of a void: all that is left, and without lines where nothing is. Raises ValidationError."""
    check_final(invoice)
    leftover = Leftover(invoice)
    return leftover.whole() if leftover.total > 0 else Note([])


@transaction.atomic
def void_invoice(invoice_id: int, *, reason: str, actor: str = "", now: datetime | None = None) -> Invoice:
    """Takes a final invoice back: a credit note of all that is left of it, and the status void.

    What was paid stays, and is owed back; credits that it drew go back. Its period has no invoice then, unless another
    one is issued. Raises Invoice.DoesNotExist and ValidationError.
    """
    now = now or timezone.now()
    reason = check_reason(reason)
    invoice = lock_invoice(invoice_id)
    _void(invoice, reason, actor, now)
    return invoice


@transaction.atomic
def reissue(invoice_id: int, *, reason: str, actor: str = "", now: datetime | None = None) -> Invoice:
    """Makes an invoice void, unless it is already, and opens another one for the same assignment and period.

    That is computed from the usage, promotions and taxes of now by the same plan version, and due to become final at
    once: the next closing numbers it, unless it is held or waits for approval. Raises Invoice.DoesNotExist and
    ValidationError. Answers the new one.
    """
    now = now or timezone.now()
    reason = check_reason(reason)
    invoice = lock_invoice(invoice_id)
    check_reissue(invoice)
    if invoice.status != Invoice.Status.VOID:
        _void(invoice, reason, actor, now)
    new = open_again(invoice, actor=actor, now=now)
    grant_again(invoice, new, now)
    detail = {"invoice": new.pk, "reason": reason}
    InvoiceEvent.objects.create(invoice=invoice, kind="reissued", actor=actor, detail=detail)
    return new


def check_reissue(invoice: Invoice) -> None:
    """Raises ValidationError for an invoice that no other one can take the place of."""
    if invoice.is_correction:
        raise ValidationError("This invoice is of usage that came late: void it, and that is computed anew.")
    if not invoice.number:
        raise ValidationError("Only a final invoice can be issued anew; this one still follows usage.")
    if invoice.status != Invoice.Status.VOID:
        return
    ends_at = invoice.assignment.ends_at
    if ends_at is not None and ends_at <= invoice.period_start:
        raise ValidationError("The plan has been ended before this period.")
    others = Invoice.objects.filter(assignment=invoice.assignment_id, is_correction=False)
    beside = others.exclude(status=Invoice.Status.VOID)
    if beside.filter(period_start__lt=invoice.period_end, period_end__gt=invoice.period_start).exists():
        raise ValidationError("There is another invoice for this period.")
    if Invoice.objects.filter(replaces=invoice).exists():
        raise ValidationError("Another invoice has taken its place before: issue that one anew.")


def _void(invoice: Invoice, reason: str, actor: str, now: datetime) -> None:
    note = preview_void(invoice)
    # Before the credit note: a void invoice is not paid by it.
    invoice.status = Invoice.Status.VOID
    invoice.voided_at = now
    invoice.save(update_fields=["status", "voided_at"])
    InvoiceEvent.objects.create(invoice=invoice, kind="voided", actor=actor, detail={"reason": reason})
    if note.lines:
        write_note(invoice, note, reason=reason, actor=actor, now=now)
    refresh(invoice, now)
    voided.send(sender=None, invoice=invoice, now=now, reason=reason)
    # Whatever a receiver wrote.
    refresh(invoice, now)
    # What it took of a promotion's cap, what it alone priced and what it carried is for others now.
    mark_stale_beside(invoice)
