"""How pages speak of prepaid credits: one place for their words."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from invoices.models import CreditEntry, CreditGrant
from pricing.money import format_money


@dataclass(frozen=True, slots=True)
class State:
    """What a grant is good for now, in a word; `kind` is that of a chip."""

    words: str
    kind: str


def state_of(grant: Any, now: datetime) -> State:
    """Of a grant with its `left`."""
    if grant.voided_at is not None:
        return State("Void", "quiet")
    if grant.expires_at is not None and grant.expires_at <= now:
        return State("Expired", "quiet")
    if not grant.left:
        return State("Used up", "quiet")
    if grant.starts_at > now:
        return State("Later", "busy")
    return State("Good", "good")


def items_words(grant: CreditGrant) -> str:
    """ "For API calls and Storage only"; nothing where it is for everything."""
    names = sorted(item.name for item in grant.product_items.all())
    if not names:
        return ""
    return f"For {names[0] if len(names) == 1 else ', '.join(names[:-1]) + ' and ' + names[-1]} only"


def entry_words(entry: CreditEntry) -> str:
    """ "Drawn by invoice 2026-0042", "Expired"."""
    number = entry.invoice.number if entry.invoice is not None else ""
    match entry.kind:
        case CreditEntry.Kind.DRAWN:
            return f"Paid to invoice {number}"
        case CreditEntry.Kind.RETURNED if number:
            return f"Given back by invoice {number}"
        case CreditEntry.Kind.GRANTED if number:
            return f"Granted: invoice {number} was below zero"
    return str(entry.get_kind_display())


def signed(amount: Decimal, currency: str) -> str:
    """ "+$40.00", "-$40.00"."""
    return f"{'+' if amount > 0 else ''}{format_money(amount, currency)}"
