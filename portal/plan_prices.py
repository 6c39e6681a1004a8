"""What each thing costs: in words, and as the price by quantity."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from invoices.computing import product_items
from invoices.lines.explained import REST
from invoices.price_pictures import NamedRate, Picture, pictures_of
from invoices.pricing_of import PricedRate, PricedVersion
from pricing.explain import describe_rate
from pricing.models import ProductItem
from pricing.plan_words import any_of
from pricing.rates import needs_events

# Of one picture, and of all plans of a page: each is some kilobytes.
MOST_CURVES = 6
MOST_PICTURES = 6
EVENT_SIZE = Decimal(100)


@dataclass(frozen=True, slots=True)
class PricePart:
    """The price of all of an item's usage, or of a part of it: "region: eu or us"."""

    part: str
    words: Sequence[str]


@dataclass(frozen=True, slots=True)
class PriceRow:
    """What a product item costs; `picture` is left out where there are too many."""

    item: ProductItem
    parts: Sequence[PricePart]
    picture: Picture | None


def price_rows(priced: PricedVersion, *, with_pictures: bool = True, room: int = MOST_PICTURES) -> list[PriceRow]:
    """In the order of the bill; there is `room` for so many pictures."""
    items = [item for item in product_items() if item.pk in priced.rates]
    return [
        _row(item, priced.rates[item.pk], priced.currency, with_pictures and number < room)
        for number, item in enumerate(items)
    ]


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
