"""Receivers that write what happens into the outbox, in its transaction. Where no endpoint wants it they cost one
statement, and of recalculated invoices one for all of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from invoices.models import CreditNote, Invoice, OutboxEvent
from invoices.outbox import is_wanted, release, tell, tell_many, tell_throttled
from invoices.webhooks.payloads import (
    about_assignment,
    about_customer,
    about_invoice,
    assignment_data,
    credit_note_data,
    customer_data,
    invoice_data,
)
from meters.models import Customer
from pricing.models import Assignment, AssignmentQuantity

Type = OutboxEvent.Type


def invoices_changed(invoice_ids: Collection[int], now: datetime) -> None:
    """Their lines are others now."""
    tell_throttled(Type.INVOICE_UPDATED, [about_invoice(pk) for pk in invoice_ids], now)


def invoice_is_final(invoice: Invoice, now: datetime) -> None:
    """Before its credits are drawn: what they pay is told after it."""
    about = about_invoice(invoice.pk)
    if tell(Type.INVOICE_FINALIZED, about, {}, now):
        release(Type.INVOICE_UPDATED, about)


def final_invoice_is_settled(invoice: Invoice) -> None:
    """After its credits are drawn: what it comes to with them."""
    if is_wanted(Type.INVOICE_FINALIZED):
        told = OutboxEvent.objects.filter(type=Type.INVOICE_FINALIZED, about=about_invoice(invoice.pk), data={})
        told.update(data=invoice_data(invoice))


def invoice_is_settled(invoice: Invoice, now: datetime, was: str) -> None:
    """Something pays it, or lessens it: told where nothing is left to pay any more."""
    paid = Invoice.PaymentStatus.PAID
    if invoice.status == Invoice.Status.FINAL and invoice.payment_status == paid and was != paid:
        tell(Type.INVOICE_PAID, about_invoice(invoice.pk), lambda: invoice_data(invoice), now)


def invoice_is_void(invoice: Invoice, now: datetime, reason: str) -> None:
    about = about_invoice(invoice.pk)
    if tell(Type.INVOICE_VOIDED, about, lambda: {**invoice_data(invoice), "reason": reason}, now):
        release(Type.INVOICE_UPDATED, about)


def credit_note_is_issued(note: CreditNote) -> None:
    """About its invoice, so that it keeps its place among what is told of that."""
    about = about_invoice(note.invoice_id)
    tell(Type.CREDIT_NOTE_ISSUED, about, lambda: credit_note_data(note), note.issued_at)


def customer_saved(customer: Customer, created: bool, fields: Collection[str] | None) -> None:
    """A customer is told of when it is taken in, which each of them is once, also those that events bring."""
    taken_in = created or (fields is not None and "onboarded_at" in fields)
    if taken_in and customer.onboarded_at is not None:
        about = about_customer(customer.pk)
        tell(Type.CUSTOMER_CREATED, about, lambda: customer_data(customer), timezone.now())


def assignment_saved(assignment: Assignment, created: bool) -> None:
    change = "assigned" if created else "reopened" if assignment.ends_on is None else "ended"
    about = about_assignment(assignment.pk)
    tell(Type.ASSIGNMENT_CHANGED, about, lambda: assignment_data(assignment, change), timezone.now())


def assignments_stored(assignments: Sequence[Assignment]) -> None:
    """Many new ones at once."""
    if is_wanted(Type.ASSIGNMENT_CHANGED):
        said = [(about_assignment(one.pk), assignment_data(one, "assigned")) for one in assignments]
        tell_many(Type.ASSIGNMENT_CHANGED, said, timezone.now())


def quantity_saved(entry: AssignmentQuantity) -> None:
    def data() -> dict[str, Any]:
        return assignment_data(entry.assignment, "quantity", entry)

    tell(Type.ASSIGNMENT_CHANGED, about_assignment(entry.assignment_id), data, timezone.now())
