"""`GET /v1/invoices`: lines of all kinds, each with what it is about, its steps and its words."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from invoices.api.examples import INVOICE
from invoices.models import Invoice
from invoices.services import close
from meters.models import Customer
from pricing.models import AppliedPromotion, Plan, Promotion, TaxRate
from pricing.plans import activate, draft_version, set_fee, set_rate, set_terms
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate, set_billing_profile
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, put_on, run_sweep, send

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 14, 0, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def welcome() -> Promotion:
    return save_promotion(changes={"key": "welcome", "name": "Welcome", "kind": "percent", "percent": "10"})


@pytest.fixture
def vat() -> TaxRate:
    return save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19"})


@pytest.fixture
def acme() -> Customer:
    return make_customer("acme", name="Acme Retail")


def make_plan(key: str = "AwesomeIntegrationApi", **terms: Any) -> Plan:
    """The story's price, a fee of $20, and these terms."""
    plan = Plan.objects.create(key=key)
    version = draft_version(plan)
    set_rate(version, product_item=make_meter().product_item, parameters=STORY_RATE)
    set_fee(version, key="platform", name="Platform", amount=Decimal(20))
    set_terms(version, **terms)
    activate(plan)
    return plan


def read(api: Any, customer: Customer) -> dict[str, Any]:
    (invoice,) = api("read").get("/v1/invoices", {"customer": customer.key, "status": "open"}).json()["data"]
    return dict(invoice)


def test_the_example_of_the_api_document_is_a_real_invoice(
    api: Any, acme: Customer, welcome: Promotion, vat: TaxRate
) -> None:
    put_on(acme, make_plan(), date(2026, 11, 1))
    apply_promotion(customer=acme, promotion=welcome)
    set_billing_profile(acme, tax_rates=[vat], address="1 Market Street")
    send("acme", "ApiCalls", 12300)
    run_sweep()
    assert read(api, acme) | {"id": INVOICE["id"]} == INVOICE


def test_usage_in_the_trial_and_a_minimum_are_lines_of_their_own(api: Any, acme: Customer) -> None:
    put_on(acme, make_plan(trial_days=10, minimum="60"), date(2026, 11, 1))
    send("acme", "ApiCalls", 700, time=datetime(2026, 11, 10, 23, 59, tzinfo=UTC))
    run_sweep()
    invoice = read(api, acme)
    assert [(line["kind"], line["meter"], line["fee"], line["quantity"]) for line in invoice["lines"]] == [
        ("usage", "ApiCalls", None, "0"),
        ("trial", "ApiCalls", None, "700"),
        ("fee", None, "platform", "1"),
        ("true_up", None, None, None),
    ]
    assert [line["explanation"] for line in invoice["lines"]][1:] == [
        ["700 calls in the trial are free."],
        ["$20.00 for 20 of 30 days = $13.333333.", "$13.333333 is rounded to $13.33."],
        ["$13.33 raised to the agreed $40.00 for 20 of 30 days: $26.67 is added."],
    ]
    assert (invoice["subtotal"], invoice["total"]) == ("40.00", "40.00")


def test_each_filter_of_a_rate_has_its_line(api: Any, acme: Customer) -> None:
    plan = Plan.objects.create(key="Regions")
    item = make_meter(dimensions=["region"]).product_item
    version = draft_version(plan)
    set_rate(version, product_item=item, parameters={"model": "per_unit", "unit_price": "1"})
    europe = {"region": ["eu", "uk"]}
    set_rate(version, product_item=item, parameters={"model": "per_unit", "unit_price": "2"}, where=europe)
    activate(plan)
    put_on(acme, plan, date(2026, 11, 1))
    for region in ("eu", "uk", "us"):
        send("acme", "ApiCalls", 5, region=region)
    run_sweep()
    lines = read(api, acme)["lines"]
    assert [(line["where"], line["quantity"], line["amount"]) for line in lines] == [
        (europe, "10", "20.00"),
        ({}, "5", "5.00"),
    ]


def test_a_final_invoice_keeps_to_whom_it_was_written(api: Any, acme: Customer, welcome: Promotion) -> None:
    put_on(acme, make_plan(), date(2026, 11, 1))
    set_billing_profile(acme, legal_name="Acme Retail Ltd", tax_id="GB123", tax_note="Reverse charge.", address="Here")
    apply_promotion(customer=acme, promotion=welcome)
    run_sweep()
    invoice = live_invoice(acme)
    for hours in (0, 48):
        close(invoice.pk, now=datetime(2026, 12, 1 + hours // 24, 1, tzinfo=UTC))
    set_billing_profile(acme, legal_name="Another", tax_id="", tax_note="", address="There")
    Customer.objects.filter(pk=acme.pk).update(name="Renamed")
    answer = api("read").get(f"/v1/invoices/{invoice.pk}").json()
    assert (answer["status"], answer["subtotal"]) == ("final", "18.00")
    assert answer["billed_to"] == {
        "name": "Acme Retail Ltd",
        "address": "Here",
        "tax_id": "GB123",
        "tax_note": "Reverse charge.",
    }


def test_a_page_asks_the_same_of_the_database_whatever_its_lines_are(
    api: Any, acme: Customer, welcome: Promotion, vat: TaxRate, django_assert_num_queries: Any
) -> None:
    put_on(acme, make_plan(), date(2026, 6, 1))
    apply_promotion(customer=acme, promotion=welcome, starts_on=date(2026, 11, 1))
    AppliedPromotion.objects.update(starts_on=date(2026, 6, 1))
    set_billing_profile(acme, tax_rates=[vat])
    run_sweep()
    run_sweep()
    assert Invoice.objects.filter(lines__promotion__isnull=False, lines__kind="promotion").count() >= 6
    client = api("read")
    client.get("/v1/invoices", {"customer": "acme"})
    with django_assert_num_queries(3):  # customer, invoices, lines
        assert len(client.get("/v1/invoices", {"customer": "acme"}).json()["data"]) == 6
