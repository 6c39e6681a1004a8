"""The month of all customers, each open invoice computed from scratch: what the sweep does when all are stale at once,
in as many processes as there are cores."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from invoices import services
from invoices.models import Invoice, InvoiceLine
from invoices.tasks.bills import BATCH, CHUNK, bring_up_to_date
from meters.metering import save_meter
from meters.models import Customer, Meter
from pricing.assignments import store_new
from pricing.models import Assignment, Plan
from pricing.plans import activate, draft_version, set_rate
from tests.benchmarks.backtest import RATE
from tests.benchmarks.servers import BASE_DIR

PLAN = "bench-month"
LIMIT = 60.0
PROCESSES = 2
# Until the processes are there; a worker of the real thing is there already.
START = 10.0


@dataclass(frozen=True)
class Measured:
    customers: int
    lines: int
    seconds: float
    # What one chunk of the sweep takes, and a whole one of one invoice.
    statements: int
    statements_of_one: int
    chunk: int = CHUNK
    processes: int = PROCESSES
    limit: float = LIMIT


def measure(meter: Meter, customers: int, say: Callable[[str], None]) -> Measured:
    """Seconds until all open invoices are up to date. Raises RuntimeError where one is not, or lacks its lines."""
    ids = _invoices(meter, customers, say)
    InvoiceLine.objects.filter(invoice__in=ids).delete()
    Invoice.objects.filter(pk__in=ids).update(is_stale=True, usage_version=0, total=0, subtotal=0)
    code = "import django; django.setup(); from tests.benchmarks import month; input(); month.work()"
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    workers = [
        subprocess.Popen([sys.executable, "-c", code], cwd=BASE_DIR, env=environment, stdin=subprocess.PIPE)
        for _ in range(PROCESSES)
    ]
    time.sleep(START)
    began = time.perf_counter()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
        worker.stdin.flush()
    codes = [worker.wait() for worker in workers]
    took = time.perf_counter() - began
    done = Invoice.objects.filter(pk__in=ids, is_stale=False).count()
    lines = InvoiceLine.objects.filter(invoice__in=ids).count()
    if any(codes) or done != customers or lines < customers:
        raise RuntimeError(f"{codes}: {done:,} of {customers:,} invoices are up to date, {lines:,} lines")
    return Measured(customers, lines, took, _statements(ids[:CHUNK]), _statements(ids[:1]))


def _statements(ids: list[int]) -> int:
    with CaptureQueriesContext(connection) as queries:
        services.recalculate_many(ids)
    return len(queries)


def _invoices(meter: Meter, customers: int, say: Callable[[str], None]) -> list[int]:
    """The open invoices of so many customers."""
    if not meter.used_for_billing:
        save_meter(meter, changes={"used_for_billing": True})
    plan, is_new = Plan.objects.get_or_create(key=PLAN)
    if is_new:
        set_rate(draft_version(plan), product_item=meter.product_item, parameters=RATE)
        activate(plan)
    chosen = Customer.objects.filter(key__startswith="bench-").exclude(key="bench-hot").order_by("id")[:customers]
    there = set(Assignment.objects.filter(plan=plan).values_list("customer", flat=True))
    first = datetime.now(UTC).date().replace(day=1)
    new = [
        Assignment(customer=one, plan=plan, time_zone="UTC", starts_on=first) for one in chosen if one.pk not in there
    ]
    store_new(new, actor="bench")
    for done, assignment in enumerate(Assignment.objects.filter(plan=plan).order_by("id"), start=1):
        services.open_invoices(assignment)
        if done % 2000 == 0:
            say(f"{done:,} invoices are open")
    live = Invoice.objects.filter(assignment__plan=plan, status=Invoice.Status.OPEN, customer__in=list(chosen))
    return list(live.order_by("id").values_list("id", flat=True))


def work() -> None:
    """One process: chunks of what is stale, as the sweep takes them, until there is none."""
    mine = Invoice.objects.filter(assignment__plan__key=PLAN, is_stale=True, status__in=Invoice.LIVE)
    while True:
        ids = list(mine.order_by(F("computed_at").asc(nulls_first=True), "id").values_list("id", flat=True)[:BATCH])
        if not ids:
            return
        bring_up_to_date(ids)
