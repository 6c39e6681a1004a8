"""Staff's hands on an invoice that is not final: hold it, let it go, approve it, make it final before its time.

Held invoices, and those that wait for approval, follow usage like any other live one; only becoming final waits.
"""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from invoices.due import lacks_approval
from invoices.locking import lock_invoice
from invoices.models import Invoice, InvoiceEvent
from invoices.policy import needs_approval
from invoices.services import close_now

LONGEST_REASON = 300


@transaction.atomic
def hold(invoice_id: int, *, reason: str, actor: str = "", now: datetime | None = None) -> Invoice:
    """Keeps an invoice from becoming final until it is released. Holding it again changes the reason.

    Raises Invoice.DoesNotExist and ValidationError.
    """
    invoice = _live(invoice_id, "held")
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise ValidationError({"reason": f"Say why, in one line of at most {LONGEST_REASON} characters."})
    if invoice.held_at is not None and invoice.hold_reason == reason:
        return invoice
    invoice.held_at = invoice.held_at or now or timezone.now()
    invoice.hold_reason = reason
    invoice.save(update_fields=["held_at", "hold_reason"])
    _tell(invoice, "held", actor, reason=reason)
    return invoice


@transaction.atomic
def release(invoice_id: int, *, actor: str = "") -> Invoice:
    """Lets a held invoice go on: it becomes final when its grace time is over, or soon, where it is already.

    Raises Invoice.DoesNotExist and ValidationError.
    """
    invoice = _live(invoice_id, "released")
    if invoice.held_at is None:
        raise ValidationError("This invoice is not held.")
    invoice.held_at = None
    invoice.hold_reason = ""
    invoice.save(update_fields=["held_at", "hold_reason"])
    _tell(invoice, "released", actor)
    return invoice


@transaction.atomic
def approve(invoice_id: int, *, actor: str = "", now: datetime | None = None) -> Invoice:
    """Lets an invoice become final when its grace time is over, or soon, where it is already. Only once its period is
    over: before that nobody knows what it comes to. Approving it again changes nothing.

    Raises Invoice.DoesNotExist and ValidationError.
    """
    now = now or timezone.now()
    invoice = _live(invoice_id, "approved")
    if now < invoice.period_end:
        raise ValidationError("Its period is not over: approve it after that.")
    if invoice.approved_at is not None:
        return invoice
    invoice.approved_at = now
    invoice.approved_by = actor[:150]
    invoice.save(update_fields=["approved_at", "approved_by"])
    _tell(invoice, "approved", actor, total=str(invoice.total))
    return invoice


@transaction.atomic
def finalize_now(invoice_id: int, *, actor: str = "", now: datetime | None = None) -> Invoice:
    """Makes an invoice final before its grace time is over. What comes in later is late usage.

    Never before its period is over, and never while it is held or waits for approval. Raises Invoice.DoesNotExist and
    ValidationError.
    """
    now = now or timezone.now()
    invoice = _live(invoice_id, "made final")
    if now < invoice.period_end:
        raise ValidationError("Its period is not over: it cannot be final yet.")
    if invoice.held_at is not None:
        raise ValidationError("This invoice is held: release it first.")
    if waits_for_approval(invoice):
        raise ValidationError("This invoice waits for approval: approve it first.")
    return close_now(invoice, now=now, actor=actor)


def waits_for_approval(invoice: Invoice) -> bool:
    """Whether it lacks the approval that it needs by the policy of now."""
    return invoice.is_live and invoice.approved_at is None and needs_approval(invoice)


def held() -> "QuerySet[Invoice]":
    """The invoices that are held, those first that have been for longest."""
    return Invoice.objects.filter(status__in=Invoice.LIVE, held_at__isnull=False).order_by("held_at", "id")


def to_be_approved(now: datetime) -> "QuerySet[Invoice]":
    """The invoices whose period is over that wait for approval, those first that become due to be final first."""
    over = Invoice.objects.filter(status__in=Invoice.LIVE, period_end__lte=now)
    return over.filter(lacks_approval()).order_by("closes_at", "id")


def _live(invoice_id: int, done: str) -> Invoice:
    invoice = lock_invoice(invoice_id)
    if not invoice.is_live:
        status = invoice.get_status_display().lower()
        raise ValidationError(f"This invoice is {status}: it cannot be {done}.")
    return invoice


def _tell(invoice: Invoice, kind: str, actor: str, **detail: str) -> None:
    InvoiceEvent.objects.create(invoice=invoice, kind=kind, actor=actor[:150], detail=detail)
