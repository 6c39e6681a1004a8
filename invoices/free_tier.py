"""What of the usage on a bill is free, and what that is worth. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext

from invoices.drafting import DraftLine, LineKind
from pricing.rate_models import Percentage
from pricing.rates import Rate, charge
from pricing.steps import EXACT, PER_CENT, ZERO, Step, StepKind


@dataclass(frozen=True, slots=True)
class FreeTier:
    """Of one product item: units used at prices, those of them that the free tier takes, what these would cost at the
    next price (as the first units of the rate without its free tier, in the major unit), and units without a price."""

    used: Decimal = ZERO
    free: Decimal = ZERO
    worth: Decimal = ZERO
    unpriced: Decimal = ZERO

    def __add__(self, other: "FreeTier") -> "FreeTier":
        with localcontext(EXACT):
            return FreeTier(
                self.used + other.used,
                self.free + other.free,
                self.worth + other.worth,
                self.unpriced + other.unpriced,
            )


def free_tiers(lines: Iterable[DraftLine]) -> Iterator[tuple[int, FreeTier]]:
    """Of each line of usage, with the id of its product item. Usage in a trial is none that a free tier takes."""
    for line in lines:
        if line.product_item_id is None or line.quantity is None:
            continue
        if line.kind == LineKind.UNPRICED:
            yield line.product_item_id, FreeTier(unpriced=line.quantity)
        elif line.rate is not None:
            free, worth = _free(line.rate, line.steps)
            yield line.product_item_id, FreeTier(max(line.quantity, ZERO), free, worth)


@dataclass(frozen=True, slots=True)
class FreeUse:
    """How much was used of what one rate leaves free, in units of the meter or in single events. May be more than all
    of it."""

    used: Decimal
    of: Decimal
    in_events: bool = False


def free_uses(rate: Rate, quantity: Decimal, steps: Iterable[Step]) -> Iterator[FreeUse]:
    """Each limit of what a rate leaves free; it costs as soon as one of them is reached. None where all is priced."""
    model = rate.model
    of = rate.included_units
    if isinstance(model, Percentage) and model.free_amount is not None:
        with localcontext(EXACT):
            of += model.free_amount
    if of:
        yield FreeUse(max(quantity, ZERO), of)
    if isinstance(model, Percentage) and model.free_events:
        free = (step.free_events or 0 for step in steps if step.kind == StepKind.PERCENTAGE)
        yield FreeUse(Decimal(sum(free)), Decimal(model.free_events), in_events=True)


def _free(rate: Rate, steps: Iterable[Step]) -> tuple[Decimal, Decimal]:
    free = worth = ZERO
    with localcontext(EXACT):
        for step in steps:
            if step.kind == StepKind.INCLUDED and step.quantity:
                free += step.quantity
                worth += _worth(rate, step.quantity)
            elif step.kind == StepKind.PERCENTAGE and isinstance(rate.model, Percentage) and step.base is not None:
                # What is free of a percentage is an amount and a number of events, each free of its own part.
                without = step.quantity - step.base
                free += without
                worth += without * rate.model.rate_percent * PER_CENT
                worth += (step.free_events or 0) * rate.model.fixed_fee_per_event
    return free, worth


def _worth(rate: Rate, units: Decimal) -> Decimal:
    model = rate.model
    if isinstance(model, Percentage):
        return units * model.rate_percent * PER_CENT
    return charge(replace(rate, included_units=ZERO, minimum=ZERO, maximum=None), units).amount
