"""The current bill of a customer in one currency: what its invoices that are not final come to so far, by plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Prefetch

from invoices.lines.explained import TAXES, is_usage, parts_of
from invoices.models import Invoice, InvoiceLine
from invoices.prepaid.balances import Balance, credits_of
from meters.models import Customer
from meters.words import instant_words
from pricing.money import format_money, total_of

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class RunningLine:
    """`part` says which part of a product item's usage it is about."""

    line: InvoiceLine
    part: str

    @property
    def is_tax(self) -> bool:
        return self.line.kind in TAXES

    @property
    def quantity(self) -> Decimal | None:
        """None where it says nothing: a fee without a unit, a discount and the like count nothing."""
        return self.line.quantity if is_usage(self.line) or self.line.unit else None


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
    """An estimate as of `as_of`: all of it may change until the invoices are final. `credits_left`: what there is of
    prepaid credits in the currency, before these are paid by them."""

    bills: Sequence[RunningBill]
    as_of: datetime
    credits_left: Balance | None

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
    prepaid = credits_of(customer, now)
    bills = []
    for invoice in invoices:
        stored = list(invoice.lines.all())
        parts = [RunningLine(line, part) for line, part in zip(stored, parts_of(stored), strict=True)]
        preview = prepaid.previews.get(invoice.pk)
        bills.append(RunningBill(invoice, parts, preview.amount if preview else ZERO))
    left = next((one for one in prepaid.balances if one.currency == currency), None)
    return RunningBills(bills, now, left)


def credits_words(running: RunningBills, zone: ZoneInfo) -> str:
    """ "Prepaid credits left on 2 Dec 2026, 14:02 UTC: $40.00, $5.00 of it for some items only."; nothing without."""
    left = running.credits_left
    if left is None:
        return ""
    said = f"Prepaid credits left on {instant_words(running.as_of, zone)}: {format_money(left.amount, left.currency)}"
    if left.restricted:
        said += f", {format_money(left.restricted, left.currency)} of it for some items only"
    if left.pending:
        said += f"; {format_money(left.pending, left.currency)} more later"
    if left.expires_at is not None:
        said += f"; {format_money(left.expiring, left.currency)} expires {instant_words(left.expires_at, zone)}"
    return f"{said}."
