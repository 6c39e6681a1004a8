"""The current bill of a customer in one currency: what its invoices that are not final come to so far, by plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Prefetch

from invoices.credit_balances import previews_of
from invoices.explained import TAXES, parts_of
from invoices.models import Invoice, InvoiceLine
from meters.models import Customer
from pricing.money import total_of

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class RunningLine:
    """`part` says which part of a product item's usage it is about."""

    line: InvoiceLine
    part: str

    @property
    def is_tax(self) -> bool:
        return self.line.kind in TAXES


@dataclass(frozen=True, slots=True)
class RunningBill:
    """One invoice that is not final. `credits` is what prepaid credits would pay of it, as it is now."""

    invoice: Invoice
    lines: Sequence[RunningLine]
    credits: Decimal

    @property
    def plan(self) -> str:
        return str(self.invoice.plan_version.plan.public_name)


@dataclass(frozen=True, slots=True)
class RunningBills:
    """An estimate as of `as_of`: all of it may change until the invoices are final."""

    bills: Sequence[RunningBill]
    as_of: datetime

    @property
    def total(self) -> Decimal:
        return total_of(bill.invoice.total for bill in self.bills)

    @property
    def credits(self) -> Decimal:
        return total_of(bill.credits for bill in self.bills)

    @property
    def left(self) -> Decimal:
        return total_of([self.total, self.credits.copy_negate()])


def running_bills(customer: Customer, currency: str, *, now: datetime, until: datetime | None = None) -> RunningBills:
    """The bills of all assignments, in the order of these and of their periods; those whose periods begin before
    `until`."""
    lines = InvoiceLine.objects.select_related("invoice").order_by("position")
    live = Invoice.objects.filter(customer=customer, currency=currency, status__in=Invoice.LIVE)
    if until is not None:
        live = live.filter(period_start__lt=until)
    found = live.order_by("assignment", "period_start", "id").select_related("plan_version__plan", "customer")
    invoices = list(found.prefetch_related(Prefetch("lines", lines)))
    previews = previews_of([customer.pk], now) if invoices else {}
    bills = []
    for invoice in invoices:
        stored = list(invoice.lines.all())
        parts = [RunningLine(line, part) for line, part in zip(stored, parts_of(stored), strict=True)]
        preview = previews.get(invoice.pk)
        bills.append(RunningBill(invoice, parts, preview.amount if preview else ZERO))
    return RunningBills(bills, now)
