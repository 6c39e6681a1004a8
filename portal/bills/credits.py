"""A customer's prepaid credits as its pages show them: what is left, what expires next, and what invoices draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from invoices.prepaid.balances import Balance, credits_of
from invoices.prepaid.words import items_words
from meters.models import Customer
from portal.bills.lines import Money, combined


@dataclass(frozen=True, slots=True)
class GrantRow:
    name: str
    items: str
    left: Money
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class CreditPanel:
    """`estimate` is what the running invoices would draw as they are now, by currency."""

    balances: Sequence[Balance]
    grants: Sequence[GrantRow]
    estimate: Sequence[Money]


def credit_panel(customer: Customer, *, now: datetime) -> CreditPanel | None:
    """None for a customer without credits."""
    found = credits_of(customer, now)
    if not found.balances:
        return None
    drawn = [Money(amount, grant.currency) for one in found.previews.values() for grant, amount in one.drawn]
    return CreditPanel(
        balances=found.balances,
        grants=[
            GrantRow(
                name=grant.name,
                items=items_words(grant),
                left=Money(grant.left, grant.currency),  # type: ignore[attr-defined] # found with it
                expires_at=grant.expires_at,
            )
            for grant in found.good
        ],
        estimate=combined(drawn),
    )
