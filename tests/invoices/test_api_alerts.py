"""`/v1/alerts` and `/v1/alert-firings`."""

import json
from typing import Any

import pytest
from rest_framework.exceptions import NotFound
from rest_framework.test import APIClient

from invoices.api import alert_examples
from invoices.api.alerts import AlertSerializer
from invoices.models import Alert, Invoice
from meters.keys import create_api_key
from meters.models import Customer
from tests.factories import make_customer, make_meter, send
from tests.invoices.alarms import alert, fired, work
from tests.pricing.calls import ok, pointers

pytestmark = pytest.mark.django_db
ALERTS, FIRINGS = "/v1/alerts", "/v1/alert-firings"
NEW: dict[str, Any] = {"name": "Ten", "kind": "amount", "threshold": "10", "currency": "USD"}


@pytest.fixture
def client(api: Any, acme: Customer) -> APIClient:
    made: APIClient = api("read", "write")
    return made


@pytest.fixture
def own_client(client: APIClient, acme: Customer) -> APIClient:
    """With a key of acme alone."""
    _, text = create_api_key(name="acme", scopes=["read"], customer=acme)
    made = APIClient()
    made.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return made


def post(client: APIClient, body: Any) -> Any:
    return client.post(ALERTS, body, format="json")


def patch(client: APIClient, one: int, body: Any) -> Any:
    return client.patch(f"{ALERTS}/{one}", body, format="json")


@pytest.mark.parametrize(
    ("new", "whole"),
    [
        (alert_examples.NEW_ALERT, alert_examples.ALERT),
        (alert_examples.NEW_OF_EACH, alert_examples.OF_EACH),
    ],
    ids=["of one", "of each"],
)
def test_the_examples_are_taken_and_answered_as_they_say(client: APIClient, new: Any, whole: Any) -> None:
    made = ok(post(client, new), 201)
    varies = {"id", "actor", "created_at"}
    assert {name: value for name, value in made.items() if name not in varies} == {
        name: value for name, value in whole.items() if name not in varies
    }
    assert (set(made), made["actor"]) == (set(whole), "test")
    assert ok(client.get(f"{ALERTS}/{made['id']}")) == made
    assert ok(client.get(ALERTS))["data"] == [made]


def test_an_alert_is_changed_switched_off_and_removed(client: APIClient) -> None:
    made = ok(post(client, NEW), 201)
    changed = ok(patch(client, made["id"], {"threshold": "75", "enabled": False, "recipients": ["a@example.com"]}))
    assert changed == made | {"threshold": "75", "enabled": False, "recipients": ["a@example.com"]}
    # What was read can be sent back.
    assert ok(patch(client, made["id"], changed | {"name": "More"})) == changed | {"name": "More"}
    assert client.delete(f"{ALERTS}/{made['id']}").status_code == 204
    assert client.get(f"{ALERTS}/{made['id']}").status_code == 404
    assert client.delete(f"{ALERTS}/{made['id']}").status_code == 404


def test_an_alert_that_is_removed_while_it_is_changed_is_not_found(client: APIClient) -> None:
    made = Alert.objects.get(pk=ok(post(client, NEW), 201)["id"])
    change = AlertSerializer(made, {"name": "More"}, partial=True, context={"request": None})
    change.is_valid(raise_exception=True)
    Alert.objects.filter(pk=made.pk).delete()
    with pytest.raises(NotFound):
        change.save()


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, {"/name", "/kind", "/threshold"}),
        (NEW | {"name": " "}, {"/name"}),
        (NEW | {"name": "a\nb"}, {"/name"}),
        (NEW | {"name": "x" * 201}, {"/name"}),
        (NEW | {"kind": "weather"}, {"/kind"}),
        (NEW | {"threshold": 10.5}, {"/threshold"}),
        (NEW | {"threshold": "0"}, {"/threshold"}),
        (NEW | {"threshold": "-1"}, {"/threshold"}),
        (NEW | {"threshold": "0.001"}, {"/threshold"}),
        (NEW | {"threshold": "NaN"}, {"/threshold"}),
        (NEW | {"threshold": "0.5", "currency": "JPY"}, {"/threshold"}),
        (NEW | {"currency": "usd"}, {"/currency"}),
        (NEW | {"currency": None}, {"/currency"}),
        (NEW | {"budget": "5"}, {"/budget"}),
        (NEW | {"product_item": "ApiCalls"}, {"/product_item"}),
        (NEW | {"product_item": "Nothing"}, {"/product_item"}),
        (NEW | {"kind": "quantity"}, {"/currency", "/product_item"}),
        (NEW | {"kind": "budget"}, {"/budget"}),
        (NEW | {"kind": "budget", "budget": "0"}, {"/budget"}),
        (NEW | {"kind": "budget", "budget": "5", "threshold": "1001"}, {"/threshold"}),
        (NEW | {"customer": "nobody"}, {"/customer"}),
        (NEW | {"audience": "customer"}, {"/customer"}),
        (NEW | {"audience": "customer", "customer": "acme", "recipients": ["stranger@example.com"]}, {"/recipients"}),
        (NEW | {"recipients": ["nobody"]}, {"/recipients"}),
        (NEW | {"recipients": "a@example.com"}, {"/recipients"}),
        (NEW | {"recipients": [f"a{number}@example.com" for number in range(21)]}, {"/recipients"}),
        (NEW | {"actor": "me"}, {"/actor"}),
        (NEW | {"more": 1}, {"/more"}),
    ],
)
def test_faults_are_pointed_at(client: APIClient, body: Any, found: set[str]) -> None:
    assert pointers(post(client, body)) == found
    assert not Alert.objects.exists()


@pytest.mark.parametrize(
    "other", [{"kind": "budget"}, {"audience": "customer"}, {"customer": "acme"}, {"product_item": "ApiCalls"}], ids=str
)
def test_what_an_alert_is_about_never_changes(client: APIClient, other: dict[str, str]) -> None:
    made = ok(post(client, NEW), 201)
    assert pointers(patch(client, made["id"], other)) == {f"/{next(iter(other))}"}
    assert pointers(patch(client, made["id"], {"budget": "5"})) == {"/budget"}
    assert ok(client.get(f"{ALERTS}/{made['id']}")) == made


def test_a_repeated_call_makes_one_alert(client: APIClient) -> None:
    for _ in range(2):
        ok(client.post(ALERTS, NEW, format="json", HTTP_IDEMPOTENCY_KEY="one"), 201)
    assert Alert.objects.count() == 1


def test_firings_are_listed(client: APIClient, acme: Customer) -> None:
    make_customer("globex")
    one, other = alert(threshold=5), alert("budget", 50, budget=10, customer=acme)
    for key in ("acme", "globex"):
        send(key, "ApiCalls", 5001)
    work()
    assert len(fired()) == 3
    [shown] = ok(client.get(FIRINGS, {"alert": other.pk}))["data"]
    assert set(shown) == set(alert_examples.FIRING)
    invoice = Invoice.objects.get(customer=acme)
    assert (shown["customer"], shown["invoice"], shown["invoice_number"]) == ("acme", invoice.pk, None)
    assert (shown["threshold"], shown["budget"], shown["value"]) == ("50", "10", "50")
    assert [row["alert"] for row in ok(client.get(FIRINGS, {"customer": "acme"}))["data"]] == [other.pk, one.pk]
    assert len(ok(client.get(FIRINGS, {"invoice": invoice.pk}))["data"]) == 2
    assert [row["budget"] for row in ok(client.get(FIRINGS, {"alert": one.pk}))["data"]] == [None, None]
    assert pointers(client.get(FIRINGS, {"alert": "x"})) == {"/alert"}
    assert pointers(client.get(FIRINGS, {"colour": "red"})) == {"/colour"}


def test_alerts_are_found_by_customer_kind_and_audience(client: APIClient, acme: Customer) -> None:
    of_each, own = alert(threshold=5), alert("quantity", 7, customer=acme, audience="customer")
    for query, expected in (
        ({}, [own.pk, of_each.pk]),
        ({"customer": "acme"}, [own.pk]),
        ({"kind": "amount"}, [of_each.pk]),
        ({"audience": "staff"}, [of_each.pk]),
    ):
        assert [row["id"] for row in ok(client.get(ALERTS, query))["data"]] == expected


def test_a_page_asks_the_same_of_the_database_however_long_it_is(
    client: APIClient, acme: Customer, django_assert_num_queries: Any
) -> None:
    for number in range(5):
        alert("quantity", number + 1, customer=acme)
    ok(client.get(ALERTS))
    with django_assert_num_queries(1):
        assert len(ok(client.get(ALERTS))["data"]) == 5


class TestKeysOfOneCustomer:
    def test_see_what_is_for_their_customer(self, client: APIClient, own_client: APIClient, acme: Customer) -> None:
        other = make_customer("globex")
        own = alert(threshold=5, customer=acme, audience="customer", name="own", actor="staff")
        hidden = [
            alert(threshold=5, name="each"),
            alert(threshold=5, customer=acme, name="staff's"),
            alert(threshold=5, customer=other, audience="customer", name="another's"),
        ]
        for key in ("acme", "globex"):
            send(key, "ApiCalls", 5001)
        work()
        assert len(fired()) == 5
        [shown] = ok(own_client.get(ALERTS))["data"]
        assert (shown["id"], shown["name"]) == (own.pk, "own")
        assert "actor" not in shown
        assert ok(own_client.get(f"{ALERTS}/{own.pk}")) == shown
        for one in hidden:
            assert own_client.get(f"{ALERTS}/{one.pk}").status_code == 404
            assert ok(own_client.get(FIRINGS, {"alert": one.pk}))["data"] == []
        assert [row["alert"] for row in ok(own_client.get(FIRINGS))["data"]] == [own.pk]

    def test_name_no_other_customer_and_change_nothing(self, own_client: APIClient, acme: Customer) -> None:
        make_customer("globex")
        own = alert(threshold=5, customer=acme, audience="customer")
        for path in (ALERTS, FIRINGS):
            assert own_client.get(path, {"customer": "globex"}).status_code == 403
        assert own_client.get(ALERTS, {"customer": "acme"}).status_code == 200
        for answer in (
            post(own_client, NEW),
            patch(own_client, own.pk, {"enabled": False}),
            own_client.delete(f"{ALERTS}/{own.pk}"),
        ):
            assert answer.status_code == 403


def test_scopes(api: Any, acme: Customer) -> None:
    assert post(api("read"), NEW).status_code == 403
    assert api("write").get(ALERTS).status_code == 403
    assert api("write").get(FIRINGS).status_code == 403
    assert post(api("write"), NEW).status_code == 201


def test_units_may_have_decimals(client: APIClient) -> None:
    make_meter("Storage")
    made = ok(post(client, {"name": "GB", "kind": "quantity", "threshold": "0.5", "product_item": "Storage"}), 201)
    assert (made["currency"], made["budget"], made["threshold"]) == (None, None, "0.5")


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_no_customer_is_named_by_what_cannot_be_stored(client: APIClient, name: str) -> None:
    body = json.dumps(NEW | {"customer": name, "product_item": name})
    refused = client.post(ALERTS, body, content_type="application/json")
    assert pointers(refused) == {"/customer", "/product_item"}


def test_nor_in_the_query(client: APIClient) -> None:
    for path in (ALERTS, FIRINGS, "/v1/invoices", "/v1/credit-notes", "/v1/credits"):
        assert pointers(client.get(path, {"customer": "a\0b"})) == {"/customer"}
