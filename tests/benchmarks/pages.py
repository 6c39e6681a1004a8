"""How long the server takes for each page of the portal, of a customer with 1,000 invoices and 1% of all events.

Found in the portal's URLs, so that a new page is measured without a word. In this process, through all middlewares; the
first calls, which fill caches, are not counted."""

import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import time_machine
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from invoices import services
from invoices.alerting.budgets import set_budget
from invoices.models import Alert, Invoice
from invoices.settling.payments import record_payment
from meters.metering import save_meter
from meters.models import Customer, Meter
from portal.models import Membership
from portal.roles import Role
from pricing.assignments import assign
from pricing.models import Assignment, Plan
from pricing.plans import activate, draft_version, set_fee, set_rate, set_terms
from pricing.taxes import save_tax_rate, set_billing_profile
from tests.benchmarks import dataset
from tests.benchmarks.backtest import RATE
from tests.portal_pages import plain_pages

CUSTOMER = "pages"
PERSON = "pages@bench.example"
DAILY, MONTHLY = "bench-pages-daily", "bench-pages"
MONTHS = 3
PAID_AFTER, PAID_IN = timedelta(days=120), timedelta(days=10)
REPEATS = 15
LIMIT = 100.0  # milliseconds
LARGEST = 150  # kB, with all that a page loads
LOADED = re.compile(r'<(?:link rel="(?:stylesheet|icon)" href|script src)="([^"]+)"')


@dataclass(frozen=True)
class PageTime:
    """In milliseconds; `python` is the processor's time of this process, which a busy machine does not lengthen.
    `kilobytes`: of the page and all that it loads, as it is sent."""

    name: str
    median: float
    worst: float
    python: float
    queries: int
    kilobytes: float
    limit: float = LIMIT
    largest: float = LARGEST


def measure(meter: Meter, invoices: int, say: Callable[[str], None]) -> list[PageTime]:
    customer = _customer(meter, invoices, say)
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.get(username=PERSON))
    found = []
    for name, path in _paths(customer):
        if (page := _time(client, name, path)) is not None:
            found.append(page)
            say(f"{name}: {page.median:,.1f} ms, {page.python:,.1f} of it Python, {page.queries} queries")
    return found


def _paths(customer: Customer) -> Iterator[tuple[str, str]]:
    yield from plain_pages().items()
    issued = customer.invoices.filter(status=Invoice.Status.FINAL)
    last, running = issued.order_by("-period_start")[0], customer.invoices.get(status=Invoice.Status.OPEN)
    yield "invoices, the last page", "/invoices/?page=999"
    yield "invoices, of a year and overdue", f"/invoices/?year={timezone.now().year}&state=overdue"
    for which, invoice in (("a month's", last), ("the running", running)):
        yield f"invoice, {which}", f"/invoices/{invoice.pk}/"
        yield f"invoice-line, {which}", f"/invoices/{invoice.pk}/lines/1/"
    yield "usage, by group", f"/usage/?meter={dataset.METER}&group=source"
    yield "alert", f"/alerts/{Alert.objects.filter(customer=customer).order_by('pk')[0].pk}/"


def _time(client: Client, name: str, path: str) -> PageTime | None:
    """None for what is no page: it takes POST alone, or sends elsewhere."""
    answer = client.get(path)
    if answer.status_code in (302, 405):
        return None
    if answer.status_code != 200:
        raise RuntimeError(f"{path} answered {answer.status_code}")
    with CaptureQueriesContext(connection) as captured:
        client.get(path)
        # The next request forgets them.
        queries = len(captured)
    took, worked = [], []
    for _ in range(REPEATS):
        began, working = time.perf_counter(), time.process_time()
        client.get(path)
        took.append((time.perf_counter() - began) * 1000)
        worked.append((time.process_time() - working) * 1000)
    weight = len(answer.content) + sum(map(_sent, set(LOADED.findall(answer.content.decode()))))
    return PageTime(name, statistics.median(took), max(took), statistics.median(worked), queries, weight / 1000)


def _sent(url: str) -> int:
    """Bytes of a static file as a browser is sent it: compressed, where that is smaller."""
    if not url.startswith(settings.STATIC_URL):
        return len(Client(SERVER_NAME="localhost").get(url).content)
    file = Path(settings.STATIC_ROOT) / url.removeprefix(settings.STATIC_URL).partition("?")[0]
    forms = [file, *(one for ending in (".br", ".gz") if (one := file.with_name(file.name + ending)).exists())]
    return min(one.stat().st_size for one in forms)


# --- The customer ---


def _customer(meter: Meter, invoices: int, say: Callable[[str], None]) -> Customer:
    """Billed by the day up to three months ago, which makes so many invoices, and by the month since; nearly all are
    paid. What is there already stays."""
    if not meter.used_for_billing:
        save_meter(meter, changes={"used_for_billing": True})
    tax = save_tax_rate(changes={"key": "bench", "name": "Tax", "percent": "19"}) if not _has_plans() else None
    daily, monthly = _plan(meter, DAILY, interval="day"), _plan(meter, MONTHLY, interval="month")
    customer, _ = Customer.objects.get_or_create(key=CUSTOMER, defaults={"onboarded_at": timezone.now()})
    if tax is not None:
        set_billing_profile(customer, tax_rates=[tax], address="1 Bench Street")
    dataset.fill_one(customer, meter, say)
    user, is_new = User.objects.get_or_create(username=PERSON, defaults={"email": PERSON})
    if is_new:
        Membership.objects.create(user=user, customer=customer, role=Role.OWNER)
    turn = _first_of_months(timezone.now())
    if not Assignment.objects.filter(customer=customer).exists():
        first = turn - timedelta(days=max(invoices - MONTHS - 1, 1))
        for plan, starts_on, ends_on in ((daily, first, turn), (monthly, turn, None)):
            assignment = assign(customer=customer, plan=plan, starts_on=starts_on, ends_on=ends_on)
            while services.open_invoices(assignment):
                pass
    _close_all(customer, say)
    if not Alert.objects.filter(customer=customer).exists():
        set_budget(customer, amount=Decimal(1_000_000), actor="bench")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return customer


def _has_plans() -> bool:
    return Plan.objects.filter(key=MONTHLY).exists()


def _plan(meter: Meter, key: str, *, interval: str) -> Plan:
    plan, is_new = Plan.objects.get_or_create(key=key)
    if is_new:
        set_rate(draft_version(plan), product_item=meter.product_item, parameters=RATE)
        set_fee(draft_version(plan), key="platform", name="Platform", amount=Decimal(9))
        set_terms(draft_version(plan), interval=interval)
        activate(plan)
    return plan


def _first_of_months(now: datetime) -> date:
    """The first of the month MONTHS before this one."""
    month = now.year * 12 + now.month - 1 - MONTHS
    return date(month // 12, month % 12 + 1, 1)


def _close_all(customer: Customer, say: Callable[[str], None]) -> None:
    """Makes final what is over, at the end of its grace time, and pays what has been due for long."""
    now = timezone.now()
    over = Invoice.objects.filter(customer=customer, status__in=Invoice.LIVE, closes_at__lte=now)
    for done, invoice in enumerate(over.order_by("period_end"), start=1):
        closed = services.close(invoice.pk, now=invoice.closes_at)
        if closed.amount_due > 0 and closed.period_end < now - PAID_AFTER:
            paid_at = invoice.closes_at + PAID_IN
            # The statement has it on the day on which it is recorded.
            with time_machine.travel(paid_at, tick=False):
                record_payment(closed.pk, amount=closed.amount_due, actor="bench")
        if done % 100 == 0:
            say(f"{done:,} invoices are final")
    services.recalculate_many(list(customer.invoices.filter(status__in=Invoice.LIVE).values_list("pk", flat=True)))
