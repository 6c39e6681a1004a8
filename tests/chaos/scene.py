"""What is sold to whom: many customers on a plan by the day, so that invoices become final all the time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from invoices.models import MailSetting
from invoices.policy_changes import set_billing_policy
from invoices.prepaid.credits import grant_credits
from invoices.webhooks.endpoints import create_endpoint
from meters.customers import create_customer
from meters.keys import create_api_key
from meters.models import Customer
from pricing.assignments import assign
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate
from tests.factories import make_meter
from tests.invoices.plans import fee, plan_with

# The grace time of a day, and how many days before now the first one is.
GRACE_HOURS = 3
DAYS = 4
# Of a call, in cents: what customers owe for them can be counted without the product.
CENTS = 1
CALLS, USERS = "ApiCalls", "Users"
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York")


@dataclass(frozen=True)
class Scene:
    customers: tuple[str, ...]
    api_key: str
    # No event is before that.
    first: datetime


def make_scene(count: int, webhook_url: str, now: datetime) -> Scene:
    calls = make_meter(CALLS)
    users = make_meter(USERS, unit="users", aggregation="unique_count", unique_dimension="user", dimensions=["user"])
    save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
    welcome = save_promotion(
        changes={"key": "welcome", "name": "Welcome", "percent": "25", "cap": "9", "currency": "USD"}
    )
    each = {"model": "per_unit", "unit_price": f"0.0{CENTS}"}
    rates = {calls: each, users: {"model": "per_unit", "unit_price": "0.5"}}
    plan = plan_with("Daily", rates, fee("base", "1"), interval="day")
    set_billing_policy(changes={"grace_hours": GRACE_HOURS}, now=now)
    create_endpoint(url=webhook_url, allow_private=True)
    MailSetting.objects.create(kind=MailSetting.Kind.INVOICE_FINALIZED, enabled=True)
    _, api_key = create_api_key(name="chaos", scopes=["ingest", "read"])
    first_day = now.date() - timedelta(days=DAYS)
    keys = tuple(f"customer-{number:02}" for number in range(count))
    for number, key in enumerate(keys):
        customer = create_customer(
            key=key, source=Customer.Source.API, email=f"{key}@example.com", time_zone=ZONES[number % len(ZONES)]
        )
        if number % 3 == 0:
            grant_credits(customer=customer, name="Prepaid", amount="5", currency="USD")
        if number % 4 == 0:
            apply_promotion(customer=customer, promotion=welcome, starts_on=first_day)
        assign(customer=customer, plan=plan, starts_on=first_day)
    # A day later than the first one: no zone is further from the others.
    first = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
    return Scene(keys, api_key, first)
