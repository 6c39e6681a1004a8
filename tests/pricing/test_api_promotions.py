"""`/v1/promotions` and `/v1/applied-promotions`: something off, and who has it."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from meters import keys
from pricing.models import AppliedPromotion, Promotion
from tests.factories import make_customer, make_meter
from tests.pricing.calls import Api, ok, pointers

pytestmark = pytest.mark.django_db

PATH, APPLIED = "/v1/promotions", "/v1/applied-promotions"
WELCOME: dict[str, Any] = {"key": "welcome", "name": "Welcome", "code": "Hello20", "kind": "percent", "percent": "20"}
FULL: dict[str, Any] = {
    "key": "summer",
    "name": "Summer",
    "code": "SUMMER",
    "kind": "amount",
    "percent": None,
    "amount": "10.5",
    "currency": "EUR",
    "product_items": ["ApiCalls"],
    "starts_on": "2026-06-01",
    "ends_on": "2026-09-01",
    "periods": 3,
    "cap": "100",
    "position": 7,
    "enabled": False,
}


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False):
        yield


@pytest.fixture
def client(api: Api, _noon: None) -> APIClient:
    return api("read", "write")


@pytest.fixture(autouse=True)
def _item(_noon: None) -> None:
    make_meter()


class TestPromotions:
    def test_every_field_comes_back_as_it_was_sent(self, client: APIClient) -> None:
        made = ok(client.post(PATH, FULL, format="json"), 201)
        assert made.pop("created_at")
        assert made == FULL
        assert ok(client.get(f"{PATH}/summer")) | FULL == ok(client.get(f"{PATH}/summer"))

    def test_fields_have_defaults_and_a_part_is_changed(self, client: APIClient) -> None:
        made = ok(client.post(PATH, {"key": "a", "name": "A", "percent": "5"}, format="json"), 201)
        assert {name: made[name] for name in ("code", "kind", "amount", "product_items", "periods", "enabled")} == {
            "code": None,
            "kind": "percent",
            "amount": None,
            "product_items": [],
            "periods": None,
            "enabled": True,
        }
        path = f"{PATH}/a"
        assert ok(client.patch(path, {"product_items": ["ApiCalls"]}, format="json"))["product_items"] == ["ApiCalls"]
        assert ok(client.patch(path, {"percent": "7.5"}, format="json"))["product_items"] == ["ApiCalls"]
        assert ok(client.patch(path, {"product_items": []}, format="json"))["product_items"] == []
        to_amount = {"kind": "amount", "amount": "5", "percent": None, "currency": "USD"}
        assert ok(client.patch(path, to_amount, format="json"))["amount"] == "5"
        assert client.delete(path).status_code == 405

    def test_they_are_listed_in_the_order_in_which_they_are_taken_off(self, client: APIClient) -> None:
        ok(client.post(PATH, WELCOME | {"position": 9}, format="json"), 201)
        ok(client.post(PATH, FULL, format="json"), 201)
        assert [row["key"] for row in ok(client.get(PATH))["data"]] == ["summer", "welcome"]
        assert [row["key"] for row in ok(client.get(PATH, {"enabled": "true"}))["data"]] == ["welcome"]
        assert [row["key"] for row in ok(client.get(PATH, {"enabled": "false"}))["data"]] == ["summer"]
        assert pointers(client.get(PATH, {"enabled": "perhaps"})) == {"/enabled"}

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            ({"key": "has space"}, {"/key"}),
            ({"name": ""}, {"/name"}),
            ({"code": "hello20"}, {"/code"}),
            ({"kind": "free"}, {"/kind"}),
            ({"kind": "percent"}, {"/percent", "/amount"}),
            ({"percent": "5"}, {"/percent"}),
            ({"amount": None}, {"/amount"}),
            ({"amount": "0"}, {"/amount"}),
            ({"amount": 10.5}, {"/amount"}),
            ({"currency": ""}, {"/currency"}),
            ({"currency": "EURO"}, {"/currency"}),
            ({"product_items": ["ApiCalls", "Nothing"]}, {"/product_items"}),
            ({"product_items": "ApiCalls"}, {"/product_items"}),
            ({"ends_on": "2026-06-01"}, {"/ends_on"}),
            ({"starts_on": "2026-W01-1", "ends_on": "20270101"}, {"/starts_on", "/ends_on"}),
            ({"periods": 0}, {"/periods"}),
            ({"cap": "0"}, {"/cap"}),
            ({"position": -1}, {"/position"}),
            ({"limit": 3}, {"/limit"}),
        ],
    )
    def test_a_fault_is_told_where_it_is(self, client: APIClient, change: dict[str, Any], expected: set[str]) -> None:
        ok(client.post(PATH, WELCOME, format="json"), 201)
        assert pointers(client.post(PATH, FULL | change, format="json")) == expected
        assert Promotion.objects.count() == 1

    def test_the_key_is_taken_and_never_changes(self, client: APIClient) -> None:
        ok(client.post(PATH, WELCOME, format="json"), 201)
        assert pointers(client.post(PATH, WELCOME | {"code": None}, format="json")) == {"/key"}
        assert pointers(client.patch(f"{PATH}/welcome", {"key": "other"}, format="json")) == {"/key"}

    def test_lists_ask_the_same_of_the_database_however_long_they_are(
        self, client: APIClient, django_assert_num_queries: Any
    ) -> None:
        customer = make_customer("acme")
        for number in range(10):
            body = WELCOME | {"key": f"p{number}", "code": None, "product_items": ["ApiCalls"]}
            ok(client.post(PATH, body, format="json"), 201)
            ok(client.post(APPLIED, {"customer": customer.key, "promotion": f"p{number}"}, format="json"), 201)
        for path, queries in ((PATH, 4), (APPLIED, 2)):  # key, promotions, items, meters; key, rows
            client.get(path)
            keys.forget()
            with django_assert_num_queries(queries):
                assert len(ok(client.get(path))["data"]) == 10


class TestApplying:
    @pytest.fixture(autouse=True)
    def _promotion(self, client: APIClient) -> None:
        ok(client.post(PATH, WELCOME, format="json"), 201)
        make_customer("acme", time_zone="Asia/Tokyo")
        make_customer("globex")

    def test_by_key_from_today_where_the_customer_is(self, client: APIClient) -> None:
        with time_machine.travel("2026-11-22T16:00:00Z", tick=False):
            made = ok(client.post(APPLIED, {"customer": "acme", "promotion": "welcome"}, format="json"), 201)
        assert made.pop("created_at")
        assert made == {
            "id": made["id"],
            "customer": "acme",
            "promotion": "welcome",
            "starts_on": "2026-11-23",
            "ends_on": None,
            "code": "",
            "actor": "test",
        }
        assert ok(client.get(f"{APPLIED}/{made['id']}"))["customer"] == "acme"

    def test_by_a_code_in_any_capitals(self, client: APIClient) -> None:
        body = {"customer": "acme", "code": "hELLO20", "starts_on": "2026-11-01"}
        made = ok(client.post(APPLIED, body, format="json"), 201)
        assert (made["promotion"], made["code"], made["starts_on"]) == ("welcome", "hELLO20", "2026-11-01")

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({}, {"/customer"}),
            ({"customer": "acme"}, {"/promotion"}),
            ({"customer": "nobody", "promotion": "welcome"}, {"/customer"}),
            ({"customer": "acme", "promotion": "other"}, {"/promotion"}),
            ({"customer": "acme", "code": "other"}, {"/code"}),
            ({"customer": "acme", "code": "x\0"}, {"/code"}),
            ({"customer": "acme", "promotion": "welcome", "code": "other"}, {"/code"}),
            ({"customer": "acme", "promotion": "welcome", "starts_on": "now"}, {"/starts_on"}),
            ({"customer": "acme", "promotion": "welcome", "starts_on": "2026-W44-1"}, {"/starts_on"}),
            ({"customer": "acme", "promotion": "welcome", "starts_on": "0001-01-01"}, {"/starts_on"}),
            ({"customer": "globex", "promotion": "welcome"}, {"/promotion"}),
            ({"customer": "acme", "promotion": "welcome", "periods": 3}, {"/periods"}),
            ({"customer": "acme", "promotion": "welcome", "ends_on": "2027-01-01"}, {"/ends_on"}),
        ],
    )
    def test_a_fault_is_told_where_it_is(self, client: APIClient, body: dict[str, Any], expected: set[str]) -> None:
        ok(client.post(APPLIED, {"customer": "globex", "promotion": "welcome"}, format="json"), 201)
        assert pointers(client.post(APPLIED, body, format="json")) == expected
        assert AppliedPromotion.objects.count() == 1

    def test_one_that_is_switched_off_or_over_is_not_given(self, client: APIClient) -> None:
        ok(client.patch(f"{PATH}/welcome", {"ends_on": "2026-11-22"}, format="json"))
        body = {"customer": "acme", "promotion": "welcome"}
        assert pointers(client.post(APPLIED, body, format="json")) == {"/starts_on"}
        ok(client.patch(f"{PATH}/welcome", {"ends_on": None, "enabled": False}, format="json"))
        assert pointers(client.post(APPLIED, body, format="json")) == {"/promotion"}

    def test_an_end_is_set_and_taken_back(self, client: APIClient) -> None:
        body = {"customer": "acme", "promotion": "welcome", "starts_on": "2026-11-10"}
        path = f"{APPLIED}/{ok(client.post(APPLIED, body, format='json'), 201)['id']}/end"
        assert ok(client.post(path, {"ends_on": "2026-12-01"}, format="json"))["ends_on"] == "2026-12-01"
        assert ok(client.post(path, {"ends_on": None}, format="json"))["ends_on"] is None
        for faulty in ({}, {"ends_on": "2026-11-09"}, {"ends_on": "soon"}, {"ends_on": "2026-W49-1"}):
            assert pointers(client.post(path, faulty, format="json")) == {"/ends_on"}

    def test_a_list_by_customer_and_by_promotion(self, client: APIClient) -> None:
        ok(client.post(PATH, FULL | {"enabled": True, "starts_on": None, "ends_on": None}, format="json"), 201)
        for customer, promotion in (("acme", "welcome"), ("acme", "summer"), ("globex", "welcome")):
            ok(client.post(APPLIED, {"customer": customer, "promotion": promotion}, format="json"), 201)

        def found(**query: str) -> list[tuple[str, str]]:
            return [(row["customer"], row["promotion"]) for row in ok(client.get(APPLIED, query))["data"]]

        assert found(customer="acme") == [("acme", "welcome"), ("acme", "summer")]
        assert found(promotion="welcome") == [("acme", "welcome"), ("globex", "welcome")]
        assert pointers(client.get(APPLIED, {"promotion": "other"})) == {"/promotion"}
