"""What a usage chart in a frame is asked for: all that the portal's usage page can be."""

from collections.abc import Mapping
from datetime import datetime

from meters.models import Customer
from portal.usage.query import UsageQuery, usage_query_of


def embed_usage_query(customer: Customer, asked: Mapping[str, str], *, now: datetime) -> UsageQuery | None:
    """The question, valid; None where there is nothing to ask about. What is wrong in it makes it the default one: the
    address is written by a program, whose mistakes are no business of whoever looks at the chart."""
    query = usage_query_of(customer, asked, now=now)
    if query.meters and not query.is_valid():
        query = usage_query_of(customer, {}, now=now)
        query.is_valid()
    return query if query.meters else None
