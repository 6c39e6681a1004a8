"""Which prepaid credits pay how much of an invoice. Pure.

Credits pay the total, taxes included. What a grant may pay that is only for some product items is their share of it:
the total spread over what is charged, so the shares sum to the total.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from invoices.drafting import spread
from pricing.money import total_of
from pricing.steps import EXACT

ZERO = Decimal(0)

# What a share is of: a product item, or whatever is of none.
About = int | None


@dataclass(frozen=True, slots=True)
class Part:
    """A line before taxes. One that takes something off says of which product items; of none: of all before it."""

    amount: Decimal
    product_item_id: About = None
    is_discount: bool = False
    off: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Pot:
    """What is left of a grant. Without product items it pays for everything."""

    id: int
    currency: str
    left: Decimal
    starts_at: datetime
    expires_at: datetime | None = None
    priority: int = 50
    product_item_ids: frozenset[int] = frozenset()

    def is_good_at(self, moment: datetime, due_at: datetime | None = None) -> bool:
        """From its start on, and no longer at the very moment that it expires. `due_at`: when it should have been drawn
        on; that this is done only later, at `moment`, does not let it expire."""
        latest = moment if due_at is None else min(moment, due_at)
        return self.starts_at <= moment and (self.expires_at is None or latest < self.expires_at)

    def pays(self, about: About) -> bool:
        return not self.product_item_ids or about in self.product_item_ids

    @property
    def order(self) -> tuple[object, ...]:
        """By priority, then by expiry, those without one last, then by age."""
        return self.priority, self.expires_at is None, self.expires_at or self.starts_at, self.id


@dataclass(frozen=True, slots=True)
class Drawn:
    pot: int
    amount: Decimal


def shares_of(total: Decimal, parts: Iterable[Part], currency: str) -> dict[About, Decimal]:
    """The total spread over what is charged, by product item, in whole minor units; None: what is of no item.

    A discount lessens what it is taken off, spread as on the invoice. What comes to less than nothing has no share; a
    total without a charge is of no item. Of a total that is not above zero there are no shares.
    """
    if total <= 0:
        return {}
    charges: list[tuple[About, Decimal]] = []
    for part in parts:
        if not part.is_discount:
            charges.append((part.product_item_id, part.amount))
            continue
        chosen = [index for index, (about, _) in enumerate(charges) if not part.off or about in part.off]
        over = [max(charges[index][1], ZERO) for index in chosen]
        if not total_of(over):
            continue
        for index, off in zip(chosen, spread(part.amount.copy_negate(), over, currency), strict=True):
            about, amount = charges[index]
            charges[index] = about, EXACT.subtract(amount, off)
    sums: dict[About, Decimal] = {}
    for about, amount in charges:
        sums[about] = EXACT.add(sums.get(about, ZERO), amount)
    charged = {about: amount for about, amount in sums.items() if amount > 0}
    if not charged:
        return {None: total}
    return dict(zip(charged, spread(total, list(charged.values()), currency), strict=True))


def draw(
    pots: Sequence[Pot], shares: Mapping[About, Decimal], currency: str, at: datetime, due_at: datetime | None = None
) -> list[Drawn]:
    """What is drawn at a moment: of each pot in order as much as it has, and as is left of what it may pay. `due_at`:
    when that should have been done (see `Pot.is_good_at`).

    Each pot pays first what the fewest of those after it may pay, so that money for everything leaves to money for
    some product items what that can pay.
    """
    good = sorted(
        (pot for pot in pots if pot.currency == currency and pot.left > 0 and pot.is_good_at(at, due_at)),
        key=lambda pot: pot.order,
    )
    due = dict(shares)
    payers = Counter(about for pot in good for about in due if pot.pays(about))
    drawn = []
    for pot in good:
        mine = [about for about in due if pot.pays(about)]
        payers.subtract(mine)
        left = pot.left
        for about in sorted(mine, key=lambda one: payers[one]):
            paid = min(left, due[about])
            left = EXACT.subtract(left, paid)
            due[about] = EXACT.subtract(due[about], paid)
        if left != pot.left:
            drawn.append(Drawn(pot.id, EXACT.subtract(pot.left, left)))
    return drawn


def returned(drawn: Sequence[Drawn], beyond: Decimal) -> list[Drawn]:
    """What of these draws, in the order in which they were made, goes back so that `beyond` less is drawn: the newest
    first."""
    back = []
    for one in reversed(drawn):
        amount = min(one.amount, beyond)
        if amount > 0:
            back.append(Drawn(one.pot, amount))
            beyond = EXACT.subtract(beyond, amount)
    return back
