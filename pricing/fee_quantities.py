"""How many of each fee a customer has on a day, and what that comes to."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pricing.models import AssignmentQuantity, Fee
from pricing.money import round_money
from pricing.plan_words import describe_fee
from pricing.steps import EXACT


@dataclass(frozen=True, slots=True)
class FeeQuantity:
    """`is_own`: said of the customer's assignment, not the plan's own; `later`: the changes behind the day, in order.
    A percentage has no quantity."""

    fee: Fee
    quantity: Decimal
    is_own: bool
    later: Sequence[tuple[date, Decimal]]

    def amount(self, currency: str) -> Decimal | None:
        """What a whole period owes for it; None for a percentage."""
        if self.fee.amount is None:
            return None
        return round_money(EXACT.multiply(self.fee.amount, self.quantity), currency)

    def words(self, currency: str) -> str:
        """As `describe_fee`, with the customer's quantity."""
        mine = copy.copy(self.fee)
        mine.quantity = self.quantity
        return describe_fee(mine, currency)


def quantities_on(fees: Iterable[Fee], entries: Iterable[AssignmentQuantity], day: date) -> list[FeeQuantity]:
    """The fees with the quantities that count on a day by these entries of one assignment."""
    by_key: dict[str, dict[date, Decimal]] = {}
    for entry in entries:
        by_key.setdefault(entry.fee_key, {})[entry.starts_on] = entry.quantity
    return [_quantity_on(fee, by_key.get(fee.key, {}), day) for fee in fees]


def _quantity_on(fee: Fee, changes: dict[date, Decimal], day: date) -> FeeQuantity:
    if fee.kind == Fee.Kind.PERCENT:
        return FeeQuantity(fee, Decimal(1), False, ())
    since = max((change for change in changes if change <= day), default=None)
    return FeeQuantity(
        fee=fee,
        quantity=fee.quantity if since is None else changes[since],
        is_own=since is not None,
        later=tuple(sorted((change, quantity) for change, quantity in changes.items() if change > day)),
    )
