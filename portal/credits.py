"""A customer's prepaid credits as its pages show them: what is left, what expires next, and what invoices draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from invoices.credit_balances import Balance, credits_of, drawn_of
from invoices.credit_words import items_words
from invoices.models import Invoice
from meters.models import Customer
from portal.lines import Money, combined
from pricing.money import total_of


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


@dataclass(frozen=True, slots=True)
class InvoiceCredits:
    """What credits pay of an invoice by name; an estimate while it is not final. `left` is then left to pay.
    `becomes`: what one below zero becomes as credit."""

    rows: Sequence[tuple[str, Decimal]]
    is_estimate: bool
    left: Decimal
    becomes: Decimal


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


def invoice_credits(invoice: Invoice, *, now: datetime) -> InvoiceCredits | None:
    """None where there is nothing to say."""
    below = max(invoice.total.copy_negate(), Decimal(0)) if invoice.status != Invoice.Status.VOID else Decimal(0)
    if invoice.is_live:
        preview = credits_of(invoice.customer, now).previews.get(invoice.pk)
        drawn = preview.drawn if preview is not None else ()
    else:
        drawn = tuple(drawn_of(invoice)) if invoice.credits_applied or below else ()
    if not drawn and not below:
        return None
    return InvoiceCredits(
        rows=[(grant.name, amount) for grant, amount in drawn],
        is_estimate=invoice.is_live,
        left=total_of((invoice.total, *(amount.copy_negate() for _, amount in drawn))),
        becomes=below,
    )
