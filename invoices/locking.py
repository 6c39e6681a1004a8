"""The locks that every change of an invoice begins with: its customer, then the invoice itself."""

from collections.abc import Collection

from django.db.models import Q

from invoices.models import Invoice
from invoices.pricing_of import frozen_version
from meters.models import Customer

# What an invoice is computed of.
PARTS = ("customer", "assignment__plan", "plan_version__plan")


def lock_customer(customer_id: int) -> None:
    Customer.objects.select_for_update(no_key=True).get(pk=customer_id)


def lock_invoice(invoice_id: int) -> Invoice:
    """An invoice, held with its customer. Raises Invoice.DoesNotExist."""
    list(Customer.objects.filter(invoices=invoice_id).select_for_update(of=("self",), no_key=True))
    # A statement of its own: it sees what was committed while this waited for the customer.
    locked = Invoice.objects.select_for_update(of=("self",)).select_related(*PARTS)
    return locked.get(pk=invoice_id)


def lock_customers_of(invoice_ids: Collection[int], *, wait: bool = True) -> set[int]:
    """Holds the customers of these invoices, in order; where it may not wait, those that nobody else holds. Answers the
    ids of the invoices whose customers it does not hold then."""
    of = dict(Invoice.objects.filter(pk__in=invoice_ids).values_list("pk", "customer"))
    concerned = Customer.objects.filter(pk__in=set(of.values())).order_by("pk")
    mine = set(concerned.select_for_update(no_key=True, skip_locked=not wait).values_list("pk", flat=True))
    return {invoice for invoice, customer in of.items() if customer not in mine}


def lock_live(invoice_ids: Collection[int], which: Q | None = None) -> list[Invoice]:
    """Those of these invoices that are live, and such, in order of their ids. Their customers are held already: a
    statement of its own sees what was committed while that was waited for."""
    live = Invoice.objects.filter(which or Q(), pk__in=invoice_ids, status__in=Invoice.LIVE)
    found = list(live.order_by("pk").select_for_update(of=("self",)).select_related("customer", "assignment"))
    for invoice in found:
        # Very many have the same few, which are frozen.
        invoice.plan_version = frozen_version(invoice.plan_version_id).version
    return found
