"""Looking at an invoice by day, and ahead to its end: the same `draft()` with other quantities."""

import itertools
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Context, Decimal

from invoices.adjustments import subject_of
from invoices.computing import LineUsage, Priced, filters_of, priced_lines, product_items
from invoices.drafting import Draft, ItemUsage, draft, with_corrections
from invoices.late.corrections import correction_lines
from invoices.models import Invoice
from invoices.pricing_of import priced_version
from invoices.subjects import Subject, frames_of, terms_of
from meters.models import Meter
from meters.periods import Period, windows
from meters.usage import Values
from pricing.models import ProductItem
from pricing.money import round_money, total_of
from pricing.terms import Terms

# Before this much of a period is over, what it will come to is anybody's guess.
PROJECTION_NEEDS = timedelta(days=1)
# Of single events, what a page can wait for: a day's share is charged event by event, and so is what is projected.
MOST_EVENTS_BY_DAY, MOST_EVENTS_AHEAD = 20_000, 200_000
# Digits for the largest quantity and then some.
ESTIMATE = Context(prec=100)
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class DailyCosts:
    """What the usage of each day of a period added to the bill, up to the day that `now` is in.

    `days` are the customer's local days; `costs` has a row for each product item, with one amount a day. The amounts
    of an item sum to its lines of usage. A day can lower a bill (a volume tier reached), and then its amount is
    negative. Of a great many single events that are priced one by one, each day has its share by what they sum up to.
    Fees, promotions, a minimum and taxes are of the period and no day's; days of the trial cost nothing.
    """

    days: tuple[Period, ...]
    items: tuple[ProductItem, ...]
    costs: tuple[tuple[Decimal, ...], ...]

    @property
    def totals(self) -> tuple[Decimal, ...]:
        return tuple(total_of(day) for day in zip(*self.costs, strict=True))


def daily_costs(invoice: Invoice, *, now: datetime) -> DailyCosts:
    """The usage on the bill at the end of each day minus that at the end of the day before, item by item."""
    subject = Subject(invoice.customer, invoice.assignment, priced_version(invoice.plan_version), invoice.period)
    [frame] = frames_of([subject])
    items = product_items()
    lines = [line for line in priced_lines(subject.priced, frame, items) if line.rate is not None]
    days = [day for day in windows(invoice.period, "day", invoice.zone) if day.start <= now]
    charged = [day.end for day in days if day.end > frame.charged.start] if lines else []
    usage = LineUsage(
        [invoice.customer],
        lines,
        [Period(frame.charged.start, end) for end in charged],
        filters=filters_of(subject.priced, items),
        until=now,
    )
    in_trial = [ZERO] * (len(days) - len(charged))
    rows: dict[int, list[list[Decimal]]] = {}
    for line in lines:
        running = [ZERO, *_running(invoice, line, usage, len(charged))]
        added = [total_of((after, -before)) for before, after in itertools.pairwise(running)]
        rows.setdefault(line.item.pk, []).append([*in_trial, *added])
    priced = [item for item in items if item.pk in rows]
    costs = tuple(tuple(total_of(day) for day in zip(*rows[item.pk], strict=True)) for item in priced)
    return DailyCosts(tuple(days), tuple(priced), costs)


def _running(invoice: Invoice, line: Priced, usage: LineUsage, days: int) -> list[Decimal]:
    """What a line comes to at the end of each charged day."""
    last = usage.item_usage(invoice.customer, line, days - 1) if days else None
    if last is None or not isinstance(last.events, Values) or len(last.events) <= MOST_EVENTS_BY_DAY:
        so_far = (usage.item_usage(invoice.customer, line, window) for window in range(days))
        return [draft([one], Terms(invoice.currency)).total for one in so_far]
    total = draft([last], Terms(invoice.currency)).total
    read = usage.usages[invoice.customer.pk]
    sums = [read.quantity(line.item.meter, window, line.group) for window in range(days)]
    if not sums[-1]:
        return [ZERO] * (days - 1) + [total]
    shares = [ESTIMATE.divide(ESTIMATE.multiply(total, one), sums[-1]) for one in sums[:-1]]
    return [*(round_money(share, invoice.currency) for share in shares), total]


def projection(invoice: Invoice, *, now: datetime) -> Draft | None:
    """What the invoice would come to if the rest of its period went like the part that is over.

    Sums and counts grow with time, and are rounded up to whole units. A value that holds until the next one is taken
    to hold to the end. Others (a greatest value, an average, a number of different values) are taken as they stand.
    Where single events are priced, they are taken to come again in the same order. None within the first day that is
    charged, after the end of the period, and where these events would be too many to go through.
    """
    subject = subject_of(invoice)
    [frame] = frames_of([subject])
    elapsed = now - frame.charged.start
    if elapsed < PROJECTION_NEEDS or now >= invoice.period_end:
        return None
    items = product_items()
    lines = [line for line in priced_lines(subject.priced, frame, items) if line.rate is not None]
    usage = LineUsage(
        [invoice.customer],
        lines,
        [frame.charged],
        filters=filters_of(subject.priced, items),
        until=invoice.period_end,
    )
    pace = _Pace(frame.charged.length, elapsed)
    if any(pace.ahead(Decimal(len(events))) > MOST_EVENTS_AHEAD for events in usage.values.values()):
        return None
    usages = [_projected(line, usage.item_usage(invoice.customer, line), pace) for line in lines]
    corrections = correction_lines([invoice]).get(invoice.pk, [])
    return with_corrections(draft(usages, terms_of(subject, frame)), corrections)


@dataclass(frozen=True, slots=True)
class _Pace:
    length: timedelta
    elapsed: timedelta

    def ahead(self, amount: Decimal) -> Decimal:
        """What comes to `amount` in the time that is over, in all of it; in whole units, rounded up."""
        whole, passed = (Decimal(int(span.total_seconds())) for span in (self.length, self.elapsed))
        product = ESTIMATE.multiply(amount, whole)
        return ESTIMATE.divide(product, passed).to_integral_value(ROUND_CEILING, ESTIMATE)


def _projected(line: Priced, usage: ItemUsage, pace: _Pace) -> ItemUsage:
    if isinstance(usage.events, Values):
        count = int(pace.ahead(Decimal(len(usage.events))))
        again = list(itertools.islice(itertools.cycle(usage.events), count))
        return replace(usage, events=again, quantity=total_of(again))
    if line.item.meter.aggregation in (Meter.Aggregation.SUM, Meter.Aggregation.COUNT):
        return replace(usage, quantity=pace.ahead(usage.quantity))
    return usage
