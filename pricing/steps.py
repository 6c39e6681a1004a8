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
from typing import Any, Self

from meters.aggregation import plain

ZERO = Decimal(0)
PER_CENT = Decimal("0.01")

# A quantity has at most 71 digits before the point and 70 after it, a price 25 and 15, so a product needs 181
# digits. Blocks of 10^-15 make an amount of up to 10^109, and a prorated one may reach down to 10^-169. 300 digits
# hold every sum of these, and the trap on Inexact turns a digit lost in spite of that into an error instead of a
# wrong bill.
EXACT = Context(
    prec=300,
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

    # Of a rate.

    INCLUDED = "included"  # units inside the free tier
    UNITS = "units"  # every unit at one price
    BLOCKS = "blocks"  # units in blocks
    TIER = "tier"  # the units inside one tier
    VOLUME = "volume"  # all units at the price of the tier their total falls in
    FLAT_FEE = "flat_fee"  # owed for having reached a tier
    MINIMUM = "minimum"  # what lifts the line to its minimum
    MAXIMUM = "maximum"  # what cuts the line to its maximum, negative
    FLAT_PRICE = "flat_price"  # the one price of the tier that the quantity reaches
    PERCENTAGE = "percentage"  # a share of the metered amount
    EVENT_FEES = "event_fees"  # a fixed fee for each paying event
    EVENT_LIMITS = "event_limits"  # what the least and the most of single events add or take off
    # Of an invoice, beside its rates.
    TRIAL = "trial"  # units used while nothing is charged
    FEE = "fee"  # quantity x unit_price, for `days` of `of_days` where these are not the same
    ROUNDING = "rounding"  # a minor unit more or less, so that the parts of a period come to its whole fee
    PERCENT_FEE = "percent_fee"  # a percentage of `base`, what usage and other fees come to
    DISCOUNT = "discount"  # a promotion's percentage of `base`, or its amount: negative
    CAP = "cap"  # what limits a discount to what is left of it: not negative
    TRUE_UP = "true_up"  # what lifts `base` to the plan's minimum or commitment `of`
    OVERAGE = "overage"  # what the overage factor adds to `base`, what goes beyond the commitment
    TAX = "tax"  # a percentage of `base`
    # Of a correction, after the steps to what its line comes to now.
    ROUNDED = "rounded"  # what rounding adds to them, or takes off
    BILLED = "billed"  # what was billed before, negative; `base` is what it comes to now
    CORRECTED = "corrected"  # what earlier corrections came to, taken off again


# The fields of a step that are counted; the others are decimals.
WHOLE_NUMBERS = ("tier", "events", "free_events", "days", "of_days")


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
    of: Decimal | None = None  # the limit: units included, or an amount that is least, most, agreed or left
    unit_price: Decimal | None = None
    blocks: Decimal | None = None  # whole blocks charged; None when blocks are prorated
    block_size: Decimal | None = None
    block_price: Decimal | None = None
    partial_block: str | None = None  # round_up, round_down or prorate
    tier: int | None = None  # index of the tier, from 0
    lower: Decimal | None = None  # exclusive lower bound of the tier
    upper: Decimal | None = None  # inclusive upper bound of the tier; None for the last one
    percent: Decimal | None = None
    base: Decimal | None = None  # the amount that a percentage, a minimum or a factor is applied to
    factor: Decimal | None = None  # of overage
    events: int | None = None  # how many single events
    free_events: int | None = None  # how many of the single events were free
    days: int | None = None  # calendar days that are charged
    of_days: int | None = None  # calendar days of the whole period

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
        partial_block = data.get("partial_block")
        if not isinstance(partial_block, str | None):
            raise StepError("the partial_block of a step is text")
        numbers: dict[str, Any] = {
            name: _stored_whole(name, value) if name in WHOLE_NUMBERS else _stored_decimal(value)
            for name, value in data.items()
            if name not in ("kind", "partial_block")
        }
        try:
            kind = StepKind(str(data["kind"]))
        except ValueError:
            raise StepError("the kind of a step is not known") from None
        return cls(kind=kind, partial_block=partial_block, **numbers)


def _stored_whole(name: str, value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | None):
        raise StepError(f"the {name} of a step is a whole number")
    return value


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
