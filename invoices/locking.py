"""The locks that every change of an invoice begins with: its customer, then the invoice itself."""

from collections.abc import Iterable

from django.db.models import Q

from invoices.models import Invoice
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


def lock_live(invoice_ids: Iterable[int], which: Q) -> list[Invoice]:
    """Those of these invoices that are live, and such, held with their customers; in order of their ids."""
    ids = list(invoice_ids)
    concerned = Customer.objects.filter(pk__in=Invoice.objects.filter(pk__in=ids).values("customer"))
    list(concerned.order_by("pk").select_for_update(no_key=True).values_list("pk"))
    live = Invoice.objects.filter(which, pk__in=ids, status__in=Invoice.LIVE)
    return list(live.order_by("pk").select_for_update(of=("self",)).select_related(*PARTS))
