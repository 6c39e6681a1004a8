"""Customers: creating and changing them, whichever way they come in."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from meters.models import Customer

EDITABLE = ("name", "email", "traits", "time_zone")


@transaction.atomic
def create_customer(*, key: str, source: str, **fields: Any) -> Customer:
    """A new customer. Raises `ValidationError` by field, also where the key is taken.

    The layers above take it in within the same transaction (pricing gives it its plan, invoices its invoice), so
    that it is there with its bill or not at all.
    """
    customer = Customer(key=key, source=source, **fields)
    customer.full_clean()
    customer.save(force_insert=True)
    return customer


@transaction.atomic
def update_customer(customer: Customer, *, changes: Mapping[str, Any]) -> Customer:
    """Changes some of EDITABLE. Raises `ValidationError` by field."""
    for name, value in changes.items():
        if name not in EDITABLE:
            raise ValueError(f"{name} of a customer cannot be changed")
        setattr(customer, name, value)
    customer.full_clean()
    customer.save(update_fields=list(changes))
    return customer
