"""`GET /v1/invoices`: lines, steps and words, newest first."""

import pytest
from rest_framework.test import APIClient

from invoices.models import Invoice
from meters import keys
from meters.keys import create_api_key
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, run_sweep, send

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _billed() -> None:
    make_plan("AwesomeIntegrationApi", {make_meter(): STORY_RATE}, is_default=True)
    make_customer("acme")
    make_customer("globex")
    send("acme", "ApiCalls", 12300)
    run_sweep()


def test_an_invoice_with_its_lines_steps_and_words(api) -> None:
    answer = api("read").get("/v1/invoices", {"customer": "acme"})
    assert answer.status_code == 200
    (invoice,) = answer.json()["data"]
    assert (invoice["status"], invoice["number"], invoice["currency"]) == ("open", "", "USD")
    assert (invoice["customer"], invoice["plan"], invoice["plan_version"]) == ("acme", "AwesomeIntegrationApi", 1)
    assert (invoice["total"], invoice["usage_version"]) == ("40.00", 1)
    assert invoice["lines"] == [
        {
            "position": 1,
            "kind": "usage",
            "meter": "ApiCalls",
            "where": {},
            "fee": None,
            "promotion": None,
            "tax_rate": None,
            "corrects": None,
            "name": "ApiCalls",
            "unit": "calls",
            "quantity": "12300",
            "amount": "40.00",
            "rate": STORY_RATE,
            "steps": [
                {"kind": "included", "quantity": "5000", "of": "5000", "amount": "0"},
                {
                    "kind": "blocks",
                    "quantity": "7300",
                    "blocks": "8",
                    "block_size": "1000",
                    "block_price": "5",
                    "partial_block": "round_up",
                    "amount": "40",
                },
            ],
            "explanation": [
                "5,000 of 5,000 free calls used.",
                "7,300 calls = 8 blocks x $5.00 = $40.00.",
                "A started block counts in full.",
            ],
        }
    ]


def test_one_customer_sees_only_its_own(api) -> None:
    (invoice,) = api("read").get("/v1/invoices", {"customer": "globex"}).json()["data"]
    assert (invoice["customer"], invoice["total"]) == ("globex", "0.00")


def test_by_status_and_by_id(api) -> None:
    client = api("read")
    assert client.get("/v1/invoices", {"customer": "acme", "status": "final"}).json()["data"] == []
    one = Invoice.objects.get(customer__key="acme")
    assert client.get(f"/v1/invoices/{one.pk}").json()["total"] == "40.00"
    assert client.get("/v1/invoices/999999").status_code == 404
    assert client.post("/v1/invoices", {}).status_code in (403, 405)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [({}, "/customer"), ({"customer": "nobody"}, "/customer"), ({"customer": "acme", "status": "paid"}, "/status")],
    ids=str,
)
def test_bad_input_names_the_parameter(api, query: dict, pointer: str) -> None:
    answer = api("read").get("/v1/invoices", query)
    assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (400, [pointer])


def test_a_page_asks_the_same_of_the_database_however_long_it_is(api, django_assert_num_queries) -> None:
    customer = live_invoice(Invoice.objects.get(customer__key="acme").customer).customer
    template = live_invoice(customer)
    for years in range(1, 20):
        Invoice.objects.create(
            customer=customer,
            assignment=template.assignment,
            plan_version=template.plan_version,
            period_start=template.period_start.replace(year=template.period_start.year - years, day=1),
            period_end=template.period_end.replace(year=template.period_end.year - years),
            closes_at=template.closes_at,
            time_zone="UTC",
            currency="USD",
        )
    client = api("read")
    client.get("/v1/invoices", {"customer": "acme"})
    keys.forget()
    with django_assert_num_queries(4):  # key, customer, invoices, lines
        assert len(client.get("/v1/invoices", {"customer": "acme"}).json()["data"]) == 20


def test_a_key_of_one_customer_reads_its_own_invoices_and_no_others(api) -> None:
    acme = Invoice.objects.get(customer__key="acme")
    others = Invoice.objects.get(customer__key="globex")
    _, text = create_api_key(name="k", scopes=["read"], customer=acme.customer)
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=text)
    for query in ({}, {"customer": "acme"}):
        assert [row["customer"] for row in client.get("/v1/invoices", query).json()["data"]] == ["acme"]
    answer = client.get("/v1/invoices", {"customer": "globex"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_customer")
    assert client.get(f"/v1/invoices/{acme.pk}").status_code == 200
    assert client.get(f"/v1/invoices/{others.pk}").status_code == 404
    assert api("read").get(f"/v1/invoices/{others.pk}").status_code == 200
