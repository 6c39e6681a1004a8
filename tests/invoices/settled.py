"""A final invoice to pay, to credit and to make void: November's, seen from December."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from invoices.models import CreditNote, Invoice
from invoices.services import close
from meters.models import Customer
from pricing.models import Plan
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate
from tests.factories import make_customer, make_meter, put_on, send
from tests.invoices.plans import ONE_EACH, plan_with

MID_NOVEMBER = datetime(2026, 11, 15, 12, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 3, 9, tzinfo=UTC)


def make_plan_of_two() -> Plan:
    """A dollar a call, half a dollar a gigabyte."""
    half = {"model": "per_unit", "unit_price": "0.5"}
    return plan_with("Basic", {make_meter(): ONE_EACH, make_meter("Storage", unit="GB"): half})


def make_bill(customer: str = "acme", *, plan: Plan | None = None, taxes: Any = ("19",), off: str = "10") -> Invoice:
    """A final invoice: calls 100.00, storage 3.50, 10% off, so 93.15, and 19% VAT of it, 17.70: 110.85."""
    plan = plan or make_plan_of_two()
    made = make_customer(customer)
    for number, percent in enumerate(taxes, start=1):
        changes = {"key": f"tax{number}", "name": f"Tax {number}", "percent": percent, "is_default": True}
        save_tax_rate(changes=changes)
    if off:
        changes = {"key": "welcome", "name": "Welcome", "kind": "percent", "percent": off}
        apply_promotion(customer=made, promotion=save_promotion(changes=changes), starts_on=date(2026, 11, 1))
    put_on(made, plan, date(2026, 11, 1))
    send(customer, "ApiCalls", 100, time=MID_NOVEMBER, now=MID_NOVEMBER)
    send(customer, "Storage", 7, time=MID_NOVEMBER, now=MID_NOVEMBER)
    return finalize(made)


def finalize(customer: Customer, now: datetime = DECEMBER) -> Invoice:
    """Takes its oldest live invoice to final."""
    invoice = Invoice.objects.filter(customer=customer, status__in=Invoice.LIVE).order_by("period_start", "id")[0]
    closed = close(invoice.pk, now=now)
    assert closed.status == Invoice.Status.FINAL
    return Invoice.objects.get(pk=closed.pk)


def lines_of(note: CreditNote) -> list[tuple[str, Decimal]]:
    return [(line.name, line.amount) for line in note.lines.all()]


def fresh(invoice: Invoice) -> Invoice:
    return Invoice.objects.get(pk=invoice.pk)
