"""A backtest of all customers' last three months, as one worker does it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.db import connection

from invoices.backtests.backtest import start_backtest, work_on
from invoices.models import Backtest, BacktestRow, Invoice
from meters.metering import save_meter
from meters.models import Customer, Meter
from meters.periods import Period, local_midnight, month_of
from pricing.models import Assignment, Plan, PlanVersion
from pricing.plans import activate, draft_version, set_rate

PLAN = "bench-backtest"
MONTHS = 3
LIMIT = 120.0
RATE = {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"}
DRAFT = {
    "model": "graduated",
    "included_units": "2000",
    "tiers": [
        {"up_to": "10000", "unit_price": "0.006"},
        {"up_to": "100000", "unit_price": "0.004"},
        {"up_to": None, "unit_price": "0.003"},
    ],
}


@dataclass(frozen=True)
class Measured:
    customers: int
    months: int
    seconds: float
    limit: float = LIMIT


def measure(meter: Meter, customers: int, say: Callable[[str], None]) -> Measured:
    """Seconds from the first chunk to the last. Raises RuntimeError where a customer or a month is missing."""
    plan = _plan(meter, customers)
    Backtest.objects.filter(plan=plan).delete()
    started = start_backtest(plan=plan, periods=MONTHS)
    began = time.perf_counter()
    while work_on(started.pk):
        started.refresh_from_db()
        say(f"{started.done:,} of {started.total:,} customers, {time.perf_counter() - began:.1f} s")
    took = time.perf_counter() - began
    started.refresh_from_db()
    rows = BacktestRow.objects.filter(backtest=started).count()
    if (started.status, started.done, rows) != (Backtest.Status.DONE, customers, customers * MONTHS):
        raise RuntimeError(f"{started.status} {started.error}: {started.done:,} customers, {rows:,} rows")
    return Measured(customers, MONTHS, took)


def _plan(meter: Meter, customers: int) -> Plan:
    """A plan with so many customers, each with an invoice of each of the months, and a draft."""
    if not meter.used_for_billing:
        save_meter(meter, changes={"used_for_billing": True})
    plan, is_new = Plan.objects.get_or_create(key=PLAN)
    if is_new:
        set_rate(draft_version(plan), product_item=meter.product_item, parameters=RATE)
        activate(plan)
        set_rate(draft_version(plan), product_item=meter.product_item, parameters=DRAFT)
    months = _months()
    first = months[0].start.date()
    # Those of a run with another number of customers, or of an earlier month, are made anew.
    Backtest.objects.filter(plan=plan).delete()
    with connection.cursor() as cursor:
        # They are final, which the database keeps; here nobody stands by them.
        cursor.execute("SET session_replication_role = replica")
        Invoice.objects.filter(assignment__plan=plan).delete()
        cursor.execute("SET session_replication_role = origin")
    Assignment.objects.filter(plan=plan).delete()
    chosen = Customer.objects.filter(key__startswith="bench-").exclude(key="bench-hot").order_by("id")[:customers]
    made = Assignment.objects.bulk_create(
        [Assignment(customer=one, plan=plan, time_zone="UTC", starts_on=first) for one in chosen], batch_size=1000
    )
    version = plan.versions.get(status=PlanVersion.Status.ACTIVE)
    Invoice.objects.bulk_create(
        (_invoice(one, version, month, number) for one in made for number, month in enumerate(months)), batch_size=1000
    )
    return plan


def _invoice(assignment: Assignment, version: PlanVersion, month: Period, number: int) -> Invoice:
    return Invoice(
        customer_id=assignment.customer_id,
        assignment=assignment,
        plan_version=version,
        status=Invoice.Status.FINAL,
        number=f"bench-{assignment.pk}-{number}",
        finalized_at=month.end,
        closes_at=month.end,
        period_start=month.start,
        period_end=month.end,
        time_zone="UTC",
        currency=version.currency,
        is_stale=False,
    )


def _months() -> list[Period]:
    """The last three months that are over, oldest first."""
    months: list[Period] = []
    day: date = datetime.now(UTC).date().replace(day=1)
    zone = Assignment(time_zone="UTC").zone
    while len(months) < MONTHS:
        months.insert(0, month_of(local_midnight(day, zone) - timedelta(days=1), zone))
        day = months[0].start.date()
    return months
