"""What each thing costs: in words, and as the price by quantity."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from invoices.computing import product_items
from invoices.lines.explained import REST
from invoices.price_pictures import NamedRate, Picture, pictures_of
from invoices.pricing_of import PricedRate, PricedVersion
from pricing.explain import describe_rate
from pricing.models import ProductItem
from pricing.plan_words import any_of
from pricing.rates import needs_events

# Of one picture.
MOST_CURVES = 6
# For the pictures of a page, in characters: one of many steps takes some thousands.
ROOM = 30_000
EVENT_SIZE = Decimal(100)


@dataclass(frozen=True, slots=True)
class PricePart:
    """The price of all of an item's usage, or of a part of it: "region: eu or us"."""

    part: str
    words: Sequence[str]


@dataclass(frozen=True, slots=True)
class PriceRow:
    """What a product item costs; `picture` is left out where there is no room."""

    item: ProductItem
    parts: Sequence[PricePart]
    picture: Picture | None

    @property
    def weight(self) -> int:
        """About how many characters its picture takes."""
        if self.picture is None:
            return 0
        lines = sum(len(one.lines) + len(one.jumps) for one in self.picture.chart.drawn)
        return 3000 + lines + 150 * len(self.picture.rows) * len(self.picture.names)


def price_rows(priced: PricedVersion, *, with_pictures: bool = True, room: int = ROOM) -> list[PriceRow]:
    """In the order of the bill; behind the picture that there is no more room for come none."""
    rows = []
    for item in product_items():
        if item.pk not in priced.rates:
            continue
        row = _row(item, priced.rates[item.pk], priced.currency, with_pictures)
        room -= row.weight
        if room < 0:
            row, with_pictures = replace(row, picture=None), False
        rows.append(row)
    return rows


def _row(item: ProductItem, rates: Sequence[PricedRate], currency: str, is_pictured: bool) -> PriceRow:
    divided = any(rate.where for rate in rates)
    names = [part_words(rate, divided=divided) for rate in rates]
    parts = [
        PricePart(
            part=name,
            words=[
                *describe_rate(rate.rate, unit=item.meter.unit, currency=currency),
                *(["What is free, and tiers, shrink with a shorter period"] if rate.prorated else []),
            ],
        )
        for name, rate in zip(names, rates, strict=True)
    ]
    if not is_pictured:
        return PriceRow(item, parts, None)
    named = [
        NamedRate(name or item.name, series, rate.rate, currency)
        for series, (name, rate) in enumerate(zip(names, rates, strict=True), start=1)
    ][:MOST_CURVES]
    size = EVENT_SIZE if any(needs_events(one.rate) for one in named) else None
    (picture,) = pictures_of(named, item, event_size=size)
    return PriceRow(item, parts, picture)


def part_words(rate: PricedRate, *, divided: bool) -> str:
    if not rate.where:
        return REST if divided else ""
    return ", ".join(f"{name}: {any_of(texts)}" for name, texts in rate.where.items())
