"""The staff page of an invoice with lines of all kinds."""

import html
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from invoices.models import Invoice
from meters.models import Customer
from pricing.models import Plan
from pricing.plans import activate, draft_version, set_fee, set_rate, set_terms
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate, set_billing_profile
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send

pytestmark = pytest.mark.django_db

EUROPE = {"region": ["eu", "uk"]}


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(datetime(2026, 11, 22, 14, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def acme() -> Customer:
    """On a plan with a price for Europe alone, a fee, a commitment that is exceeded, a discount and a tax; the first
    ten days of November are a trial."""
    item = make_meter(dimensions=["region"]).product_item
    plan = Plan.objects.create(key="Everything")
    version = draft_version(plan)
    set_rate(version, product_item=item, parameters={"model": "per_unit", "unit_price": "2"}, where=EUROPE)
    set_fee(version, key="seats", name="Seats", amount=Decimal(30), quantity=Decimal(3), unit="seats")
    set_fee(version, key="support", name="Support", kind="percent", percent=Decimal(10))
    set_terms(version, trial_days=10, commitment="60", overage_factor="1.5")
    activate(plan)
    customer = make_customer("acme", name="Acme")
    put_on(customer, plan, date(2026, 11, 1))
    changes = {"key": "five", "name": "Five off", "kind": "amount", "amount": 5, "currency": "USD"}
    apply_promotion(customer=customer, promotion=save_promotion(changes=changes))
    vat = save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": 19})
    set_billing_profile(customer, legal_name="Acme <Ltd>", address="1 Road\nTown", tax_id="GB1", tax_rates=[vat])
    send("acme", "ApiCalls", 7, region="eu", time=datetime(2026, 11, 10, 12, tzinfo=UTC))
    send("acme", "ApiCalls", 10, region="uk")
    send("acme", "ApiCalls", 4, region="us")
    run_sweep()
    return customer


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


def page(staff: Client, invoice: Invoice) -> str:
    content = staff.get(f"/admin/invoices/invoice/{invoice.pk}/change/").content.decode()
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", content)).split())


def test_each_line_says_what_it_is_and_how_it_comes_about(staff: Client, acme: Customer) -> None:
    shown = page(staff, live_invoice(acme))
    lines = [
        "ApiCalls region: eu or uk 10 calls $20.00 $2.00 per call Per call 10 calls x $2.00 $20.00",
        "ApiCalls Usage in the trial 7 calls $0.00 Trial 7 calls in the trial $0.00",
        "ApiCalls all the rest 4 calls $0.00 Unpriced usage",
        "Seats Fee 3 seats $60.00 3 seats x $30.00 for 20 of 30 days",
        "Support Fee $8.00 10% of $80.00",
        "Five off Promotion -$5.00 $5.00 off",
        "Beyond the commitment $21.50 $43.00 beyond the agreed $40.00 for 20 of 30 days, times 1.5",
        "Subtotal $104.50 VAT 19% of $104.50 $19.86 Total so far $124.36",
    ]
    places = [shown.find(line) for line in lines]
    assert -1 not in places, lines[places.index(-1)]
    assert places == sorted(places)


def test_it_says_to_whom_the_invoice_is_written(staff: Client, acme: Customer) -> None:
    invoice = live_invoice(acme)
    assert "Billed to: Acme <Ltd> 1 Road Town Tax ID GB1 " in page(staff, invoice)
    Invoice.objects.update(status=Invoice.Status.VOID, customer_name="")
    assert "Billed to: Acme Plan:" in page(staff, invoice)


def test_the_page_asks_the_same_whatever_its_lines_are(
    staff: Client, acme: Customer, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    invoice = live_invoice(acme)
    page(staff, invoice)
    # Of these, two say what the lines are about, and two which of them nothing prices.
    with django_assert_max_num_queries(12):
        page(staff, invoice)
