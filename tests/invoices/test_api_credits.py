"""`/v1/credits`: granted once, read by those who may, voided; balances, the ledger, and when credit is low."""

from datetime import date, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from invoices.api.credit_examples import BALANCE, CREDIT, ENTRY, NEW_CREDIT, NEW_RULE, RULE
from invoices.models import CreditGrant, CreditRule, Invoice
from meters.keys import create_api_key
from meters.models import Customer
from tests.factories import make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, plan_with
from tests.invoices.prepaid import finalized, prepaid
from tests.pricing.calls import Api, ok, pointers

pytestmark = pytest.mark.django_db
NEW = {"customer": "acme", "name": "Prepaid", "currency": "USD", "amount": "100"}


@pytest.fixture
def acme(november: object) -> Customer:
    """It owes $40 so far."""
    customer = make_customer("acme")
    put_on(customer, plan_with("Basic", {make_meter(): ONE_EACH}), date(2026, 11, 1))
    send("acme", "ApiCalls", 40)
    run_sweep()
    return customer


@pytest.fixture
def client(api: Api, acme: Customer) -> APIClient:
    return api("read", "write")


def client_of(customer: Customer) -> APIClient:
    _, text = create_api_key(name="theirs", scopes=["read"], customer=customer)
    made = APIClient()
    made.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return made


def post(client: APIClient, **changes: Any) -> Any:
    return client.post("/v1/credits", NEW | changes, format="json")


class TestGrants:
    def test_the_example_is_taken_and_answered(self, client: APIClient) -> None:
        body = ok(client.post("/v1/credits", NEW_CREDIT, format="json"), 201)
        assert set(body) == set(CREDIT)
        assert body["created_at"] == body["starts_at"] == "2026-11-22T14:30:00Z"
        told = ("left", "id", "actor", "starts_at", "created_at")
        assert {name: body[name] for name in body if name not in told} == {
            name: CREDIT[name] for name in CREDIT if name not in told
        }
        assert body["actor"] == "test"

    def test_sent_again_it_grants_nothing(self, client: APIClient) -> None:
        first = ok(post(client, reference="order-17"), 201)
        assert ok(post(client, reference="order-17")) == first
        assert pointers(post(client, reference="order-17", amount="99")) == {"/reference"}
        assert CreditGrant.objects.count() == 1

    def test_a_top_up_says_so(self, client: APIClient) -> None:
        assert ok(post(client, source="top_up"), 201)["source"] == "top_up"
        assert ok(post(client), 201)["source"] == "api"

    @pytest.mark.parametrize(
        ("pointer", "changes"),
        [
            ("/customer", {"customer": "nobody"}),
            ("/amount", {"amount": 10.5}),
            ("/amount", {"amount": "0"}),
            ("/amount", {"amount": "0.001"}),
            ("/amount", {"amount": "-3"}),
            ("/currency", {"currency": "XXX"}),
            ("/price_paid", {"price_paid": "-3"}),
            ("/priority", {"priority": -1}),
            ("/priority", {"priority": 99_999}),
            ("/expires_at", {"expires_at": "2026-01-01T00:00:00Z"}),
            ("/expires_at", {"expires_at": "tomorrow"}),
            ("/product_items/0", {"product_items": ["Nothing"]}),
            ("/source", {"source": "staff"}),
            ("/source", {"source": "invoice"}),
            ("/left", {"left": "5"}),
            ("/name", {"name": ""}),
        ],
    )
    def test_what_is_refused(self, client: APIClient, pointer: str, changes: Any) -> None:
        found = pointers(post(client, **changes))
        assert found == {pointer} or (pointer.startswith("/product_items") and found == {"/product_items"})
        assert not CreditGrant.objects.exists()

    def test_lists_newest_first_by_customer_and_currency(self, client: APIClient, acme: Customer) -> None:
        first, second = prepaid(acme, "10"), prepaid(acme, "20", currency="EUR", reference="x")
        other = prepaid(make_customer("globex"), "5")
        for query, expected in (
            ({}, [other, second, first]),
            ({"customer": "acme"}, [second, first]),
            ({"customer": "acme", "currency": "USD"}, [first]),
            ({"reference": "x"}, [second]),
        ):
            assert [row["id"] for row in ok(client.get("/v1/credits", query))["data"]] == [one.pk for one in expected]
        assert client.get("/v1/credits", {"customers": "acme"}).status_code == 400
        assert client.get("/v1/credits/999").status_code == 404

    def test_void_takes_back_the_rest(self, client: APIClient, acme: Customer) -> None:
        grant = prepaid(acme, "100")
        finalized(acme)
        body = ok(client.post(f"/v1/credits/{grant.pk}/void", {"reason": "Paid back"}, format="json"))
        assert (body["left"], body["voided_at"]) == ("0.00", "2026-11-22T14:30:00Z")
        (entry, *_) = ok(client.get("/v1/credit-entries", {"credit": grant.pk}))["data"]
        assert (entry["kind"], entry["amount"], entry["note"], entry["actor"]) == (
            "voided",
            "-60.00",
            "Paid back",
            "test",
        )
        assert client.post(f"/v1/credits/{grant.pk}/void").status_code == 400
        assert client.post("/v1/credits/999/void").status_code == 404


class TestWhoMay:
    def test_a_key_of_one_customer_reads_its_own(self, acme: Customer) -> None:
        globex = make_customer("globex")
        grant, theirs = prepaid(acme, "10"), prepaid(globex, "20")
        client = client_of(acme)
        (row,) = ok(client.get("/v1/credits"))["data"]
        assert row["id"] == grant.pk
        assert "actor" not in row
        assert client.get(f"/v1/credits/{theirs.pk}").status_code == 404
        assert client.get("/v1/credits", {"customer": "globex"}).status_code == 403
        (entry,) = ok(client.get("/v1/credit-entries"))["data"]
        assert not {"actor", "note"} & set(entry)
        assert client.get("/v1/credit-entries", {"customer": "globex"}).status_code == 403
        assert ok(client.get("/v1/credit-entries", {"credit": theirs.pk}))["data"] == []
        assert ok(client.get("/v1/credit-balances/acme"))["balances"][0]["amount"] == "10.00"
        assert client.get("/v1/credit-balances/globex").status_code == 403

    def test_it_grants_and_voids_nothing(self, acme: Customer) -> None:
        grant = prepaid(acme, "10")
        client = client_of(acme)
        assert post(client).status_code == 403
        assert client.post(f"/v1/credits/{grant.pk}/void").status_code == 403
        assert client.get("/v1/credit-rules/acme").status_code == 403
        assert client.put("/v1/credit-rules/acme", NEW_RULE, format="json").status_code == 403

    def test_scopes(self, api: Api, acme: Customer) -> None:
        assert post(api("read")).status_code == 403
        assert api("write").get("/v1/credits").status_code == 403
        assert APIClient().get("/v1/credits").status_code == 401


class TestReading:
    def test_a_balance_with_an_estimate(self, client: APIClient, acme: Customer) -> None:
        item = acme.invoices.get().lines.get().product_item
        assert item is not None
        prepaid(acme, "30", product_items=[item], expires_at=NOW + timedelta(days=90))
        prepaid(acme, "5", starts_at=NOW + timedelta(days=60))
        body = ok(client.get("/v1/credit-balances/acme"))
        assert set(body) == set(BALANCE)
        (balance,) = body["balances"]
        assert balance == {
            "currency": "USD",
            "amount": "30.00",
            "restricted": "30.00",
            "pending": "5.00",
            "expires_next": {"at": "2027-02-20T14:30:00Z", "amount": "30.00"},
        }
        (estimate,) = body["estimates"]
        assert set(estimate) == set(BALANCE["estimates"][0])  # type: ignore[index,call-overload]
        assert (estimate["invoice"], estimate["amount"]) == (Invoice.objects.get().pk, "30.00")

    def test_without_credits_it_is_empty(self, client: APIClient) -> None:
        assert ok(client.get("/v1/credit-balances/acme")) == {"customer": "acme", "balances": [], "estimates": []}
        assert client.get("/v1/credit-balances/nobody").status_code == 404

    def test_the_ledger_of_an_invoice(self, client: APIClient, acme: Customer) -> None:
        prepaid(acme, "100")
        invoice = finalized(acme)
        (entry,) = ok(client.get("/v1/credit-entries", {"invoice": invoice.pk}))["data"]
        assert set(entry) == set(ENTRY)
        assert (entry["kind"], entry["amount"], entry["left"]) == ("drawn", "-40.00", "60.00")
        assert (entry["invoice"], entry["invoice_number"]) == (invoice.pk, invoice.number)
        kinds = [row["kind"] for row in ok(client.get("/v1/credit-entries", {"customer": "acme"}))["data"]]
        assert kinds == ["drawn", "granted"]
        assert len(ok(client.get("/v1/credit-entries", {"kind": "granted"}))["data"]) == 1
        assert client.get("/v1/credit-entries", {"credit": "one"}).status_code == 400

    def test_keys_with_slashes(self, client: APIClient) -> None:
        prepaid(make_customer("eu/acme"), "10")
        assert ok(client.get("/v1/credit-balances/eu/acme"))["balances"][0]["amount"] == "10.00"


class TestRules:
    def test_set_read_dropped(self, client: APIClient) -> None:
        assert client.get("/v1/credit-rules/acme").status_code == 404
        body = ok(client.put("/v1/credit-rules/acme", NEW_RULE, format="json"))
        assert set(body) == set(RULE)
        assert (body["low_below"], body["top_up"], body["is_low"]) == ("20", "100", True)
        prepaid(Customer.objects.get(), "500")
        assert ok(client.get("/v1/credit-rules/acme")) == RULE
        body = ok(client.put("/v1/credit-rules/acme", {"currency": "USD", "low_below": "5"}, format="json"))
        assert (body["low_below"], body["top_up"]) == ("5", None)
        assert client.delete("/v1/credit-rules/acme").status_code == 204
        assert client.delete("/v1/credit-rules/acme").status_code == 404
        assert not CreditRule.objects.exists()

    @pytest.mark.parametrize(
        ("pointer", "changes"),
        [
            ("/currency", {"currency": "usd"}),
            ("/low_below", {"low_below": "0"}),
            ("/low_below", {"low_below": 1.5}),
            ("/top_up", {"top_up": "0.001"}),
            ("/told_at", {"told_at": "2026-11-22T14:30:00Z"}),
            ("/threshold", {"threshold": "5"}),
        ],
    )
    def test_what_is_refused(self, client: APIClient, pointer: str, changes: Any) -> None:
        assert pointers(client.put("/v1/credit-rules/acme", NEW_RULE | changes, format="json")) == {pointer}

    def test_of_nobody(self, client: APIClient) -> None:
        assert client.put("/v1/credit-rules/nobody", NEW_RULE, format="json").status_code == 404
