"""Credits as tests want them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from invoices import services
from invoices.models import CreditEntry, CreditGrant, Invoice
from invoices.prepaid.credits import grant_credits
from meters.models import Customer
from tests.factories import live_invoice

# The end of November's grace time: that is when its invoice becomes final.
CLOSING = datetime(2026, 12, 2, tzinfo=UTC)


def prepaid(customer: Customer, amount: Any, **fields: Any) -> CreditGrant:
    fields = {"name": "Prepaid", "currency": "USD"} | fields
    grant, _ = grant_credits(customer=customer, amount=amount, **fields)
    return grant


def finalized(customer: Customer, now: datetime = CLOSING) -> Invoice:
    """The customer's only live invoice, made final."""
    invoice = services.close(live_invoice(customer).pk, now=now)
    assert invoice.status == Invoice.Status.FINAL
    return invoice


def ledger(grants: Iterable[CreditGrant]) -> list[tuple[str, str, Decimal, Decimal]]:
    """The entries of grants in the order in which they were written: whose, what, how much, what was left."""
    entries = CreditEntry.objects.filter(grant__in=list(grants)).select_related("grant").order_by("id")
    return [(entry.grant.name, entry.kind, entry.amount, entry.balance) for entry in entries]


def check_ledger() -> None:
    """Every grant's entries sum to what the last of them says is left, step by step, and begin with the grant; what
    invoices say of credits is what the entries of them sum to."""
    for grant in CreditGrant.objects.prefetch_related("entries"):
        left = Decimal(0)
        entries = list(grant.entries.all())
        assert [entry.kind for entry in entries].count("granted") == 1
        assert (entries[0].kind, entries[0].amount) == ("granted", grant.amount)
        for entry in entries:
            left += entry.amount
            assert entry.balance == left >= 0
            assert (entry.amount > 0) == (entry.kind in ("granted", "returned"))
        assert left <= grant.amount
    for invoice in Invoice.objects.prefetch_related("credit_entries"):
        assert invoice.credits_applied == -sum(entry.amount for entry in invoice.credit_entries.all())
