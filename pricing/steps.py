"""The structured walk from a quantity to an amount, and the arithmetic that makes it exact.

A step is data, not words: invoices store steps, `pricing.explain` words and tabulates them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import (
    MAX_EMAX,
    MIN_EMIN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    Underflow,
)
from enum import StrEnum
from typing import Self

from meters.aggregation import plain

ZERO = Decimal(0)

# A quantity has at most 41 digits before the point and 60 after it, a price 25 and 15, so a product needs 141
# digits; a prorated amount may reach down to 10^-159. 250 digits hold every sum of these, and the trap on
# Inexact turns a digit lost in spite of that into an error instead of a wrong bill.
EXACT = Context(
    prec=250,
    Emin=MIN_EMIN,
    Emax=MAX_EMAX,
    traps=[Inexact, InvalidOperation, DivisionByZero, Overflow, Underflow],
)

# The only inexact operation: a prorated block divides by its size, which may never end (a third of a block).
PRORATED_DIGITS = 60
PRORATED = Context(
    prec=PRORATED_DIGITS,
    rounding=ROUND_HALF_EVEN,
    Emin=MIN_EMIN,
    Emax=MAX_EMAX,
    traps=[InvalidOperation, DivisionByZero, Overflow, Underflow],
)


def decimals(value: Decimal) -> int:
    """How many digits a finite decimal has after the point, trailing zeros included."""
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


class StepKind(StrEnum):
    """What a step does. Those that price units carry their quantity; the others carry quantity 0."""

    INCLUDED = "included"  # units inside the free tier
    UNITS = "units"  # every unit at one price
    BLOCKS = "blocks"  # units in blocks
    TIER = "tier"  # the units inside one tier
    VOLUME = "volume"  # all units at the price of the tier their total falls in
    FLAT_FEE = "flat_fee"  # owed for having reached a tier
    MINIMUM = "minimum"  # what lifts the line to its minimum
    MAXIMUM = "maximum"  # what cuts the line to its maximum, negative


class StepError(ValueError):
    """A stored step that cannot be read or worded."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step from quantity to amount. Amounts are exact, in the major unit of the rate's currency.

    The amounts of the steps of a charge sum to its amount, their quantities to the quantity charged.
    """

    kind: StepKind
    amount: Decimal
    quantity: Decimal = ZERO  # units of the meter this step prices
    of: Decimal | None = None  # the limit: units included, or the line's minimum or maximum amount
    unit_price: Decimal | None = None
    blocks: Decimal | None = None  # whole blocks charged; None when blocks are prorated
    block_size: Decimal | None = None
    block_price: Decimal | None = None
    partial_block: str | None = None  # round_up, round_down or prorate
    tier: int | None = None  # index of the tier, from 0
    lower: Decimal | None = None  # exclusive lower bound of the tier
    upper: Decimal | None = None  # inclusive upper bound of the tier; None for the last one

    def to_dict(self) -> dict[str, object]:
        """The step as JSON: decimals as strings in plain notation, what is not set left out."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: plain(value) if isinstance(value, Decimal) else value
            for name, value in {**values, "kind": self.kind.value}.items()
            if value is not None
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """The step that `to_dict` gave. Raises StepError for anything else."""
        known = {field.name for field in fields(cls)}
        if not {"kind", "amount"} <= data.keys() <= known:
            raise StepError("a step needs kind and amount, and has no keys but its own")
        tier = data.get("tier")
        partial_block = data.get("partial_block")
        if isinstance(tier, bool) or not isinstance(tier, int | None):
            raise StepError("the tier of a step is a whole number")
        if not isinstance(partial_block, str | None):
            raise StepError("the partial_block of a step is text")
        decimals = {
            name: _stored_decimal(value)
            for name, value in data.items()
            if name not in ("kind", "tier", "partial_block")
        }
        try:
            kind = StepKind(str(data["kind"]))
        except ValueError:
            raise StepError("the kind of a step is not known") from None
        return cls(kind=kind, tier=tier, partial_block=partial_block, **decimals)


def _stored_decimal(value: object) -> Decimal:
    if not isinstance(value, str):
        raise StepError("the numbers of a step are decimal strings")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise StepError("the numbers of a step are decimal strings") from None
    if not number.is_finite():
        raise StepError("the numbers of a step are finite")
    return number
