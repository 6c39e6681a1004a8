"""Looking at an invoice by day, ahead to its end, and back: the same `draft()` with other quantities."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from invoices.adjustments import subject_of
from invoices.computing import LineUsage, Priced, filters_of, priced_lines, product_items
from invoices.costs import running_amounts
from invoices.drafting import Draft, draft
from invoices.late.corrections import correction_lines
from invoices.late.final_terms import final_subject
from invoices.models import Invoice
from invoices.outlook import Course, Outlook, Progress, course_of, look_ahead, progress_of
from invoices.pricing_of import priced_version
from invoices.subjects import Subject, frames_of, terms_of
from meters.aggregation import ROUNDINGS
from meters.models import Meter
from meters.periods import Period, floor_hour, windows
from pricing.models import ProductItem
from pricing.money import total_of
from pricing.rates import needs_events

# Of single events, what a page can wait for: a day's share is charged event by event, and so is what is projected.
# The range goes through them twice more.
MOST_EVENTS_BY_DAY, MOST_EVENTS_AHEAD, MOST_EVENTS_IN_RANGE = 20_000, 200_000, 20_000
ZERO = Decimal(0)
GROWING = (Meter.Aggregation.SUM, Meter.Aggregation.COUNT)


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


class Look:
    """An invoice to be looked at, with its lines of usage that have a price, read once for all that is asked."""

    def __init__(self, invoice: Invoice, subject: Subject | None = None) -> None:
        self.invoice = invoice
        self.subject = subject or subject_of(invoice)
        [self.frame] = frames_of([self.subject])
        self.items = product_items()
        lines = priced_lines(self.subject.priced, self.frame, self.items)
        self.lines = [line for line in lines if line.rate is not None]

    def usage(self, spans: Sequence[Period], until: datetime) -> LineUsage:
        filters = filters_of(self.subject.priced, self.items)
        return LineUsage([self.invoice.customer], self.lines, spans, filters=filters, until=until)


def daily_costs(invoice: Invoice, *, now: datetime, look: Look | None = None) -> DailyCosts:
    """The usage on the bill at the end of each day minus that at the end of the day before, item by item."""
    look = look or Look(
        invoice, Subject(invoice.customer, invoice.assignment, priced_version(invoice.plan_version), invoice.period)
    )
    start, lines = look.frame.charged.start, look.lines
    days = [day for day in windows(invoice.period, "day", invoice.zone) if day.start <= now]
    charged = [day.end for day in days if day.end > start] if lines else []
    usage = look.usage([Period(start, end) for end in charged], now)
    in_trial = [ZERO] * (len(days) - len(charged))
    rows: dict[int, list[list[Decimal]]] = {}
    for line in lines:
        amounts = running_amounts(invoice, line, usage, range(len(charged)), most=MOST_EVENTS_BY_DAY)
        running = [ZERO, *amounts]
        added = [total_of((after, -before)) for before, after in itertools.pairwise(running)]
        rows.setdefault(line.item.pk, []).append([*in_trial, *added])
    priced = [item for item in look.items if item.pk in rows]
    costs = tuple(tuple(total_of(day) for day in zip(*rows[item.pk], strict=True)) for item in priced)
    return DailyCosts(tuple(days), tuple(priced), costs)


def projection(invoice: Invoice, *, now: datetime) -> Draft | None:
    """What the invoice would come to if the rest of its period went like the part that is over; see `outlook`."""
    ahead = outlook(invoice, now=now)
    return ahead.even if ahead else None


def outlook(invoice: Invoice, *, now: datetime, look: Look | None = None) -> Outlook | None:
    """What the invoice would come to at the end of its period (`invoices.outlook` says by which rule).

    Sums and counts grow with time. A value that holds until the next one is taken to hold to the end. Others (a
    greatest value, an average, a number of different values) are taken as they stand. Where single events are priced,
    they are taken to come again in the same order. None within the first day that is charged, after the end of the
    period, and where these events would be too many to go through; where they are many, there is no range.
    """
    look = look or Look(invoice)
    frame, lines = look.frame, look.lines
    days = list(windows(frame.charged, "day", invoice.zone))
    progress = progress_of(days, now)
    if progress.passed < 1 or now >= invoice.period_end:
        return None
    usage = look.usage([frame.charged, *days[: progress.full]], invoice.period_end)
    courses = [_course(invoice, line, usage, progress) for line in lines]
    of_events = [course for line, course in zip(lines, courses, strict=True) if course and _is_by_event(line)]
    if any(course.even > MOST_EVENTS_AHEAD for course in of_events):
        return None
    return look_ahead(
        [usage.item_usage(invoice.customer, line) for line in lines],
        courses,
        terms_of(look.subject, frame),
        corrections=correction_lines([invoice]).get(invoice.pk, []),
        has_range=progress.has_range and all(course.high <= MOST_EVENTS_IN_RANGE for course in of_events),
    )


def _course(invoice: Invoice, line: Priced, usage: LineUsage, progress: Progress) -> Course | None:
    """Where the line's quantity goes, or the number of its events; None for what is taken as it stands."""
    read, meter, full = usage.usages[invoice.customer.pk], line.item.meter, range(1, progress.full + 1)
    if _is_by_event(line):
        days = [Decimal(read.events(meter, day, line.group)) for day in full]
        so_far = Decimal(read.events(meter, 0, line.group))
    elif meter.aggregation in GROWING:
        days = read.shares(meter, full, line.group)
        so_far = read.quantity(meter, 0, line.group)
    else:
        return None
    # A meter that rounds has figures with so many decimals, and days with more.
    decimals = max(meter.rounding_places, 0) if meter.rounding in ROUNDINGS else None
    return course_of(so_far, days, progress, decimals=decimals)


def come_to_by(invoice: Invoice, at: datetime) -> Draft | None:
    """What an invoice whose period is over had come to at an earlier moment of it, to the hour, by its own prices and
    by usage as it is known now, without corrections of earlier ones.

    None where the period was not charged whole (a trial, a first or last part of one), so that it compares with no
    other, and where single events would have to be read for it.
    """
    look = Look(invoice, final_subject(invoice) if invoice.status == Invoice.Status.FINAL else None)
    frame, lines = look.frame, look.lines
    if frame.days != frame.of_days or any(map(_is_by_event, lines)):
        return None
    passed = frame.charged.clip(end=floor_hour(at))
    usage = look.usage([passed], passed.end)
    return draft([usage.item_usage(invoice.customer, line) for line in lines], terms_of(look.subject, frame))


def _is_by_event(line: Priced) -> bool:
    return line.rate is not None and needs_events(line.rate)
