"""What is left of a product item's free tier."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from invoices.free_tier import free_uses
from invoices.lines.explained import is_usage, steps_of
from invoices.models import InvoiceLine
from pricing.money import total_of
from pricing.rates import parse_rate


@dataclass(frozen=True, slots=True)
class FreeLeft:
    """In units of the meter, or in events. `used` is at most `of`."""

    left: Decimal
    used: Decimal
    of: Decimal
    unit: str


def free_left(line: InvoiceLine) -> Iterator[FreeLeft]:
    """Each limit of what is free on a line, as far as it has a price."""
    if not is_usage(line) or line.kind != InvoiceLine.Kind.USAGE or line.rate is None or line.quantity is None:
        return
    for use in free_uses(parse_rate(line.rate), line.quantity, steps_of(line)):
        used = min(use.used, use.of)
        left = total_of((use.of, used.copy_negate()))
        yield FreeLeft(left, used, use.of, "events" if use.in_events else line.unit)
