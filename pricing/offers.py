"""Which plans a customer is offered in the portal."""

from django.db.models import Q, QuerySet

from meters.models import Customer
from pricing.models import Plan


def offered_to(customer: Customer) -> "QuerySet[Plan]":
    """The active plans that the vendor shows to this customer: those for everybody, and its own private ones."""
    shown = Plan.objects.filter(Q(customer=None) | Q(customer=customer), status=Plan.Status.ACTIVE)
    return shown.exclude(offer=Plan.Offer.NONE).order_by("name", "key")
