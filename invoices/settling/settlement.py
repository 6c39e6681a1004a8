"""What is paid, credited and due of a final invoice: figured from the rows that settle it, and kept beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db.models import DateField, F, Func, Q, QuerySet, Sum
from django.utils import timezone

from invoices.models import CreditEntry, CreditNote, Invoice, InvoiceEvent, Payment
from invoices.signals import settled
from meters.periods import local_date
from pricing.money import minor_units, round_money, total_of

ZERO = Decimal(0)
Status = Invoice.PaymentStatus

# More than any invoice comes to; what is larger was typed wrong.
LARGEST = Decimal(10) ** 24


@dataclass(frozen=True, slots=True)
class Settlement:
    """What settles an invoice, in major units of its currency. `paid` is less what went back, `written_off` is what
    still is: a payment or a credit note that comes after a write-off takes its place."""

    credits_applied: Decimal
    credited: Decimal
    paid: Decimal
    written_off: Decimal
    payment_status: str


def settlement_of(invoice: Invoice) -> Settlement:
    """What the rows of an invoice say. Writes nothing."""
    return settlements_of([invoice])[invoice.pk]


def settlements_of(invoices: Sequence[Invoice]) -> dict[int, Settlement]:
    """What the rows of these invoices say, by their ids, in as many statements as of one."""
    ids = [invoice.pk for invoice in invoices]
    # The credits that they drew and gave back; and, of one below zero, the grant that it became.
    drawn = _sums(CreditEntry.objects.filter(invoice__in=ids))
    credited = _sums(CreditNote.objects.filter(invoice__in=ids), "total")
    payments = Payment.objects.filter(invoice__in=ids)
    paid = _sums(payments.exclude(kind=Payment.Kind.WRITE_OFF))
    given_up = _sums(payments.filter(kind=Payment.Kind.WRITE_OFF))
    return {
        invoice.pk: _settled(
            invoice,
            drawn.get(invoice.pk, ZERO).copy_negate(),
            credited.get(invoice.pk, ZERO),
            paid.get(invoice.pk, ZERO),
            given_up.get(invoice.pk, ZERO),
        )
        for invoice in invoices
    }


def _settled(
    invoice: Invoice, credits_applied: Decimal, credited: Decimal, paid: Decimal, given_up: Decimal
) -> Settlement:
    left = total_of([invoice.total, *(part.copy_negate() for part in (credits_applied, credited, paid))])
    written_off = min(given_up, max(left, ZERO))
    status: str
    if invoice.status == Invoice.Status.VOID:
        # Nobody pays it any more; that it was void must not look like a payment.
        status = invoice.payment_status
    elif left <= written_off:
        status = Status.WRITTEN_OFF if written_off else Status.PAID
    else:
        status = Status.PARTLY if any((credits_applied, credited, paid, written_off)) else Status.UNPAID
    return Settlement(credits_applied, credited, paid, written_off, status)


def refresh(invoice: Invoice, now: datetime | None = None) -> bool:
    """Brings what is kept beside a final, or void, invoice up to its payments, credit notes and credits.

    Call it under the lock of the invoice and its customer, whenever one of those rows was written. Sends `settled`
    where anything has changed, and answers whether it has.
    """
    now = now or timezone.now()
    if not invoice.number:
        raise ValidationError("Only an invoice with a number is settled.")
    found = settlement_of(invoice)
    before = Settlement(*(getattr(invoice, name) for name in KEPT))
    if found == before:
        return False
    for name in KEPT:
        setattr(invoice, name, getattr(found, name))
    invoice.save(update_fields=list(KEPT))
    if found.payment_status != before.payment_status:
        detail = {"from": str(before.payment_status), "to": str(found.payment_status)}
        InvoiceEvent.objects.create(invoice=invoice, kind="payment status", detail=detail)
    settled.send(sender=None, invoice=invoice, now=now, was=before.payment_status)
    return True


# The columns of an invoice that `refresh` writes, which the database lets change.
KEPT = ("credits_applied", "credited", "paid", "written_off", "payment_status")


def _sums(
    rows: "QuerySet[Payment] | QuerySet[CreditNote] | QuerySet[CreditEntry]", name: str = "amount"
) -> dict[int, Decimal]:
    """By invoice."""
    return dict(rows.order_by().values_list("invoice").annotate(sum=Sum(name)))


def local_day(invoice: Invoice, now: datetime) -> date:
    return local_date(now, invoice.zone)


def overdue(invoices: "QuerySet[Invoice]", now: datetime) -> "QuerySet[Invoice]":
    """Those that should have been paid before the day that it is in their own zones, and are not. Uses
    invoice_unpaid."""
    local_today = Func(F("time_zone"), now, template="timezone(%(expressions)s)::date", output_field=DateField())
    # In no zone is it later than this.
    latest = now.astimezone(UTC).date() + timedelta(days=1)
    return invoices.filter(UNSETTLED, status=Invoice.Status.FINAL, due_on__lt=latest).filter(due_on__lt=local_today)


UNSETTLED = Q(payment_status__in=[Status.UNPAID, Status.PARTLY])


def is_overdue(invoice: Invoice, day: date) -> bool:
    is_unsettled = invoice.payment_status in (Status.UNPAID, Status.PARTLY)
    is_past = invoice.due_on is not None and invoice.due_on < day
    return invoice.status == Invoice.Status.FINAL and is_unsettled and is_past


def days_over(invoice: Invoice, day: date) -> int:
    """How many days ago an invoice was due."""
    return max((day - invoice.due_on).days, 0) if invoice.due_on else 0


def check_money(amount: Decimal, currency: str, field: str = "amount") -> Decimal:
    """The amount. Raises ValidationError unless it is above zero and in whole minor units of the currency."""
    if not amount.is_finite() or not 0 < amount <= LARGEST:
        raise ValidationError({field: "Give an amount above zero."})
    if round_money(amount, currency) != amount:
        raise ValidationError({field: f"{currency} has {_decimals(minor_units(currency))}."})
    return round_money(amount, currency)


def _decimals(digits: int) -> str:
    return {0: "no decimals", 1: "1 decimal"}.get(digits, f"{digits} decimals")
