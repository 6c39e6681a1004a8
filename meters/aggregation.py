"""The aggregations: what each needs of the usage tables, and how parts merge to a quantity. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Context, Decimal

# Sums of up to 10^24 with 15 places, over more events than anybody has: far from 100 digits.
EXACT = Context(prec=100)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Part:
    """What the events of some hours come to. `distinct` is the number of different values, where counted."""

    count: int = 0
    sum: Decimal = ZERO
    max: Decimal | None = None
    distinct: int = 0


def quantity(aggregation: str, part: Part) -> Decimal:
    """The quantity of a span from its merged part; of an empty span 0, whatever the aggregation."""
    match aggregation:
        case "sum":
            return part.sum
        case "count":
            return Decimal(part.count)
        case "max":
            return ZERO if part.max is None else part.max
        case "unique_count":
            return Decimal(part.distinct)
    raise ValueError(f"unknown aggregation {aggregation!r}")


def merge(parts: Iterable[Part]) -> Part:
    """The part of a longer span. Numbers of different values do not merge: the same value may be in both."""
    count, total, greatest = 0, ZERO, None
    for part in parts:
        count += part.count
        total = EXACT.add(total, part.sum)
        if part.max is not None:
            greatest = part.max if greatest is None else max(greatest, part.max)
    return Part(count, total, greatest)


def merges(aggregation: str) -> bool:
    """Whether quantities of parts can be merged to the whole's without reading events again."""
    return aggregation != "unique_count"


def plain(number: Decimal) -> str:
    """A decimal in plain notation, without exponent, trailing zeros or a negative zero: "1000", "0.0004"."""
    if not number:
        return "0"
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
