"""From usage and rates to the lines of an invoice. Pure: the one way to every figure on every document."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pricing.money import round_money, total_of
from pricing.rates import Charge, Rate, Step, charge

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class ItemUsage:
    """What a customer used of one product item in a period, and the rate that prices it (None: nothing does)."""

    product_item_id: int
    name: str
    unit: str
    quantity: Decimal
    rate: Rate | None


@dataclass(frozen=True, slots=True)
class DraftLine:
    """A line to be: `amount` is rounded to the currency's minor unit, the steps carry the exact walk to it."""

    product_item_id: int
    name: str
    unit: str
    quantity: Decimal
    amount: Decimal
    rate: Rate | None
    steps: tuple[Step, ...]

    @property
    def is_priced(self) -> bool:
        return self.rate is not None


@dataclass(frozen=True, slots=True)
class Draft:
    """The lines of an invoice and their total, in major units of its currency."""

    lines: tuple[DraftLine, ...]
    total: Decimal


def draft(usages: Sequence[ItemUsage], currency: str) -> Draft:
    """One line for each product item, in the order given; the total is the sum of the rounded lines."""
    lines = tuple(_line(usage, currency) for usage in usages)
    return Draft(lines=lines, total=total_of(line.amount for line in lines))


def _line(usage: ItemUsage, currency: str) -> DraftLine:
    charged = Charge(ZERO, ()) if usage.rate is None else charge(usage.rate, usage.quantity)
    return DraftLine(
        product_item_id=usage.product_item_id,
        name=usage.name,
        unit=usage.unit,
        quantity=usage.quantity,
        amount=round_money(charged.amount, currency),
        rate=usage.rate,
        steps=charged.steps,
    )
