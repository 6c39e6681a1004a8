"""From a subject to its bill: the one function behind a live invoice, a final one, an estimate and a backtest.

`compute` reads usage for many subjects of one period in as few statements as for one; `invoices.drafting`, which is
pure, makes the lines.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from invoices.drafting import Draft, ItemUsage, draft
from invoices.models import Invoice
from invoices.pricing_of import PricedVersion, Where, frozen_version, priced_version
from invoices.subjects import Frame, Subject, frames_of, terms_of
from meters.models import Customer, Meter
from meters.periods import Period, uncovered
from meters.usage import Filters, Group, Usage, Values, read_usage, read_usages, read_values
from pricing.models import ProductItem
from pricing.money import total_of
from pricing.rates import Rate, needs_events

__all__ = ["Computed", "PricedVersion", "Subject", "compute", "priced_version"]

# A span of a period in which nothing that the customer is on prices a product item.
Unpriced = tuple[ProductItem, Period]


@dataclass(frozen=True, slots=True)
class Computed:
    """A bill: exact up to `version` of its customer's usage, which came in `at` (None: no usage ever).

    `follows_clock`: a line is of a value that holds until the next one, so time alone moves it.
    """

    draft: Draft
    version: int
    at: datetime | None
    follows_clock: bool


@dataclass(frozen=True, slots=True)
class Priced:
    """A line of usage to be: a product item, or what a filter leaves of it. Without a rate nothing prices it."""

    item: ProductItem
    rate: Rate | None
    where: Where
    group: Group


def compute(subjects: Sequence[Subject], *, now: datetime, from_events: bool = False) -> list[Computed]:
    """The bills of these subjects, in order, by usage as of `now`, and of those whose period is over, as of its end at
    least; `from_events` counts the raw events again.

    Those with the same prices (the same `PricedVersion`) and bounds are read together. Usage that nothing prices is on
    one bill of a customer only, that of the oldest assignment of the time, as its invoices say.
    """
    if not subjects:
        return []
    items = product_items()
    frames = frames_of(subjects)
    unpriced = unpriced_spans(subjects, items)
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, (subject, frame) in enumerate(zip(subjects, frames, strict=True)):
        same = (subject.priced, frame.trial, frame.charged, frame.of_days, tuple(unpriced[index]), subject.is_over)
        alike[same].append(index)
    computed: dict[int, Computed] = {}
    for indexes in alike.values():
        some = [subjects[index] for index in indexes]
        until = max(now, some[0].period.end) if some[0].is_over else now
        reading = _Reading(some, frames[indexes[0]], unpriced[indexes[0]], items, until, from_events)
        for index in indexes:
            computed[index] = reading.computed(subjects[index], frames[index])
    return [computed[index] for index in range(len(subjects))]


def product_items() -> list[ProductItem]:
    """All product items, in the order in which bills list them."""
    return list(ProductItem.objects.select_related("meter").order_by("name", "id"))


def priced_lines(priced: PricedVersion, frame: Frame, items: Sequence[ProductItem]) -> list[Priced]:
    """The lines of usage of the charged part of a period: by item, then in the order in which rates are looked at, and
    for an item with filters only the rest, which nothing prices."""
    if not frame.days:
        return []
    apart = bool(filters_of(priced, items))
    lines: list[Priced] = []
    for item in items:
        rates = priced.rates.get(item.pk, ())
        for number, rate in enumerate(rates):
            group = (str(number) if rate.where else "",) if apart else ()
            lines.append(Priced(item, rate.over(frame.days, frame.of_days), rate.where, group))
        if rates and rates[-1].where:
            lines.append(Priced(item, None, {}, ("",)))
    return lines


def filters_of(priced: PricedVersion, items: Sequence[ProductItem]) -> Filters:
    """By meter, the filters that keep its usage apart; only for meters that have some."""
    wheres = {item.meter_id: [rate.where for rate in priced.rates.get(item.pk, ()) if rate.where] for item in items}
    return {meter: found for meter, found in wheres.items() if found}


class LineUsage:
    """Usage of customers whose bills have the same lines, in some windows."""

    def __init__(
        self,
        customers: Sequence[Customer],
        lines: Sequence[Priced],
        windows: Sequence[Period],
        *,
        filters: Filters,
        until: datetime,
        beside: Sequence[ProductItem] = (),
        from_events: bool = False,
    ) -> None:
        """`beside` are product items that are read as well, where no filters keep usage apart."""
        meters = _meters([*(line.item for line in lines), *beside])
        self.usages = _read(customers, meters, windows, filters, until, from_events)
        needing = [line.item for line in lines if _needs_values(line)]
        self.values = read_values(customers, _meters(needing), windows, filters=filters) if needing else {}

    def item_usage(self, customer: Customer, line: Priced, window: int = 0) -> ItemUsage:
        """A line's usage. Where its rate needs single events the quantity is the sum of those: the two are read one
        after the other, and what came in between is in one of them only."""
        if _needs_values(line):
            events = self.values.get((customer.pk, line.item.meter_id, window, line.group), Values())
            return _item_usage(line.item, total_of(events), line.rate, where=line.where, events=events)
        quantity = self.usages[customer.pk].quantity(line.item.meter, window, line.group)
        return _item_usage(line.item, quantity, line.rate, where=line.where)

    def has_usage(self, customer: Customer, line: Priced, window: int = 0) -> bool:
        return _is_used(self.usages[customer.pk], line.item.meter, window, line.group)


class _Reading:
    """The usage of subjects with the same prices and bounds: of their lines, in the trial, and without a price."""

    def __init__(
        self,
        subjects: Sequence[Subject],
        frame: Frame,
        unpriced: Sequence[Unpriced],
        items: Sequence[ProductItem],
        until: datetime,
        from_events: bool,
    ) -> None:
        priced = subjects[0].priced
        customers = [subject.customer for subject in subjects]
        filters = filters_of(priced, items)
        self.lines = priced_lines(priced, frame, items)
        self.unpriced = unpriced
        self.trial = [item for item in items if item.pk in priced.rates] if frame.trial.length else []
        beside = [*self.trial, *(item for item, _ in unpriced)]
        spans = [span for span in (frame.trial, *(span for _, span in unpriced)) if span.length]
        if filters:
            # What is in the trial or has no price is not kept apart: different values are counted once among it all.
            self.charged = LineUsage(
                customers, self.lines, [frame.charged], filters=filters, until=until, from_events=from_events
            )
            self.windows = list(dict.fromkeys(spans))
            self.plain = self.charged.usages
            if spans:
                self.plain = _read(customers, _meters(beside), self.windows, {}, until, from_events)
        else:
            self.windows = list(dict.fromkeys([frame.charged, *spans]))
            self.charged = LineUsage(
                customers, self.lines, self.windows, filters={}, until=until, beside=beside, from_events=from_events
            )
            self.plain = self.charged.usages

    def computed(self, subject: Subject, frame: Frame) -> Computed:
        customer = subject.customer
        charged, plain = self.charged.usages[customer.pk], self.plain[customer.pk]
        lines = [line for line in self.lines if line.rate is not None or self.charged.has_usage(customer, line)]
        usages = [self.charged.item_usage(customer, line) for line in lines]
        follows_clock = any(charged.follows_clock(line.item.meter) for line in lines)
        beside = [*((item, frame.trial, True) for item in self.trial), *((*one, False) for one in self.unpriced)]
        for item, span, in_trial in beside:
            window = self.windows.index(span)
            follows_clock = follows_clock or plain.follows_clock(item.meter, window)
            if _is_used(plain, item.meter, window):
                quantity = plain.quantity(item.meter, window)
                usages.append(_item_usage(item, quantity, None, in_trial=in_trial))
        return Computed(draft(usages, terms_of(subject, frame)), charged.version, charged.at, follows_clock)


def unpriced_spans(subjects: Sequence[Subject], items: Sequence[ProductItem]) -> list[list[Unpriced]]:
    """For each subject the product items, and the spans of its period, that nothing which the customer is on prices.

    Each instant of unpriced usage is on one invoice of a customer only, that of the oldest assignment of the time.
    """
    current = {item.pk for item in items if item.retired_at is None}
    if all(current <= subject.priced.rates.keys() for subject in subjects):
        return [[] for _ in subjects]
    invoices = Invoice.objects.filter(
        customer__in={subject.customer.pk for subject in subjects},
        period_start__lt=max(subject.period.end for subject in subjects),
        period_end__gt=min(subject.period.start for subject in subjects),
        is_correction=False,
    ).exclude(status=Invoice.Status.VOID)
    if len(subjects) == 1:
        invoices = invoices.exclude(assignment=subjects[0].assignment)
    by_customer: dict[int, list[tuple[int, Period, int]]] = defaultdict(list)
    found = invoices.order_by("id").values_list(
        "customer_id", "assignment_id", "period_start", "period_end", "plan_version_id"
    )
    for customer, assignment, start, end, version in found:
        by_customer[customer].append((assignment, Period(start, end), version))
    return [list(_unpriced_of(subject, items, by_customer[subject.customer.pk])) for subject in subjects]


def _unpriced_of(
    subject: Subject, items: Sequence[ProductItem], invoices: Sequence[tuple[int, Period, int]]
) -> Iterator[Unpriced]:
    own = subject.assignment.pk
    beside = [one for one in invoices if one[0] != own and one[1].clip(subject.period.start, subject.period.end).length]
    older = [period for assignment, period, _ in beside if assignment < own]
    for item in items:
        if item.pk in subject.priced.rates or item.retired_at is not None:
            continue
        pricing = [period for _, period, version in beside if item.pk in frozen_version(version).rates]
        for span in uncovered(subject.period, [*older, *pricing]):
            yield item, span


def _read(
    customers: Sequence[Customer],
    meters: Sequence[Meter],
    windows: Sequence[Period],
    filters: Filters,
    until: datetime,
    from_events: bool,
) -> dict[int, Usage]:
    if len(customers) == 1:
        usage = read_usage(customers[0], meters, windows, filters=filters, until=until, from_events=from_events)
        return {customers[0].pk: usage}
    return read_usages(customers, meters, windows, filters=filters, until=until, from_events=from_events)


def _meters(items: Sequence[ProductItem]) -> list[Meter]:
    return list({item.meter_id: item.meter for item in items}.values())


def _needs_values(line: Priced) -> bool:
    return line.rate is not None and needs_events(line.rate)


def _is_used(usage: Usage, meter: Meter, window: int, group: Group = ()) -> bool:
    """Whether there is usage; a value that holds from before is usage without an event."""
    return bool(usage.quantity(meter, window, group) or usage.events(meter, window, group))


def _item_usage(
    item: ProductItem,
    quantity: Decimal,
    rate: Rate | None,
    *,
    where: Where | None = None,
    events: Values | None = None,
    in_trial: bool = False,
) -> ItemUsage:
    return ItemUsage(
        product_item_id=item.pk,
        name=item.name,
        unit=item.meter.unit,
        quantity=quantity,
        rate=rate,
        where=where or {},
        events=events,
        in_trial=in_trial,
    )
