"""Payments of final invoices, what goes back, and what nobody waits for any more. Taking money is not ours: these are
records of what happened at a bank or a payment provider."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from invoices.locking import lock_invoice
from invoices.models import Invoice, InvoiceEvent, Payment
from invoices.settling.settlement import check_money, local_day, refresh
from pricing.money import amount_text, format_money

Kind = Payment.Kind
LONGEST_REFERENCE = 200
# Of a payment day that was typed wrong.
EARLIEST = date(2000, 1, 1)


@transaction.atomic
def record_payment(
    invoice_id: int,
    *,
    amount: Decimal,
    reference: str = "",
    paid_on: date | None = None,
    actor: str,
    now: datetime | None = None,
) -> tuple[Payment, bool]:
    """Records money that came for an invoice; answers the payment and whether it is new.

    The same payment under one reference is recorded once, however often it is sent; another amount under it is
    refused. More than is due is taken, and is owed back. Raises Invoice.DoesNotExist and ValidationError.
    """
    now = now or timezone.now()
    invoice = _locked(invoice_id)
    amount = check_money(amount, invoice.currency)
    return _record(invoice, Kind.PAYMENT, amount, reference, paid_on, actor, now)


@transaction.atomic
def refund(
    invoice_id: int,
    *,
    amount: Decimal,
    reference: str = "",
    paid_on: date | None = None,
    actor: str,
    now: datetime | None = None,
) -> tuple[Payment, bool]:
    """Records money that went back to the customer: at most what was paid. Otherwise as `record_payment`."""
    now = now or timezone.now()
    invoice = _locked(invoice_id)
    amount = check_money(amount, invoice.currency)
    known = _known(invoice, Kind.REFUND, amount.copy_negate(), reference.strip(), paid_on)
    if known is not None:
        return known, False
    if amount > invoice.paid:
        paid = format_money(invoice.paid, invoice.currency)
        raise ValidationError({"amount": f"Only {paid} of this invoice is paid; no more can go back."})
    return _record(invoice, Kind.REFUND, amount.copy_negate(), reference, paid_on, actor, now)


@transaction.atomic
def write_off(
    invoice_id: int,
    *,
    reason: str,
    amount: Decimal | None = None,
    reference: str = "",
    actor: str,
    now: datetime | None = None,
) -> tuple[Payment, bool]:
    """Gives up what is due of an invoice (by default all of it), so that it is not overdue any more.

    A payment that comes after all takes the place of what was written off. Raises Invoice.DoesNotExist and
    ValidationError.
    """
    now = now or timezone.now()
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON or "\0" in reason:
        raise ValidationError({"reason": f"Say why, in up to {LONGEST_REASON} characters."})
    invoice = _locked(invoice_id)
    reference = reference.strip()
    if reference and amount is None:
        # Sent again: what it came to then.
        before = invoice.payments.filter(kind=Kind.WRITE_OFF, reference=reference).first()
        amount = None if before is None else before.amount
    if amount is not None:
        amount = check_money(amount, invoice.currency)
        known = _known(invoice, Kind.WRITE_OFF, amount, reference, None)
        if known is not None:
            return known, False
    if invoice.status == Invoice.Status.VOID or invoice.amount_due <= 0:
        raise ValidationError({"amount": "Nothing is due of this invoice."})
    amount = invoice.amount_due if amount is None else amount
    if amount > invoice.amount_due:
        due = format_money(invoice.amount_due, invoice.currency)
        raise ValidationError({"amount": f"Only {due} of this invoice is due."})
    return _record(invoice, Kind.WRITE_OFF, amount, reference, None, actor, now, reason=reason)


LONGEST_REASON = 500


def _locked(invoice_id: int) -> Invoice:
    invoice = lock_invoice(invoice_id)
    if not invoice.number:
        raise ValidationError("Only a final invoice can be paid; this one still follows usage.")
    return invoice


def _record(
    invoice: Invoice,
    kind: str,
    amount: Decimal,
    reference: str,
    paid_on: date | None,
    actor: str,
    now: datetime,
    **detail: str,
) -> tuple[Payment, bool]:
    today = local_day(invoice, now)
    reference = reference.strip()
    if len(reference) > LONGEST_REFERENCE or "\0" in reference:
        raise ValidationError({"reference": f"At most {LONGEST_REFERENCE} characters."})
    # Where the sender is, it may be tomorrow already.
    if paid_on is not None and not EARLIEST <= paid_on <= today + timedelta(days=1):
        raise ValidationError({"paid_on": "Give a day that has been, or today."})
    known = _known(invoice, kind, amount, reference, paid_on)
    if known is not None:
        return known, False
    payment = Payment.objects.create(
        invoice=invoice, kind=kind, amount=amount, reference=reference, paid_on=paid_on or today, actor=actor
    )
    said = {"amount": amount_text(amount, invoice.currency), **detail}
    if reference:
        said["reference"] = reference
    InvoiceEvent.objects.create(invoice=invoice, kind=kind.replace("_", "-"), actor=actor, detail=said)
    refresh(invoice, now)
    return payment, True


def _known(invoice: Invoice, kind: str, amount: Decimal, reference: str, paid_on: date | None) -> Payment | None:
    """What was recorded under a reference before. Raises ValidationError where that was something else."""
    known: Payment | None = invoice.payments.filter(kind=kind, reference=reference).first() if reference else None
    if known is not None and (known.amount != amount or paid_on not in (None, known.paid_on)):
        of = format_money(known.amount.copy_abs(), invoice.currency)
        raise ValidationError({"reference": f"There is another one of {of} with this reference."})
    return known
