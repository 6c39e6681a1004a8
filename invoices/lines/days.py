"""The usage of a line by day, as it is known now, and in words what keeps the days from being the line's quantity."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from invoices.lines.spans import About, Counted
from invoices.models import Invoice
from meters.aggregation import ADDITIVE, ROUNDINGS
from meters.models import Meter
from meters.periods import Period, local_date, windows
from meters.usage import Group, Usage, read_usage
from pricing.explain_nouns import Say
from pricing.money import total_of

NOT_SUMS = {
    "min": "The line has the least value of all days, so the days do not add up to it.",
    "max": "The line has the greatest value of all days, so the days do not add up to it.",
    "average": "The line has the average of all events, so the days do not add up to it.",
    "latest": "The line has the latest value, so the days do not add up to it.",
    "unique_count": "What is there on several days counts on each of them, and once on the line, so the days do not add"
    " up to it.",
    "percentile": "The line has the percentile of all events, so the days do not add up to it.",
    "time_weighted_average": "The line has the average over the whole time, so the days do not add up to it.",
}
ROUNDED = {"up": "rounded up", "down": "rounded down", "half": "rounded"}
NEWER = "Newer usage is being worked in: the days have it already."
NOT_TOLD = "Other plans have other prices since, so it cannot be told any more which days this line is about."


@dataclass(frozen=True, slots=True)
class Day:
    """What was used on a day of the customer's zone, in the meter's unit; at the ends of a span, a part of a day."""

    day: date
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class ByDay:
    """The days of a line about usage, and what they come to together, all as is known at `version` of the usage."""

    about: About
    days: list[Day]
    notes: list[str]
    total: Decimal | None
    version: int


def by_day(found: Sequence[About], invoice: Invoice, *, now: datetime) -> list[ByDay | None]:
    """The days of each of these lines of an invoice that is about usage, in order. Usage is read once for all whose
    version has the same filters."""
    readings = _readings(found, invoice, now)
    days: list[ByDay | None] = []
    for one in _told(found, readings):
        if not one.counted:
            days.append(None)
        elif len(one.counted) > 1:
            days.append(ByDay(one, [], [NOT_TOLD], None, 0))
        else:
            days.append(readings[_key(one, one.counted[0])].by_day(one, one.counted[0], now))
    return days


# What is read together: usage that is not kept apart, or that of the filters of a version.
Key = int | None


def _key(about: About, counted: Counted) -> Key:
    return about.priced.version.pk if counted.apart else None


def _readings(found: Sequence[About], invoice: Invoice, now: datetime) -> dict[Key, "_Reading"]:
    wanted: dict[Key, list[tuple[About, Counted]]] = defaultdict(list)
    for about in found:
        for counted in about.counted:
            wanted[_key(about, counted)].append((about, counted))
    return {key: _Reading(invoice, some, now) for key, some in wanted.items()}


class _Reading:
    def __init__(self, invoice: Invoice, wanted: Sequence[tuple[About, Counted]], now: datetime) -> None:
        windows_: dict[Period, None] = {}
        meters: dict[int, Meter] = {}
        filters = {}
        for about, counted in wanted:
            meters[counted.meter.pk] = counted.meter
            windows_ |= dict.fromkeys([counted.span, *windows(counted.span, "day", about.of.zone)])
            if counted.apart:
                rates = about.priced.rates[about.line.product_item_id or 0]
                filters[counted.meter.pk] = [rate.where for rate in rates if rate.where]
        self.is_apart = any(filters.values())
        self.at = {window: index for index, window in enumerate(windows_)}
        # A value that holds is on a live bill until it was computed; in a period that is over, to its end at least.
        over = [about.of.period_end for about, _ in wanted if about.of.status != Invoice.Status.OPEN]
        until = max([(invoice.computed_at if invoice.is_live else None) or now, *over])
        self.usage: Usage = read_usage(
            invoice.customer,
            list(meters.values()),
            list(windows_),
            filters={pk: some for pk, some in filters.items() if some},
            until=until,
        )

    def is_used(self, counted: Counted) -> bool:
        window, group = self.at[counted.span], self._group(counted)
        quantity = self.usage.quantity(counted.meter, window, group)
        return bool(quantity or self.usage.events(counted.meter, window, group))

    def _group(self, counted: Counted) -> Group:
        return counted.group if self.is_apart else ()

    def by_day(self, about: About, counted: Counted, now: datetime) -> ByDay:
        zone, meter, group = about.of.zone, counted.meter, self._group(counted)
        spans = list(windows(counted.span, "day", zone))
        places = [self.at[span] for span in spans]
        if meter.aggregation in ADDITIVE:
            quantities = self.usage.shares(meter, places, group)
        else:
            quantities = [self.usage.quantity(meter, place, group) for place in places]
        days = [Day(local_date(span.start, zone), each) for span, each in zip(spans, quantities, strict=True)]
        # Those to come are told only where usage is dated ahead.
        past = sum(span.start <= now for span in spans)
        last = max((index for index, one in enumerate(days, start=1) if one.quantity), default=0)
        days = days[: max(past, last)]
        total = self.usage.quantity(meter, self.at[counted.span], group)
        return ByDay(about, days, list(_notes(about, meter, days, total)), total, self.usage.version)


def _notes(about: About, meter: Meter, days: Iterable[Day], total: Decimal) -> Iterator[str]:
    if meter.aggregation in NOT_SUMS:
        yield NOT_SUMS[meter.aggregation]
    elif meter.rounding in ROUNDINGS:
        exact = total_of(day.quantity for day in days)
        if exact != total:
            say = Say(about.line.unit, about.of.currency)
            yield f"The days come to {say.count(exact)}, {ROUNDED[meter.rounding]} once to {say.count(total)}."


def _told(found: Sequence[About], readings: dict[Key, _Reading]) -> list[About]:
    """Where it is open which of several spans lines are about, they are about those with usage, in order."""
    told = list(found)
    open_: dict[int, list[int]] = defaultdict(list)
    for index, one in enumerate(found):
        if len(one.counted) > 1:
            open_[one.line.product_item_id or 0].append(index)
    for indexes in open_.values():
        one = found[indexes[0]]
        used = [counted for counted in one.counted if readings[_key(one, counted)].is_used(counted)]
        if len(used) == len(indexes):
            for index, counted in zip(indexes, used, strict=True):
                told[index] = replace(found[index], span=counted.span, counted=(counted,))
    return told
