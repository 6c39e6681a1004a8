"""Small makers of test data; all of them go through the real services."""

import uuid
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group
from django.utils import timezone

from invoices.models import Invoice
from invoices.tasks import bills
from meters.customers import create_customer
from meters.decoding import EventIn
from meters.events import Recorded, record_events
from meters.models import Customer, Meter
from meters.staff_groups import sync_groups
from pricing.assignments import assign
from pricing.models import Assignment, Plan
from pricing.plans import activate, draft_version, set_rate

# The story's price: $5 per 1,000 calls, 5,000 free calls a month.
STORY_RATE = {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"}


def make_meter(key: str = "ApiCalls", **fields: Any) -> Meter:
    fields = {"unit": "calls", "used_for_billing": True, "dimensions": ["source", "target"]} | fields
    meter = Meter(key=key, **fields)
    meter.full_clean()
    meter.save()
    return meter


def make_plan(key: str, rates: Mapping[Meter, Mapping[str, Any]], **fields: Any) -> Plan:
    """An active plan with these rates."""
    plan = Plan.objects.create(key=key, **fields)
    for meter, parameters in rates.items():
        set_rate(draft_version(plan), product_item=meter.product_item, parameters=parameters)
    activate(plan)
    plan.refresh_from_db()
    return plan


def make_customer(key: str = "acme", **fields: Any) -> Customer:
    return create_customer(key=key, source=Customer.Source.API, **fields)


def put_on(customer: Customer, plan: Plan, starts_on: date, ends_on: date | None = None) -> Assignment:
    return assign(customer=customer, plan=plan, starts_on=starts_on, ends_on=ends_on)


def event(
    customer: str, meter: str, value: Any = 1, *, time: datetime | None = None, id: str | None = None, **dimensions: str
) -> EventIn:
    optional: dict[str, Any] = {} if time is None else {"time": time}
    return EventIn(
        customer=customer,
        meter=meter,
        value=Decimal(str(value)),
        id=id or str(uuid.uuid4()),
        dimensions=dimensions,
        **optional,
    )


def json_event(**fields: Any) -> dict[str, Any]:
    """An event of a moment ago as it is posted."""
    moment = timezone.now().replace(microsecond=0).isoformat()
    return {"customer": "acme", "meter": "ApiCalls", "time": moment} | fields


def send(customer: str, meter: str, value: Any = 1, *, now: datetime | None = None, **fields: Any) -> Recorded:
    return record_events([event(customer, meter, value, **fields)], now=now)


def run_sweep() -> None:
    """What a worker does at each tick."""
    bills.sweep()
    bills.close_periods()


def live_invoice(customer: Customer) -> Invoice:
    return Invoice.objects.get(customer=customer, status__in=Invoice.LIVE)


def role_group(role: str) -> Group:
    """The group of a role of staff. A test that commits leaves a database without groups behind."""
    if not Group.objects.filter(name=role).exists():
        sync_groups()
    return Group.objects.get(name=role)
