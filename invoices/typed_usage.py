"""What can be typed to ask for a price: a quantity for each part of an item's usage that has a rate of its own."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, localcontext

from invoices.computing import product_items
from invoices.pricing_of import PricedVersion
from pricing.models import ProductItem
from pricing.plan_words import any_of
from pricing.rates import needs_events

MOST_EVENTS = 10_000
FINEST = Decimal("1E-15")


@dataclass(frozen=True, slots=True)
class TypedPart:
    """The usage that one rate prices, by one combination of its dimensions; `name` is that of its field.

    `by_events`: the price is made of single events, so it is asked how many there are.
    """

    name: str
    item: ProductItem
    part: str
    dimensions: Mapping[str, str]
    by_events: bool

    @property
    def label(self) -> str:
        return f"{self.item} ({self.part})" if self.part else str(self.item)


def typed_parts(versions: Sequence[PricedVersion]) -> list[TypedPart]:
    """What can be typed for any of these versions, in the order of their bills, the rest behind the filters' parts."""
    found: dict[str, TypedPart] = {}
    for item in product_items():
        rates = [rate for version in versions for rate in version.rates.get(item.pk, ())]
        divided = any(rate.where for rate in rates)
        for rate in sorted(rates, key=lambda rate: not rate.where):
            mark = f"-{zlib.crc32(json.dumps(rate.where, sort_keys=True).encode()):x}" if rate.where else ""
            name = f"q{item.pk}{mark}"
            words = ", ".join(f"{dimension}: {any_of(texts)}" for dimension, texts in rate.where.items())
            by_events = needs_events(rate.rate) or (name in found and found[name].by_events)
            dimensions = {dimension: texts[0] for dimension, texts in rate.where.items()}
            found[name] = TypedPart(name, item, words or ("all the rest" if divided else ""), dimensions, by_events)
    return list(found.values())


def equal_events(quantity: Decimal, count: int) -> tuple[Decimal, ...]:
    """A quantity as so many events of one size; the last takes what does not divide."""
    with localcontext(prec=100):
        each = (quantity / count).quantize(FINEST, ROUND_DOWN)
        return (*[each] * (count - 1), quantity - each * (count - 1))
