"""Who reads which figures of `/v1/usage`."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from meters.keys import create_api_key
from meters.models import ApiKey, Customer
from tests.factories import make_customer, make_meter, send

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def restricted(customer: Customer, *scopes: str) -> APIClient:
    _, text = create_api_key(name="theirs", scopes=list(scopes))
    ApiKey.objects.filter(name="theirs").update(customer=customer)
    client = APIClient()
    client.credentials(HTTP_X_API_KEY=text)
    return client


@pytest.fixture(autouse=True)
def _two():
    with time_machine.travel(NOW, tick=False):
        make_meter()
        for key, value in (("acme", 5), ("globex", 70)):
            make_customer(key)
            send(key, "ApiCalls", value, time=NOW)
        yield


@pytest.mark.parametrize("query", [{}, {"customer": "acme"}, {"group_by": "customer"}], ids=str)
def test_a_key_of_one_customer_reads_that_one(query: dict) -> None:
    client = restricted(Customer.objects.get(key="acme"), "read")
    for answer in (
        client.get("/v1/usage", {"meter": "ApiCalls"} | query),
        client.post("/v1/usage", {"meter": "ApiCalls"} | query, format="json"),
    ):
        assert answer.status_code == 200
        assert ([row["value"] for row in answer.json()["data"]], answer.json()["customers"]) == (["5"], ["acme"])
        assert answer.json()["total"]["value"] == "5"


@pytest.mark.parametrize("customer", ["globex", "nobody", "ACME", ["acme", "globex"]], ids=str)
def test_and_no_other_whether_it_exists_or_not(customer: Any) -> None:
    client = restricted(Customer.objects.get(key="acme"), "read")
    query = {"meter": "ApiCalls", "customer": customer}
    for answer in (client.get("/v1/usage", query), client.post("/v1/usage", query, format="json")):
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_customer")
        assert "globex" not in answer.content.decode()


def test_the_zone_of_a_key_of_one_customer_is_the_customers() -> None:
    client = restricted(make_customer("berlin", time_zone="Europe/Berlin"), "read")
    assert client.get("/v1/usage", {"meter": "ApiCalls"}).json()["time_zone"] == "Europe/Berlin"


@pytest.mark.parametrize("scopes", [("ingest",), ("write",), ("ingest", "write")], ids=str)
@pytest.mark.parametrize("method", ["get", "post"])
def test_reading_needs_its_scope(api, scopes: tuple[str, ...], method: str) -> None:
    answer = getattr(api(*scopes), method)("/v1/usage", {"meter": "ApiCalls"}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


def test_a_stranger_reads_nothing() -> None:
    for answer in (APIClient().get("/v1/usage?meter=ApiCalls"), APIClient().post("/v1/usage", {}, format="json")):
        assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")
