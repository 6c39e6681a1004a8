"""The demo: AwesomeIntegrationApi with its plans, five customers, and some months behind them.

Everything comes in as it would in life, through the services; only the clock is told what day it is.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection, transaction

from invoices import due, services
from invoices.alerting.budgets import set_budget
from invoices.brand_changes import set_brand
from invoices.logos import logo_of
from invoices.models import Invoice
from invoices.policy import grace_time
from invoices.policy_changes import set_billing_policy
from invoices.prepaid.credits import grant_credits
from invoices.settling.payments import record_payment
from meters import partitions
from meters.customers import create_customer
from meters.decoding import EventIn
from meters.events import record_events
from meters.metering import save_meter
from meters.models import Customer, Meter
from meters.periods import local_midnight
from meters.staff_groups import sync_groups
from meters.staff_roles import StaffRole
from portal.models import Membership
from portal.policy import set_portal_policy
from portal.roles import Role
from pricing.assignments import assign, set_quantity
from pricing.models import Assignment, AssignmentRule, Plan, ProductItem
from pricing.plans import activate, draft_version, set_fee, set_rate, set_terms
from pricing.promotions import apply_promotion, save_promotion
from pricing.rules import matching_rule
from pricing.taxes import save_tax_rate, set_billing_profile

MONTHS = 3
PASSWORD = "tollmeter"  # noqa: S105 (of a demo that listens on this machine alone, and printed at its start)
# An owner, and one of each other role.
STAFF = "staff"
OTHER_STAFF = (("finance", StaffRole.FINANCE), ("support", StaffRole.SUPPORT), ("reader", StaffRole.READ_ONLY))
SEATS = "seats"
PART_PAID = Decimal(100)
# What Acme Retail wants to spend a month.
BUDGET = Decimal(40)
SYSTEMS = ("crm", "shop", "erp", "warehouse", "mailing", "ledger")
SELLER = {
    "seller_address": "5 Harbour Street\nBristol BS1 4QD\nUnited Kingdom",
    "seller_tax_id": "GB 123 4567 89",
    "paper_footer": "Please pay to Example Bank, IBAN GB33 BUKB 2020 1555 5555 55, and name the number of the invoice.",
}

# Where links into the portal may lead back to: an app of the vendor's on this machine.
RETURN_ORIGINS = ["https://app.example", "http://localhost:8100", "http://127.0.0.1:8100"]
# Its logo was drawn for the demo: PNG files for light and for dark pages.
LOGOS = Path(__file__).parent / "demo_logo"
LOGO_FILES = {"logo": "light", "dark_logo": "dark"}
BRAND = {
    "name": "AwesomeIntegration",
    "accent": "#4346d6",
    "support_url": "https://example.com/help",
    "legal_footer": "AwesomeIntegration Ltd. Registered in England and Wales, no. 01234567.",
}


@dataclass(frozen=True)
class DemoCustomer:
    """A customer of the demo; `jobs` is how many it runs on a working day, `records` what one moves at most, `days`
    since when it is one (None: from the beginning of the demo's months)."""

    key: str
    name: str
    person: str
    traits: dict[str, str]
    time_zone: str
    jobs: int
    records: int
    days: int | None = None


CUSTOMERS = (
    DemoCustomer("acme", "Acme Retail", "anna@acme.example", {"tier": "standard"}, "", 20, 50),
    DemoCustomer("globex", "Globex Logistics", "george@globex.example", {"tier": "standard"}, "Europe/Berlin", 40, 25),
    DemoCustomer("initech", "Initech", "ines@initech.example", {"tier": "scale"}, "America/New_York", 30, 120),
    DemoCustomer("umbrella", "Umbrella Health", "uma@umbrella.example", {"tier": "standard"}, "Asia/Kolkata", 2, 25),
    DemoCustomer("hooli", "Hooli", "hugo@hooli.example", {"tier": "weekly"}, "America/Los_Angeles", 15, 40, days=10),
)

# Whom Anna of Acme Retail shares the portal with.
COLLEAGUES = (
    ("ben@acme.example", Role.BILLING),
    ("rita@acme.example", Role.READ_ONLY),
)


def is_of_another() -> bool:
    """Whether the database has customers or plans, and they are not the demo's. One without tables has none."""
    if Customer._meta.db_table not in connection.introspection.table_names():
        return False
    people = [customer.person for customer in CUSTOMERS]
    return (Customer.objects.exists() or Plan.objects.exists()) and not User.objects.filter(
        username__in=people
    ).exists()


def is_filled() -> bool:
    return Plan.objects.exists()


@transaction.atomic
def fill(now: datetime) -> None:
    """Makes all of the demo, or nothing: a fill that is interrupted starts from the beginning."""
    partitions.ensure_accepted_span(now)
    set_billing_policy(changes=SELLER, now=now)
    set_portal_policy(changes={"return_origins": RETURN_ORIGINS})
    make_brand(now)
    meters = make_meters()
    customers = [(demo, make_customer(demo, now)) for demo in CUSTOMERS]
    make_plans(meters)
    for demo, customer in customers:
        rule = matching_rule(customer)
        plan = rule.plan if rule else Plan.objects.get(is_default=True)
        source = Assignment.Source.RULE if rule else Assignment.Source.DEFAULT
        assign(customer=customer, plan=plan, starts_on=first_day(demo, now), source=source, rule=rule)
    for demo, customer in customers:
        send_history(demo, customer, first_day(demo, now), now)
    make_agreements(now)
    make_invoices(now)
    make_payments(now)
    make_people()


def make_brand(now: datetime) -> None:
    logos = {name: logo_of((LOGOS / f"{file}.png").read_bytes()) for name, file in LOGO_FILES.items()}
    set_brand(changes={**BRAND, **logos}, by=STAFF, now=now)


def first_day(demo: DemoCustomer, now: datetime) -> date:
    """The first of the month MONTHS before this one, or so many days ago."""
    if demo.days is not None:
        return now.date() - timedelta(days=demo.days)
    month = now.year * 12 + now.month - 1 - MONTHS
    return date(month // 12, month % 12 + 1, 1)


def make_meters() -> dict[str, Meter]:
    calls = save_meter(
        Meter(),
        changes={
            "key": "ApiCalls",
            "name": "API calls",
            "unit": "calls",
            "dimensions": ["source", "target"],
            "used_for_billing": True,
        },
    )
    connections = save_meter(
        Meter(),
        changes={
            "key": "Connections",
            "name": "Active connections",
            "aggregation": Meter.Aggregation.UNIQUE_COUNT,
            "unique_dimension": "connection",
            "unit": "connections",
            "used_for_billing": True,
        },
    )
    return {"calls": calls, "connections": connections}


def make_plans(meters: dict[str, Meter]) -> None:
    standard = Plan.objects.create(
        key="AwesomeIntegrationApi",
        description="5,000 calls a month are free.",
        is_default=True,
        offer=Plan.Offer.SELF_SERVICE,
    )
    scale = Plan.objects.create(
        key="AwesomeIntegrationApiScale",
        name="AwesomeIntegrationApi Scale",
        description="For many jobs: the price falls as you grow.",
        offer=Plan.Offer.SELF_SERVICE,
    )
    weekly = Plan.objects.create(
        key="AwesomeIntegrationApiWeekly",
        name="AwesomeIntegrationApi Weekly",
        description="By the week, with two weeks to try it.",
        offer=Plan.Offer.SHOWN,
    )
    prices: dict[Plan, dict[str, dict[str, Any]]] = {
        standard: {
            "calls": {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"},
            "connections": {"model": "per_unit", "unit_price": "2", "included_units": "30"},
        },
        scale: {
            "calls": {
                "model": "graduated",
                "tiers": [
                    {"up_to": "20000", "unit_price": "0.004"},
                    {"up_to": "50000", "unit_price": "0.003"},
                    {"up_to": None, "unit_price": "0.0018"},
                ],
            },
            "connections": {"model": "per_unit", "unit_price": "1.50", "included_units": "10"},
        },
        weekly: {
            "calls": {"model": "per_unit", "unit_price": "0.006"},
            "connections": {"model": "per_unit", "unit_price": "0.50", "included_units": "10"},
        },
    }
    for plan, rates in prices.items():
        for meter, parameters in rates.items():
            set_rate(draft_version(plan), product_item=meters[meter].product_item, parameters=parameters)
    set_fee(draft_version(scale), key="platform", name="Platform", amount=Decimal(49))
    set_fee(draft_version(scale), key=SEATS, name="Seats", amount=Decimal(12), quantity=Decimal(3), unit="seats")
    set_terms(draft_version(scale), minimum=Decimal(230))
    set_fee(draft_version(weekly), key="platform", name="Platform", amount=Decimal(9))
    set_terms(draft_version(weekly), interval="week", trial_days=14)
    for plan in prices:
        activate(plan)
    for position, plan, tier in ((10, scale, "scale"), (20, weekly, "weekly")):
        rule = AssignmentRule.objects.create(position=position, plan=plan)
        rule.conditions.create(trait="tier", value=tier)


def make_agreements(now: datetime) -> None:
    """What single customers have beside their plan: seats, a promotion, taxes. Acme Retail has none of it."""
    initech, globex = (Customer.objects.get(key=key) for key in ("initech", "globex"))
    assignment = initech.assignments.get()
    set_quantity(assignment, fee_key=SEATS, quantity=5, starts_on=now.date().replace(day=1) + timedelta(days=9))
    welcome = {"key": "welcome", "name": "Welcome: 20% off API calls", "code": "WELCOME", "kind": "percent"}
    calls = ProductItem.objects.filter(meter__key="ApiCalls")
    promotion = save_promotion(changes={**welcome, "percent": 20, "periods": 6, "product_items": list(calls)})
    apply_promotion(customer=initech, promotion=promotion, starts_on=assignment.starts_on)
    vat = save_tax_rate(changes={"key": "de-vat", "name": "VAT", "percent": 19})
    sales = save_tax_rate(changes={"key": "ny-sales", "name": "New York sales tax", "percent": "8.875"})
    set_billing_profile(initech, tax_rates=[sales], address="4120 Freidrich Lane\nNew York, NY")
    set_billing_profile(
        globex,
        tax_rates=[vat],
        legal_name="Globex Logistics GmbH",
        address="Hafenstrasse 12\n20457 Hamburg",
        tax_id="DE123456789",
    )
    began = globex.assignments.get()
    grant_credits(
        customer=globex,
        name="Prepaid pack",
        currency=settings.ACCOUNT_CURRENCY,
        amount="500",
        price_paid="450",
        expires_at=began.starts_at + timedelta(days=365),
        now=began.starts_at,
    )


def make_customer(demo: DemoCustomer, now: datetime) -> Customer:
    return create_customer(
        key=demo.key,
        name=demo.name,
        email=demo.person,
        traits=demo.traits,
        time_zone=demo.time_zone,
        source=Customer.Source.API,
        # Its plan is given below, from the day on which its months begin.
        onboarded_at=now,
    )


def send_history(demo: DemoCustomer, customer: Customer, first: date, now: datetime) -> None:
    """Sends the events of every job up to now, those of a day at its end, as they would have come then. The same
    every time: ids and figures come from the customer's key."""
    for day, events in history(demo, customer, first, now):
        end = local_midnight(day + timedelta(days=1), customer.zone) - timedelta(seconds=1)
        record_events(events, now=min(end, now))


def history(demo: DemoCustomer, customer: Customer, first: date, now: datetime) -> Iterator[tuple[date, list[EventIn]]]:
    chance = random.Random(demo.key)
    day = first
    while (midnight := local_midnight(day, customer.zone)) <= now:
        weekend = day.weekday() >= 5
        events = []
        for number in range(chance.randint(demo.jobs // 2, demo.jobs * 3 // 2) // (4 if weekend else 1)):
            source, target = chance.sample(SYSTEMS, 2)
            moment = midnight + timedelta(seconds=chance.randrange(7 * 3600, 20 * 3600))
            records = chance.randint(1, demo.records)
            if moment > now:
                continue
            dimensions = {"source": source, "target": target, "connection": f"{source}-{target}"}
            events.append(
                EventIn(
                    id=f"job-{demo.key}-{day}-{number}",
                    customer=demo.key,
                    time=moment,
                    values={"ApiCalls": Decimal(records), "Connections": Decimal(1)},
                    dimensions=dimensions,
                )
            )
        if events:
            yield day, events
        day += timedelta(days=1)


def make_invoices(now: datetime) -> None:
    """Brings every invoice up to date, and closes each old one at the moment its grace time was over."""
    _compute_stale()
    for pk in due.due_invoices(now, limit=10_000):
        invoice = Invoice.objects.select_related("plan_version__plan").get(pk=pk)
        over = invoice.period_end + grace_time(invoice.plan_version.plan)
        services.close(pk, now=min(over, now))
    set_budget(Customer.objects.get(key="acme"), amount=BUDGET, now=now)
    # What final invoices have taken of a promotion may change the running ones.
    _compute_stale()


def _compute_stale() -> None:
    for pk in due.stale_invoices(limit=10_000):
        services.recalculate(pk)


def make_payments(now: datetime) -> None:
    """What is due was paid on its day; but of its last invoice Initech has paid a part."""
    for invoice in Invoice.objects.filter(status=Invoice.Status.FINAL).select_related("customer").order_by("id"):
        is_last = not invoice.customer.invoices.filter(
            status=Invoice.Status.FINAL, period_start__gt=invoice.period_start
        ).exists()
        if invoice.customer.key == "initech" and is_last:
            record_payment(invoice.pk, amount=PART_PAID, reference="BANK-2051", actor=STAFF, now=now)
        elif invoice.due_on and invoice.due_on <= now.date() and invoice.amount_due > 0:
            record_payment(invoice.pk, amount=invoice.amount_due, paid_on=invoice.due_on, actor=STAFF, now=now)


def make_people() -> None:
    User.objects.create_superuser(STAFF, "staff@awesomeintegration.example", PASSWORD)
    sync_groups()
    for name, staff_role in OTHER_STAFF:
        colleague = User.objects.create_user(name, f"{name}@awesomeintegration.example", PASSWORD, is_staff=True)
        colleague.groups.add(Group.objects.get(name=staff_role))
    for demo in CUSTOMERS:
        make_member(demo.person, demo.key, Role.OWNER)
    for address, role in COLLEAGUES:
        make_member(address, "acme", role)


def make_member(address: str, key: str, role: Role) -> None:
    name = address.partition("@")[0].capitalize()
    user = User.objects.create_user(address, address, PASSWORD, first_name=name)
    Membership.objects.create(user=user, customer=Customer.objects.get(key=key), role=role)
