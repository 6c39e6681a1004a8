"""`GET /v1/statements/{customer}`."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from invoices.api.statement_examples import STATEMENT
from invoices.models import Invoice
from invoices.services import open_invoices
from invoices.settling.payments import record_payment
from meters.keys import create_api_key
from meters.models import Customer
from tests.factories import make_customer, run_sweep, send
from tests.invoices.prepaid import prepaid
from tests.invoices.settled import DECEMBER, MID_NOVEMBER, make_bill

pytestmark = pytest.mark.django_db
NOW = DECEMBER + timedelta(days=2)


@pytest.fixture
def bill() -> Any:
    """November's, of 110.85, final on 3 December; 10.00 of it paid the day after."""
    with time_machine.travel(MID_NOVEMBER, tick=False) as clock:
        invoice = make_bill()
        clock.move_to(NOW)
        record_payment(invoice.pk, amount=Decimal(10), reference="TX-1", actor="ben")
        open_invoices(invoice.assignment, now=NOW)
        send("acme", "ApiCalls", 7, now=NOW)
        run_sweep()
        yield invoice


def key_of(customer: Customer) -> APIClient:
    _, text = create_api_key(name="theirs", scopes=["read"], customer=customer)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def test_this_month(bill: Invoice, api: Any) -> None:
    prepaid(bill.customer, 5)
    answer = api("read").get("/v1/statements/acme").json()
    assert {name: answer[name] for name in ("customer", "currency", "from", "to", "as_of", "time_zone")} == {
        "customer": "acme",
        "currency": "USD",
        "from": "2026-12-01T00:00:00Z",
        "to": "2027-01-01T00:00:00Z",
        "as_of": "2026-12-05T09:00:00Z",
        "time_zone": "UTC",
    }
    assert (answer["opening_balance"], answer["closing_balance"], answer["credits_left"]) == ("0.00", "100.85", "5.00")
    assert [(one["kind"], one["day"], one["amount"], one["balance"]) for one in answer["entries"]] == [
        ("invoice", "2026-12-03", "110.85", "110.85"),
        ("payment", "2026-12-05", "-10.00", "100.85"),
    ]
    assert answer["entries"][1]["reference"] == "TX-1"
    running = answer["running"]
    assert (running["total"], running["credits"], running["left"]) == ("7.50", "5.00", "2.50")
    assert [(one["plan"], one["total"], len(one["lines"])) for one in running["invoices"]] == [("Basic", "7.50", 4)]


def test_a_span(bill: Invoice, api: Any) -> None:
    answer = api("read").get(
        "/v1/statements/acme",
        {"from": "2026-12-04T00:00:00Z", "to": "2026-12-05T10:00:00+01:00", "currency": "USD"},
    )
    read = answer.json()
    assert (read["opening_balance"], read["closing_balance"], read["entries"]) == ("110.85", "110.85", [])
    assert read["as_of"] == read["to"] == "2026-12-05T09:00:00Z"
    named = api("read").get("/v1/statements/acme", {"period": "2026-11"}).json()
    assert (named["from"], named["closing_balance"], named["running"]["invoices"]) == (
        "2026-11-01T00:00:00Z",
        "0.00",
        [],
    )


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({"currency": "usd"}, "currency"),
        ({"currency": "DOLLARS"}, "currency"),
        ({"from": "2026-12-04"}, "from"),
        ({"from": "2026-12-04T00:00:00Z", "to": "2026-12-04T00:00:00Z"}, "to"),
        ({"period": "2026-11", "to": "2026-12-04T00:00:00Z"}, "period"),
        ({"month": "2026-11"}, "month"),
    ],
)
def test_what_is_wrong_is_named(bill: Invoice, api: Any, query: dict[str, str], parameter: str) -> None:
    answer = api("read").get("/v1/statements/acme", query)
    assert answer.status_code == 400
    (fault,) = answer.json()["errors"]
    assert parameter in str(fault)


def test_another_currency_and_a_customer_without_invoices(bill: Invoice, api: Any) -> None:
    client = api("read")
    yen = client.get("/v1/statements/acme", {"currency": "JPY"}).json()
    assert (yen["closing_balance"], yen["entries"], yen["running"]["total"]) == ("0", [], "0")
    make_customer("a/b")
    empty = client.get("/v1/statements/a/b").json()
    assert (empty["customer"], empty["currency"], empty["closing_balance"]) == ("a/b", "USD", "0.00")
    assert client.get("/v1/statements/nobody").status_code == 404


def test_a_key_of_one_customer_reads_its_own(bill: Invoice, api: Any) -> None:
    stranger = make_customer("globex")
    own = key_of(bill.customer).get("/v1/statements/acme")
    assert own.status_code == 200
    assert "TX-1" not in own.content.decode()
    for name in ("acme", "nobody"):
        refused = key_of(stranger).get(f"/v1/statements/{name}")
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_customer")
    assert api("ingest").get("/v1/statements/acme").status_code == 403
    assert APIClient().get("/v1/statements/acme").status_code == 401


def test_the_example_says_what_there_is(bill: Invoice, api: Any) -> None:
    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shape(one) for name, one in sorted(value.items())}
        return [shape(value[0])] if isinstance(value, list) else type(value).__name__

    assert shape(STATEMENT) == shape(api("read").get("/v1/statements/acme").json())
