"""What a usage chart in a frame is asked for: all that the portal's usage page can be."""

from collections.abc import Mapping
from datetime import datetime

from meters.models import Customer
from meters.periods import Period
from portal.access import visible_invoices, visible_meters
from portal.usage_periods import Calendar
from portal.usage_query import UsageQuery

OFFERED_INVOICES = 24


def embed_usage_query(customer: Customer, asked: Mapping[str, str], *, now: datetime) -> UsageQuery | None:
    """The question, valid; without what there is nothing to show of, None. What is wrong in it makes it the default
    one: the address is written by a program, whose mistakes are no business of whoever looks at the chart."""
    meters = visible_meters(customer)
    if not meters:
        return None
    begun = visible_invoices(customer).filter(period_start__lte=now, is_correction=False)
    bounds = begun.exclude(status="void").values_list("period_start", "period_end")
    billed = [Period(start, end) for start, end in bounds.order_by("-period_start", "id")[:OFFERED_INVOICES]]
    calendar = Calendar(billed, now=now, zone=customer.zone)
    query = UsageQuery(asked, calendar=calendar, meters=meters)
    if query.is_valid():
        return query
    plain = UsageQuery({}, calendar=calendar, meters=meters)
    plain.is_valid()
    return plain
