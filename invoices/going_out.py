"""What is joined to the life of invoices, customers and assignments to be told of outside: see `webhooks.telling` and
`mail_reasons`."""

from typing import Any

from django.db.models.signals import post_save


def connect_ahead() -> None:
    """Before credits are drawn."""
    from invoices.signals import finalized

    finalized.connect(_final, dispatch_uid="invoices.tell_final")


def connect() -> None:
    """Behind whoever changes what is told of."""
    from invoices.models import CreditNote
    from invoices.signals import finalized, lines_changed, settled, voided
    from meters.models import Customer
    from pricing.models import Assignment, AssignmentQuantity
    from pricing.signals import many_assigned

    lines_changed.connect(_lines_changed, dispatch_uid="invoices.tell_updated")
    finalized.connect(_final_and_settled, dispatch_uid="invoices.tell_final_and_settled")
    settled.connect(_settled, dispatch_uid="invoices.tell_paid")
    voided.connect(_void, dispatch_uid="invoices.tell_void")
    post_save.connect(_credit_note, sender=CreditNote, dispatch_uid="invoices.tell_credit_note")
    post_save.connect(_customer, sender=Customer, dispatch_uid="invoices.tell_customer")
    post_save.connect(_assignment, sender=Assignment, dispatch_uid="invoices.tell_assignment")
    post_save.connect(_quantity, sender=AssignmentQuantity, dispatch_uid="invoices.tell_quantity")
    many_assigned.connect(_assignments, dispatch_uid="invoices.tell_assignments")


def _lines_changed(invoice_ids: Any, now: Any, **_: Any) -> None:
    from invoices.webhooks.telling import invoices_changed

    invoices_changed(invoice_ids, now)


def _final(invoice: Any, now: Any, **_: Any) -> None:
    from invoices.webhooks.telling import invoice_is_final

    invoice_is_final(invoice, now)


def _final_and_settled(invoice: Any, now: Any, **_: Any) -> None:
    from invoices.mailing.reasons import invoice_is_final
    from invoices.webhooks.telling import final_invoice_is_settled

    final_invoice_is_settled(invoice)
    invoice_is_final(invoice, now)


def _settled(invoice: Any, now: Any, was: Any, **_: Any) -> None:
    from invoices.webhooks.telling import invoice_is_settled

    invoice_is_settled(invoice, now, was)


def _void(invoice: Any, now: Any, reason: Any, **_: Any) -> None:
    from invoices.webhooks.telling import invoice_is_void

    invoice_is_void(invoice, now, reason)


def _credit_note(instance: Any, created: bool, **_: Any) -> None:
    from invoices.webhooks.telling import credit_note_is_issued

    if created:
        credit_note_is_issued(instance)


def _customer(instance: Any, created: bool, update_fields: Any, **_: Any) -> None:
    from invoices.webhooks.telling import customer_saved

    customer_saved(instance, created, update_fields)


def _assignment(instance: Any, created: bool, **_: Any) -> None:
    from invoices.webhooks.telling import assignment_saved

    assignment_saved(instance, created)


def _quantity(instance: Any, **_: Any) -> None:
    from invoices.webhooks.telling import quantity_saved

    quantity_saved(instance)


def _assignments(assignments: Any, **_: Any) -> None:
    from invoices.webhooks.telling import assignments_stored

    assignments_stored(assignments)
