"""Where an alert stands on a bill: how much of what it watches there is, and whether its threshold is reached.

Read off the lines that the bill was computed to, so an alert never says anything else than the bill does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from typing import Any, Protocol

from invoices.drafting import LineKind
from invoices.free_tier import FreeUse, free_uses
from invoices.models import Alert
from pricing.money import total_of
from pricing.rates import Rate, Step, parse_rate
from pricing.steps import EXACT

Kind = Alert.Kind
HUNDRED = Decimal(100)
# Thresholds have at most 15 decimals: cut off there, a percentage stays on its side of each of them.
FINEST = Decimal("1e-15")
_CUT = Context(prec=400, rounding=ROUND_FLOOR)
# What was used in the period itself. Corrections are of earlier ones.
USED = (LineKind.USAGE, LineKind.TRIAL, LineKind.UNPRICED)


class Line(Protocol):
    """A line of a bill that was just drafted, or that is stored."""

    @property
    def kind(self) -> str: ...
    @property
    def product_item_id(self) -> int | None: ...
    @property
    def quantity(self) -> Decimal | None: ...
    @property
    def rate(self) -> Any: ...
    @property
    def steps(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """`value` is in the unit of the threshold: money, units, or percent. Of percentages `used` of `of` say what of."""

    value: Decimal
    is_reached: bool
    used: Decimal | None = None
    of: Decimal | None = None
    in_events: bool = False


def standing_of(alert: Alert, currency: str, subtotal: Decimal, lines: Sequence[Line]) -> Standing | None:
    """None where there is nothing on the bill that the alert watches: it is in another currency, does not have the
    product item, or leaves nothing of it free."""
    if alert.kind == Kind.AMOUNT:
        return _of_units(alert, subtotal) if currency == alert.currency else None
    if alert.kind == Kind.BUDGET:
        return _share(alert, subtotal, alert.budget) if currency == alert.currency and alert.budget else None
    of_item = [line for line in lines if line.product_item_id == alert.product_item_id and line.kind in USED]
    if alert.kind == Kind.QUANTITY:
        quantities = [line.quantity for line in of_item if line.quantity is not None]
        return _of_units(alert, total_of(quantities)) if quantities else None
    return _nearest(_share(alert, use.used, use.of, use.in_events) for use in _free_uses(of_item))


def _free_uses(lines: Iterable[Line]) -> Iterable[FreeUse]:
    for line in lines:
        # Usage of a trial takes nothing of what is free after it.
        if line.kind == LineKind.USAGE and line.rate is not None and line.quantity is not None:
            yield from free_uses(_rate(line.rate), line.quantity, _steps(line.steps))


def _rate(rate: Rate | Mapping[str, object]) -> Rate:
    return rate if isinstance(rate, Rate) else parse_rate(rate)


def _steps(steps: Iterable[Step | Mapping[str, object]]) -> list[Step]:
    return [step if isinstance(step, Step) else Step.from_dict(step) for step in steps]


def _of_units(alert: Alert, value: Decimal) -> Standing:
    return Standing(value, value >= alert.threshold)


def _share(alert: Alert, used: Decimal, of: Decimal, in_events: bool = False) -> Standing:
    """Whether it is reached is found out without a division, so it is exact."""
    with localcontext(EXACT):
        is_reached = used * HUNDRED >= alert.threshold * of
        percent = used * HUNDRED
    value = _CUT.divide(percent, of).quantize(FINEST, context=_CUT)
    return Standing(value, is_reached, used, of, in_events)


def _nearest(standings: Iterable[Standing]) -> Standing | None:
    """Of several rates of an item, each with a free tier of its own, the one that runs out first."""
    return max(standings, key=lambda one: one.value, default=None)
