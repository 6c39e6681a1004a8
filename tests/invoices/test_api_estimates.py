"""`POST /v1/plans/{key}/estimate`."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from invoices.models import Invoice
from meters.models import Meter
from pricing.models import Plan, TaxRate
from pricing.plans import draft_version, set_fee, set_rate, set_terms
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan

pytestmark = pytest.mark.django_db

URL = "/v1/plans/story/estimate"
PER_CALL = {"model": "per_unit", "unit_price": "0.002"}
CARDS = {"model": "percentage", "rate_percent": "1", "fixed_fee_per_event": "0.30"}


@pytest.fixture
def meter() -> Meter:
    return make_meter(dimensions=["source"])


@pytest.fixture
def plan(meter: Meter) -> Plan:
    return make_plan("story", {meter: STORY_RATE})


@pytest.fixture
def ask(api: Callable[..., APIClient], plan: Plan) -> Callable[..., Any]:
    client = api("read")

    def post(status: int = 200, **body: Any) -> Any:
        answer = client.post(URL, body, format="json")
        assert answer.status_code == status, answer.content
        return answer.json()

    return post


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer["errors"]]


def test_the_story(ask: Callable[..., Any]) -> None:
    (estimate,) = ask(usage=[{"meter": "ApiCalls", "quantity": "12300"}])["estimates"]
    assert (estimate["version"], estimate["status"], estimate["total"]) == (1, "active", "40.00")
    (line,) = estimate["lines"]
    assert (line["meter"], line["quantity"], line["amount"]) == ("ApiCalls", "12300", "40.00")
    assert line["explanation"][:2] == ["5,000 of 5,000 free calls used.", "7,300 calls = 8 blocks x $5.00 = $40.00."]
    assert not Invoice.objects.exists()


def test_the_draft_beside_the_active_version(ask: Callable[..., Any], plan: Plan, meter: Meter) -> None:
    draft = draft_version(plan)
    set_rate(draft, product_item=meter.product_item, parameters=PER_CALL)
    set_fee(draft, key="seats", name="Seats", kind="recurring", amount=Decimal(10), unit="seats")
    set_fee(draft, key="setup", name="Set-up", kind="one_time", amount=Decimal(99))
    set_fee(draft, key="support", name="Support", kind="percent", percent=Decimal(10))
    set_terms(draft, minimum=Decimal(100))
    answer = ask(usage=[{"meter": "ApiCalls", "quantity": 12300}], fees={"seats": "3"})
    active, drafted = answer["estimates"]
    assert (active["total"], drafted["version"], drafted["total"]) == ("40.00", 2, "100.00")
    assert [(line["kind"], line["amount"]) for line in drafted["lines"]] == [
        ("usage", "24.60"), ("fee", "30.00"), ("fee", "5.46"), ("true_up", "39.94"),
    ]  # fmt: skip
    (first,) = ask(usage=[], fees={}, versions=["draft"], first_period=True)["estimates"]
    assert [line["fee"] for line in first["lines"] if line["fee"]] == ["seats", "setup", "support"]


def test_what_is_typed_for_one_rate_is_added_up(ask: Callable[..., Any], plan: Plan, meter: Meter) -> None:
    item = meter.product_item
    set_rate(draft_version(plan), product_item=item, parameters=PER_CALL, where={"source": ["crm", "shop"]})
    usage = [
        {"meter": "ApiCalls", "quantity": "3000", "dimensions": {"source": name}} for name in ("crm", "shop", "erp")
    ]
    active, draft = ask(usage=usage)["estimates"]
    assert [line["quantity"] for line in active["lines"]] == ["9000"]
    assert [(line["where"], line["quantity"], line["amount"]) for line in draft["lines"]] == [
        ({"source": ["crm", "shop"]}, "6000", "12.00"),
        ({}, "3000", "0.00"),
    ]


def test_usage_without_a_price_is_a_line(ask: Callable[..., Any]) -> None:
    make_meter("Exports")
    (estimate,) = ask(usage=[{"meter": "Exports", "quantity": "7"}])["estimates"]
    assert [(line["kind"], line["quantity"]) for line in estimate["lines"]] == [("usage", "0"), ("unpriced", "7")]


def test_single_events(ask: Callable[..., Any], plan: Plan) -> None:
    payments = make_meter("Payments", unit="dollars")
    set_rate(draft_version(plan), product_item=payments.product_item, parameters=CARDS)
    used = {"meter": "Payments", "values": ["100", "50"]}
    (estimate,) = ask(usage=[used], versions=["draft"])["estimates"]
    assert (estimate["lines"][-1]["quantity"], estimate["total"]) == ("150", "2.10")
    refused = ask(400, usage=[{"meter": "Payments", "quantity": "150"}], versions=["draft"])
    assert pointers(refused) == ["/usage/0/values"]


def test_the_taxes_of_a_customer(ask: Callable[..., Any]) -> None:
    TaxRate.objects.create(key="vat", name="VAT", percent=20, is_default=True)
    make_customer("acme")
    asked = {"usage": [{"meter": "ApiCalls", "quantity": "12300"}]}
    assert ask(**asked)["estimates"][0]["total"] == "40.00"
    estimate = ask(**asked, customer="acme")["estimates"][0]
    assert (estimate["subtotal"], estimate["total"], estimate["lines"][-1]["tax_rate"]) == ("40.00", "48.00", "vat")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"usage": [{"meter": "Nothing", "quantity": "1"}]}, "/usage/0/meter"),
        ({"usage": [{"meter": "ApiCalls"}]}, "/usage/0/quantity"),
        ({"usage": [{"meter": "ApiCalls", "quantity": "-1"}]}, "/usage/0/quantity"),
        ({"usage": [{"meter": "ApiCalls", "quantity": 0.5}]}, "/usage/0/quantity"),
        ({"usage": [{"meter": "ApiCalls", "quantity": "NaN"}]}, "/usage/0/quantity"),
        ({"usage": [{"meter": "ApiCalls", "quantity": "1e25"}]}, "/usage/0/quantity"),
        ({"usage": [{"meter": "ApiCalls", "quantity": "5", "values": ["1", "2"]}]}, "/usage/0/quantity"),
        ({"usage": [{"meter": "ApiCalls", "values": ["1", "x"]}]}, "/usage/0/values/1"),
        ({"usage": [{"meter": "ApiCalls", "quantity": "1", "dimensions": {"city": "x"}}]}, "/usage/0/dimensions"),
        ({"usage": [{"meter": "ApiCalls", "quantity": "1", "colour": "red"}]}, "/usage/0/colour"),
        ({"usage": {"meter": "ApiCalls"}}, "/usage"),
        ({"fees": {"seats": "1"}}, "/fees/seats"),
        ({"versions": ["9"]}, "/versions/0"),
        ({"versions": ["active", "draft"]}, "/versions/1"),
        ({"customer": "nobody"}, "/customer"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(ask: Callable[..., Any], body: dict[str, Any], pointer: str) -> None:
    answer = ask(400, **body)
    assert pointers(answer) == [pointer]


def test_who_may(api: Callable[..., APIClient], plan: Plan) -> None:
    assert api("ingest").post(URL, {}, format="json").status_code == 403
    assert api("read").post("/v1/plans/nothing/estimate", {}, format="json").status_code == 404
    assert APIClient().post(URL, {}, format="json").status_code == 401
