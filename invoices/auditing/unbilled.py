"""Usage without a plan: of customers who never had one, and before and after the times that they have one."""

from collections import defaultdict
from datetime import datetime, timedelta
from typing import NamedTuple

from invoices.auditing.audit_sql import UNCOVERED
from invoices.auditing.looking import Finding, Look, Seen, quantity_words
from invoices.models import AuditFinding
from meters.models import Customer, Meter
from meters.periods import Period, uncovered
from meters.statements import array, execute
from meters.usage import read_usage
from meters.words import INSTANT, period_words
from pricing.models import Assignment, ProductItem

CHECK = AuditFinding.Check.NO_PLAN
# Who was discovered by an event is put on a plan by a worker, a moment later.
TO_BE_TAKEN_IN = timedelta(hours=1)


class Span(NamedTuple):
    customer: Customer
    period: Period


class Found(NamedTuple):
    """Events of a meter in a span: how many, and when the first and the last of them were."""

    meter: Meter
    events: int
    first: datetime
    last: datetime


def look(at: Look) -> Seen:
    seen = Seen()
    settled = [one for one in at.customers if one.onboarded_at or one.created_at <= at.now - TO_BE_TAKEN_IN]
    seen.checked[CHECK] = len(settled)
    meters = {item.meter_id: item.meter for item in _billed()}
    spans = _without_plan(settled, at)
    if not spans or not meters:
        return seen
    found: dict[int, list[Found]] = defaultdict(list)
    columns = {
        "customers": array(str(span.customer.pk) for span in spans),
        "numbers": array(str(number) for number in range(len(spans))),
        "starts": array(span.period.start.isoformat() for span in spans),
        "ends": array(span.period.end.isoformat() for span in spans),
        "meters": array(map(str, sorted(meters))),
    }
    for _, number, meter, *events in execute(UNCOVERED, columns):
        found[number].append(Found(meters[meter], *events))
    for number, some in found.items():
        seen.findings += _findings(spans[number], some, at.now)
    return seen


def _billed() -> list[ProductItem]:
    return list(ProductItem.objects.filter(retired_at=None).select_related("meter"))


def _without_plan(customers: list[Customer], at: Look) -> list[Span]:
    covered: dict[int, list[Period]] = defaultdict(list)
    for one in Assignment.objects.filter(customer__in=customers):
        end = one.ends_at or max(at.now, one.starts_at)
        if one.starts_at < end:
            covered[one.customer_id].append(Period(one.starts_at, end))
    whole = Period(at.since, max(at.now, at.since))
    spans = [Span(one, span) for one in customers for span in uncovered(whole, covered[one.pk])]
    return [span for span in spans if span.period.length]


def _findings(span: Span, some: list[Found], now: datetime) -> list[Finding]:
    """With the quantities, which are more than these statements count."""
    customer = span.customer
    usage = read_usage(customer, [one.meter for one in some], [span.period], until=now, from_events=True)
    said = []
    for one in some:
        days = period_words(Period(one.first, one.last + INSTANT), customer.zone)
        text = f"{one.meter} of {days}, while {customer} was on no plan"[:500]
        quantity = quantity_words(usage.quantity(one.meter), one.meter.unit or "units")
        events = "1 event" if one.events == 1 else f"{one.events:,} events"
        said.append(Finding(CHECK, text, customer.pk, None, "", f"{events}, {quantity}"[:120]))
    return said
