"""Rates: what a quantity costs, and every step of why.

`parse_rate` turns the JSON form into a frozen, validated `Rate`; `charge` prices a quantity with it. Both are
pure and exact: no floats, and no rounding but for prorated blocks (see `rate_models_units.Block`). Rounding to a
currency is `pricing.money`'s, once per invoice line.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from meters.aggregation import plain
from pricing.rate_fields import RATE_DECIMALS, Fields, RateError
from pricing.rate_models import MODELS, RateModel
from pricing.steps import EXACT, ZERO, Step, StepKind, decimals

# More than metering gives, so that whatever is metered has a price. The values of events and a meter's multiplier stay
# below 10^24 each, which leaves 10^22 for sums over events and seconds. They have 15 and 30 decimals, and a percentile
# between two values 22 more. EXACT holds both limits.
LARGEST_QUANTITY = Decimal(10) ** 70
QUANTITY_DECIMALS = 70  # trailing zeros included

# A share of days is rounded once: where it does not end, 150 digits decide nothing about the fifteenth decimal.
_SHARE = Context(prec=150, rounding=ROUND_HALF_UP)
_FINEST = Decimal(1).scaleb(-RATE_DECIMALS)

__all__ = ["Charge", "Rate", "RateError", "Step", "StepKind", "charge", "needs_events", "parse_rate", "scaled"]


@dataclass(frozen=True, slots=True)
class Rate:
    """The price of one product item. Amounts are in the major unit of the plan's currency."""

    model: RateModel
    included_units: Decimal = ZERO  # free, taken off first
    minimum: Decimal = ZERO  # of the line
    maximum: Decimal | None = None  # of the line

    def parameters(self) -> dict[str, object]:
        """The canonical JSON form: decimals as strings in plain notation, defaults left out.

        `parse_rate(rate.parameters()) == rate`.
        """
        result = {"model": self.model.name, **self.model.parameters()}
        if self.included_units:
            result["included_units"] = plain(self.included_units)
        if self.minimum:
            result["minimum"] = plain(self.minimum)
        if self.maximum is not None:
            result["maximum"] = plain(self.maximum)
        return result


@dataclass(frozen=True, slots=True)
class Charge:
    """What a quantity costs: the exact amount, in the major unit, and the steps that sum to it."""

    amount: Decimal
    steps: tuple[Step, ...]


def parse_rate(parameters: Mapping[str, object]) -> Rate:
    """Read and check the JSON form of a rate: {"model": "per_unit", "unit_price": "0.01", ...}.

    Numbers are decimal strings (ints and Decimals are taken too) from 0 to 10^24 with at most 15 decimals.
    Raises RateError, with the path of the fault, for everything else, however hostile.
    """
    fields = Fields(parameters)
    model = MODELS[fields.choice("model", tuple(MODELS))].read(fields)
    rate = Rate(
        model=model,
        included_units=fields.number_or_zero("included_units"),
        minimum=fields.number_or_zero("minimum"),
        maximum=fields.optional_number("maximum"),
    )
    fields.finish()
    if rate.maximum is not None and rate.maximum < rate.minimum:
        raise RateError("maximum", "must not be below the minimum")
    return rate


def needs_events(rate: Rate) -> bool:
    """Whether `charge` has to be told the single values: a meter that cannot give them cannot have this rate."""
    return rate.model.needs_events


def charge(rate: Rate, quantity: Decimal, events: Iterable[Decimal] | None = None) -> Charge:
    """Price a quantity in units of the meter.

    `events` are its single values in order, gone through once; they sum up to the quantity, for which the caller
    vouches. Only a rate that `needs_events` looks at them.

    In this order:

    1. A quantity below zero is priced as zero. An event with a value below zero is a correction and owes nothing.
    2. The included units come off, off the first events; the rest is priced by the model as a quantity of its own, so
       tiers and blocks start to count after the included units. No rest, nothing owed.
    3. The line's minimum and maximum apply always: the minimum is owed without any usage too.

    The amount is exact and the steps' amounts sum to it, their quantities to the quantity. Steps that would
    price no units are left out, but the included units are always told ("0 of 5,000 free").

    Raises TypeError for a quantity that is not a Decimal, ValueError for one that is not finite, is beyond
    10^70 or has more than 70 decimals, the same for the value of an event, and ValueError for a rate that needs the
    events of a quantity and is not told them.
    """
    _check_quantity(quantity)
    # Callers' contexts keep 28 digits, which is less than a large quantity times a fine price has.
    with localcontext(EXACT):
        steps = tuple(_steps(rate, max(quantity, ZERO), events))
        return Charge(amount=sum((step.amount for step in steps), ZERO), steps=steps)


def scaled(rate: Rate, days: int, of_days: int) -> Rate:
    """The rate for `days` of a period of `of_days`: included units, bounds of tiers and what a percentage leaves free
    shrink in proportion, rounded half away from zero to 15 decimals (free events to whole ones). Prices, fees, minimum
    and maximum stay.

    Raises ValueError for days that are not some of all days.
    """
    if not 0 < days <= of_days:
        raise ValueError("a rate is scaled to some of all days of a period")
    if days == of_days:
        return rate

    def share(number: Decimal) -> Decimal:
        part = _SHARE.divide(_SHARE.multiply(number, Decimal(days)), Decimal(of_days))
        return Decimal(plain(part.quantize(_FINEST, context=_SHARE)))

    return replace(rate, model=rate.model.scaled(share), included_units=share(rate.included_units))


def _steps(rate: Rate, quantity: Decimal, events: Iterable[Decimal] | None) -> Iterator[Step]:
    included = min(quantity, rate.included_units)
    if rate.included_units:
        yield Step(kind=StepKind.INCLUDED, quantity=included, of=rate.included_units, amount=ZERO)
    amount = ZERO
    rest = quantity - included
    for step in _priced(rate, rest, events):
        amount += step.amount
        yield step
    if amount < rate.minimum:
        yield Step(kind=StepKind.MINIMUM, of=rate.minimum, amount=rate.minimum - amount)
    elif rate.maximum is not None and amount > rate.maximum:
        yield Step(kind=StepKind.MAXIMUM, of=rate.maximum, amount=rate.maximum - amount)


def _priced(rate: Rate, rest: Decimal, events: Iterable[Decimal] | None) -> Iterator[Step]:
    if events is not None and rate.model.needs_events:
        return rate.model.price_events(rest, _after(rate.included_units, events))
    return rate.model.price(rest) if rest else iter(())


def _after(included: Decimal, events: Iterable[Decimal]) -> Iterator[Decimal]:
    """The values of single events that are no corrections, without the first `included` units of them.

    An event that lies wholly inside the included units is not there any more, one that crosses them has its excess.
    """
    for value in events:
        _check_quantity(value)
        if value < 0:
            continue
        rest = value
        if included:
            taken = min(rest, included)
            included -= taken
            rest -= taken
            if not rest:
                continue
        yield rest


def _check_quantity(quantity: Decimal) -> None:
    if not isinstance(quantity, Decimal):
        raise TypeError("a quantity is a Decimal")
    if not quantity.is_finite():
        raise ValueError("a quantity must be finite")
    if quantity > LARGEST_QUANTITY:
        raise ValueError("a quantity must not be beyond 10^70")
    if decimals(quantity) > QUANTITY_DECIMALS:
        raise ValueError(f"a quantity must not have more than {QUANTITY_DECIMALS} decimals")
