"""The price of a product item by quantity, by rates beside each other: the picture, its table, and its cliffs."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import groupby

from pricing.curve_chart import Asked, CurveChart, CurveRow, NamedCurve, curve_chart, curve_rows
from pricing.curves import cliff_words, price_curve, telling_span
from pricing.models import ProductItem
from pricing.money import format_money, format_quantity, minor_units
from pricing.rates import Rate, charge, needs_events
from pricing.steps import EXACT

TYPICAL_EVENTS = 20


@dataclass(frozen=True, slots=True)
class NamedRate:
    """A rate and whose it is; `series` is its number in the style sheet, from 1."""

    name: str
    series: int
    rate: Rate
    currency: str


@dataclass(frozen=True, slots=True)
class TypedQuantity:
    """A quantity that was asked for, with the single events that it is made of where a rate prices these."""

    quantity: Decimal
    events: tuple[Decimal, ...] | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """Curves in one currency. `cliffs` and `notes` are sentences; `more_rows` says how many the table leaves out."""

    chart: CurveChart
    names: Sequence[str]
    unit: str
    cliffs: Sequence[str]
    notes: Sequence[str]
    rows: Sequence[CurveRow]
    more_rows: int


def pictures_of(
    rates: Sequence[NamedRate],
    item: ProductItem,
    *,
    asked: Sequence[TypedQuantity] = (),
    event_size: Decimal | None = None,
) -> list[Picture]:
    """One picture for all rates of an item in the same currency.

    The lines of a rate that prices single events are for events of `event_size`, the dots for those that were typed.
    """
    up_to = _up_to([one.rate for one in rates], asked, event_size)
    return [
        _picture(currency, list(some), item, up_to, asked, event_size)
        for currency, some in groupby(sorted(rates, key=_currency), _currency)
    ]


def _currency(one: NamedRate) -> str:
    return one.currency


def _up_to(rates: Sequence[Rate], asked: Sequence[TypedQuantity], event_size: Decimal | None) -> Decimal:
    spans = [
        event_size * TYPICAL_EVENTS if event_size is not None and needs_events(rate) else telling_span(rate)
        for rate in rates
    ]
    return max([*spans, *(EXACT.multiply(one.quantity, Decimal("1.1")) for one in asked)], default=Decimal(1))


def _picture(
    currency: str,
    rates: Sequence[NamedRate],
    item: ProductItem,
    up_to: Decimal,
    asked: Sequence[TypedQuantity],
    event_size: Decimal | None,
) -> Picture:
    sizes = [event_size if needs_events(one.rate) else None for one in rates]
    curves = [price_curve(one.rate, up_to, event_size=size) for one, size in zip(rates, sizes, strict=True)]
    named = [NamedCurve(one.name, one.series, curve) for one, curve in zip(rates, curves, strict=True)]
    money = partial(format_money, currency=currency)
    marks = [
        Asked(priced.series, one.quantity, charge(priced.rate, one.quantity, one.events).amount)
        for priced, curve in zip(rates, curves, strict=True)
        for one in asked
        if one.quantity <= curve.up_to and (one.events is not None or not needs_events(priced.rate))
    ]
    unit = item.meter.unit or "units"
    rows, more_rows = curve_rows(curves, money_words=money)
    cliffs = [
        f"{one.name}: {cliff_words(cliff, unit=unit, currency=currency)}" for one in named for cliff in one.curve.cliffs
    ]
    notes = []
    if not all(curve.exact for curve in curves):
        notes.append("Blocks and tiers that are too fine for the picture are drawn as lines.")
    if event_size is not None and any(sizes):
        notes.append(f"Drawn for events of {format_quantity(event_size)} {unit} each.")
        if any(one.events and one.events[0] != event_size for one in asked):
            notes.append("The dots are for the events that you typed, so they lie beside a line of other events.")
    return Picture(
        chart=curve_chart(
            named, up_to=up_to, asked=marks, money_words=money, least_step=Decimal(1).scaleb(-minor_units(currency))
        ),
        names=[one.name for one in named],
        unit=unit,
        cliffs=cliffs,
        notes=notes,
        rows=rows,
        more_rows=more_rows,
    )
