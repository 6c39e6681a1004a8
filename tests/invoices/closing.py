"""November's invoices that are about to become final, with everything that hangs on it; and what came of it."""

from datetime import date
from typing import Any

from invoices import due
from invoices.models import (
    CreditEntry,
    Invoice,
    InvoiceEvent,
    Mail,
    MailSetting,
    NumberSeries,
    OutboxEvent,
)
from invoices.webhooks.endpoints import create_endpoint
from meters.models import Customer
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate
from tests.factories import make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.late import at
from tests.invoices.plans import ONE_EACH, fee, plan_with
from tests.invoices.prepaid import check_ledger, prepaid

# The end of November's grace time, and a moment after it.
AFTER = at(12, 2, 1)
CLOSE = "from invoices.tasks import bills; bills.close_periods()"


def make_closing(*keys: str) -> list[Customer]:
    """Customers that are all the same: October is final, and usage has come late for it; November has usage, a fee, a
    promotion with a cap and a tax, and is paid by credits in part. Call it with the clock in November."""
    calls = make_meter()
    plan = plan_with("Basic", {calls: ONE_EACH}, fee("base", "7"))
    save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
    changes = {"key": "welcome", "name": "Welcome", "percent": "50", "cap": "20", "currency": "USD"}
    welcome = save_promotion(changes=changes)
    made = []
    for key in keys:
        customer = make_customer(key, email=f"{key}@example.com")
        apply_promotion(customer=customer, promotion=welcome, starts_on=date(2026, 10, 1))
        put_on(customer, plan, date(2026, 10, 1))
        made.append(customer)
    for customer in made:
        send(customer.key, "ApiCalls", 10, time=at(10, 5))
    run_sweep()
    run_sweep()
    create_endpoint(url="http://127.0.0.1:9/hook", allow_private=True)
    MailSetting.objects.create(kind=MailSetting.Kind.INVOICE_FINALIZED, enabled=True)
    for customer in made:
        prepaid(customer, "30")
        send(customer.key, "ApiCalls", 100, time=at(11, 20))
        send(customer.key, "ApiCalls", 4, time=at(10, 6))
    assert due.due_invoices(at(11, 22), 10) == []
    return made


def november(customer: Customer) -> Invoice:
    return customer.invoices.get(period_start=at(11, 1, 0), is_correction=False)


def outcome(customer: Customer) -> dict[str, Any]:
    """All that became of November's invoice and hangs on it, but for its number and ids."""
    invoice = november(customer)
    number = invoice.number
    lines = invoice.lines.order_by("position")
    about = f"invoice:{invoice.pk}"
    entries = CreditEntry.objects.filter(grant__customer=customer).order_by("id")
    return {
        "status": invoice.status,
        "lines": [(line.kind, line.fee_key, line.quantity, line.amount) for line in lines],
        "settled": (invoice.subtotal, invoice.total, invoice.credits_applied, invoice.amount_due, invoice.due_on),
        "state": (invoice.payment_status, invoice.finalized_at, invoice.frozen_terms is None),
        "history": [one.kind for one in InvoiceEvent.objects.filter(invoice=invoice).order_by("id")],
        "ledger": list(entries.values_list("kind", "amount", "balance")),
        "told": [
            (one.type, one.data.get("number") == number, one.data.get("total"))
            for one in OutboxEvent.objects.filter(about=about).order_by("id")
        ],
        "mails": [(one.kind, number in one.subject + one.text) for one in Mail.objects.filter(about=about)],
        "opened": customer.invoices.filter(period_start=at(12, 1, 0)).count(),
        "corrected": [
            (one.kind, one.amount) for one in customer.invoices.get(period_start=at(10, 1, 0)).corrections.all()
        ],
    }


def check_nothing_of_it(customer: Customer) -> None:
    """Its invoice is not final, and nothing is there that belongs to a final one."""
    found = outcome(customer)
    assert found["status"] in Invoice.LIVE
    assert november(customer).number == ""
    assert not {"finalized", "credits drawn", "payment status"} & set(found["history"])
    assert found["history"].count("grace") <= 1
    assert [entry[0] for entry in found["ledger"]] == ["granted"]
    assert {kind for kind, *_ in found["told"]} <= {"invoice.updated"}
    assert found["mails"] == []


def check_whole(customer: Customer) -> None:
    """Its invoice is final, with all that belongs to it, once."""
    found = outcome(customer)
    assert found["status"] == "final"
    # 100 calls and the fee, $20 in all off (of which October has 17/2, and more by what came late), and 19%.
    assert sum(line[3] for line in found["lines"]) == found["settled"][1]
    assert [entry[0] for entry in found["ledger"]] == ["granted", "drawn"]
    assert found["settled"][2] == 30
    for kind in ("opened", "grace", "finalized", "credits drawn", "payment status"):
        assert found["history"].count(kind) == 1, kind
    told = [one for one in found["told"] if one[0] != "invoice.updated"]
    assert told == [("invoice.finalized", True, str(found["settled"][1]))]
    assert found["mails"] == [("invoice_finalized", True)]
    check_ledger()


def check_numbers() -> None:
    """Every number up to the last one is there, once."""
    for series in NumberSeries.objects.filter(series="invoice"):
        numbers = Invoice.objects.filter(number__startswith=f"{series.year}-").order_by("number")
        wanted = [f"{series.year}-{number:04}" for number in range(1, series.last + 1)]
        assert list(numbers.values_list("number", flat=True)) == wanted


def numbers_of(customers: list[Customer]) -> list[str]:
    return sorted(november(customer).number for customer in customers)
