"""Looking at an invoice by day, and ahead to its end: the same `draft()` with other quantities."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Context, Decimal
from functools import partial

from invoices.drafting import Draft, ItemUsage, draft
from invoices.models import Invoice
from invoices.pricing_of import items_of
from meters.models import Meter
from meters.periods import Period, windows
from meters.usage import read_usage
from pricing.models import ProductItem
from pricing.money import total_of
from pricing.rates import Rate

# Before this much of a period is over, what it will come to is anybody's guess.
PROJECTION_NEEDS = timedelta(days=1)
# Digits for the largest quantity and then some.
ESTIMATE = Context(prec=100)


@dataclass(frozen=True, slots=True)
class DailyCosts:
    """What each day of a period added to the bill, up to the day that `now` is in.

    `days` are the customer's local days; `costs` has a row for each product item, with one amount a day. The amounts
    of an item sum to its line's. A day can lower a bill (a volume tier reached), and then its amount is negative.
    """

    days: tuple[Period, ...]
    items: tuple[ProductItem, ...]
    costs: tuple[tuple[Decimal, ...], ...]

    @property
    def totals(self) -> tuple[Decimal, ...]:
        return tuple(total_of(day) for day in zip(*self.costs, strict=True))


def daily_costs(invoice: Invoice, *, now: datetime) -> DailyCosts:
    """The bill at the end of each day minus the bill at the end of the day before, item by item."""
    items = _priced_items(invoice)
    period = invoice.period
    days = [day for day in windows(period, "day", invoice.zone) if day.start <= now]
    so_far = [Period(period.start, day.end) for day in days]
    usage = read_usage(invoice.customer, [item.meter for item, _ in items], so_far, until=now)
    drafts = [_draft(invoice, items, partial(usage.quantity, window=index)) for index in range(len(so_far))]
    costs = []
    for row in range(len(items)):
        running = [Decimal(0), *(d.lines[row].amount for d in drafts)]
        costs.append(tuple(total_of((after, -before)) for before, after in itertools.pairwise(running)))
    return DailyCosts(tuple(days), tuple(item for item, _ in items), tuple(costs))


def projection(invoice: Invoice, *, now: datetime) -> Draft | None:
    """What the invoice would come to if the rest of its period went like the part that is over.

    Sums and counts grow with time, and are rounded up to whole units. A value that holds until the next one is taken
    to hold to the end. Others (a greatest value, an average, a number of different values) are taken as they stand.
    None within the first day of a period and after its end.
    """
    elapsed = now - invoice.period_start
    if elapsed < PROJECTION_NEEDS or now >= invoice.period_end:
        return None
    items = _priced_items(invoice)
    meters = [item.meter for item, _ in items]
    usage = read_usage(invoice.customer, meters, [invoice.period], until=invoice.period_end)
    length = invoice.period_end - invoice.period_start

    def projected(meter: Meter) -> Decimal:
        quantity = usage.quantity(meter)
        if meter.aggregation not in (Meter.Aggregation.SUM, Meter.Aggregation.COUNT):
            return quantity
        seconds, passed = Decimal(int(length.total_seconds())), Decimal(int(elapsed.total_seconds()))
        return ESTIMATE.divide(ESTIMATE.multiply(quantity, seconds), passed).to_integral_value(ROUND_CEILING, ESTIMATE)

    return _draft(invoice, items, projected)


def _priced_items(invoice: Invoice) -> list[tuple[ProductItem, Rate]]:
    return list(items_of(invoice)[0].items())


def _draft(invoice: Invoice, items: list[tuple[ProductItem, Rate]], quantity: Callable[[Meter], Decimal]) -> Draft:
    return draft(
        [ItemUsage(item.pk, item.name, item.meter.unit, quantity(item.meter), rate) for item, rate in items],
        invoice.currency,
    )
