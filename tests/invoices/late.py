"""Usage that comes after its invoice is final: what tests of it share."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import time_machine

from invoices import due, services
from invoices.models import BillingPolicy, CreditNoteLine, Invoice, InvoiceLine
from meters.models import Customer
from meters.voiding import EventRef, select_events, unvoid_events, void_events
from tests.factories import run_sweep

# Final two days after the month's end: 24 hours of grace, and then some.
TAXES = ("tax", "tax_corr")


def at(month: int, day: int, hour: int = 12, *, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def work_at(clock: time_machine.Traveller, instant: datetime, *, sweeps: int = 3) -> None:
    """Lets the worker do what is to be done at an instant."""
    clock.move_to(instant)
    for _ in range(sweeps):
        run_sweep()


def void(*ids: str, customer: str = "acme") -> None:
    void_events(select_events(refs=[EventRef(customer, one) for one in ids]), reason="test", actor="test")


def unvoid(*ids: str, customer: str = "acme") -> None:
    unvoid_events(select_events(refs=[EventRef(customer, one) for one in ids]), reason="test", actor="test")


def policy(**fields: Any) -> None:
    BillingPolicy.objects.update_or_create(pk=1, defaults=fields)


def said(invoice: Invoice) -> list[tuple[str, str, Decimal]]:
    """Kind, name and amount of each line."""
    return [(line.kind, line.name, line.amount) for line in invoice.lines.order_by("position")]


def corrections(invoice: Invoice) -> list[tuple[str, Decimal]]:
    return [(name, amount) for kind, name, amount in said(invoice) if kind in ("correction", "tax_corr")]


def rerate(customer: Customer) -> None:
    services.rerate(customer.pk)
    for pk in due.stale_invoices(100):
        services.recalculate(pk)


def sums(customer: Customer) -> dict[tuple[str, bool], Decimal]:
    """What all documents of a customer come to, by currency, before tax and of taxes."""
    found: dict[tuple[str, bool], Decimal] = defaultdict(Decimal)
    lines = InvoiceLine.objects.filter(invoice__customer=customer).exclude(invoice__status="void")
    for currency, kind, amount in lines.values_list("invoice__currency", "kind", "amount"):
        found[currency, kind in TAXES] += amount
    notes = CreditNoteLine.objects.filter(credit_note__invoice__customer=customer)
    notes = notes.exclude(credit_note__invoice__status="void")
    for currency, is_tax, amount in notes.values_list("credit_note__invoice__currency", "is_tax", "amount"):
        found[currency, is_tax] -= amount
    return {key: amount for key, amount in found.items() if amount}


def hours(count: int) -> timedelta:
    return timedelta(hours=count)
