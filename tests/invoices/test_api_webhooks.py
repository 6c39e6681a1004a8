"""`/v1/webhook-endpoints` and `/v1/webhook-deliveries`."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from invoices.api import webhook_examples
from invoices.models import WebhookDelivery, WebhookEndpoint
from invoices.outbox import tell
from invoices.webhooks.delivering import send_due
from invoices.webhooks.endpoints import create_endpoint
from invoices.webhooks.spreading import spread
from meters.keys import create_api_key
from tests.factories import make_customer
from tests.invoices.receiver import Receiver, receiving
from tests.pricing.calls import ok, pointers

pytestmark = pytest.mark.django_db
ENDPOINTS, DELIVERIES = "/v1/webhook-endpoints", "/v1/webhook-deliveries"


@pytest.fixture
def client(api: Any) -> APIClient:
    made: APIClient = api("read", "write")
    return made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture
def delivery(receiver: Receiver) -> WebhookDelivery:
    create_endpoint(url=receiver.url, allow_private=True)
    receiver.answer = (500, {}, "Internal Server Error")
    tell("credit.low", "customer:1", {"left": "1.00"}, timezone.now())
    spread()
    send_due()
    return WebhookDelivery.objects.get()


def post(client: APIClient, path: str, body: Any = None) -> Any:
    return client.post(path, body, format="json")


def test_an_endpoint_is_made_with_its_secret_shown_once(client: APIClient) -> None:
    made = ok(post(client, ENDPOINTS, webhook_examples.NEW_ENDPOINT), 201)
    endpoint = WebhookEndpoint.objects.get()
    assert made["secret"] == endpoint.secret
    assert set(made) == set(webhook_examples.WITH_SECRET)
    shown = ok(client.get(f"{ENDPOINTS}/{endpoint.pk}"))
    assert set(shown) == set(webhook_examples.ENDPOINT)
    assert ok(client.get(ENDPOINTS))["data"] == [shown]
    changed = ok(client.patch(f"{ENDPOINTS}/{endpoint.pk}", {"enabled": False, "types": []}, format="json"))
    assert (changed["enabled"], changed["types"], changed["url"]) == (False, [], shown["url"])
    assert "secret" not in changed
    assert client.delete(f"{ENDPOINTS}/{endpoint.pk}").status_code == 204
    assert client.get(f"{ENDPOINTS}/{endpoint.pk}").status_code == 404


def test_a_repeated_call_makes_one_endpoint(client: APIClient) -> None:
    first, second = (
        client.post(ENDPOINTS, {"url": "https://example.com/"}, format="json", HTTP_IDEMPOTENCY_KEY="one")
        for _ in range(2)
    )
    assert first.json() == second.json()
    assert WebhookEndpoint.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/url"),
        ({"url": ""}, "/url"),
        ({"url": "http://example.com/"}, "/url"),
        ({"url": "https://127.0.0.1/"}, "/url"),
        ({"url": "https://169.254.169.254/"}, "/url"),
        ({"url": "https://example.com/", "types": ["no.such"]}, "/types/0"),
        ({"url": "https://example.com/", "types": "invoice.paid"}, "/types"),
        ({"url": "https://example.com/", "allow_private": True}, "/allow_private"),
        ({"url": "https://example.com/", "secret": "whsec_mine"}, "/secret"),
        ({"url": "https://example.com/", "more": 1}, "/more"),
        ({"url": "https://example.com/", "description": "x" * 201}, "/description"),
        ({"url": "https://example.com/\0"}, "/url"),
    ],
    ids=str,
)
def test_faults_are_pointed_at(client: APIClient, body: Any, pointer: str) -> None:
    assert pointers(post(client, ENDPOINTS, body)) == {pointer}
    assert not WebhookEndpoint.objects.exists()


def test_a_secret_is_rotated(client: APIClient) -> None:
    endpoint = create_endpoint(url="https://example.com/")
    page = f"{ENDPOINTS}/{endpoint.pk}/rotate-secret"
    assert pointers(post(client, page, {"overlap_hours": 721})) == {"/overlap_hours"}
    rotated = ok(post(client, page, {"overlap_hours": 24}))
    assert rotated["secret"] == WebhookEndpoint.objects.get().secret != endpoint.secret
    assert rotated["old_secret_until"] is not None
    assert ok(post(client, page, {"overlap_hours": 0}))["old_secret_until"] is None
    assert ok(post(client, page))["old_secret_until"] is not None


def test_deliveries_are_listed_read_and_replayed(
    client: APIClient, delivery: WebhookDelivery, receiver: Receiver
) -> None:
    [listed] = ok(client.get(DELIVERIES))["data"]
    assert set(listed) == set(webhook_examples.DELIVERY)
    assert (listed["type"], listed["about"], listed["status"]) == ("credit.low", "customer:1", "waiting")
    read = ok(client.get(f"{DELIVERIES}/{delivery.pk}"))
    [attempt] = read["tries"]
    assert set(attempt) == set(webhook_examples.DELIVERY_WITH_TRIES["tries"][0])
    assert (attempt["status_code"], attempt["answer"]) == (500, "Internal Server Error")
    assert attempt["body"] == receiver.got[0].body
    receiver.answer = (200, {}, "")
    assert ok(post(client, f"{DELIVERIES}/{delivery.pk}/replay"))["status"] == "waiting"
    assert send_due() == 1
    assert receiver.got[0].headers["webhook-id"] == receiver.got[1].headers["webhook-id"] == listed["message_id"]
    assert ok(client.get(DELIVERIES, {"status": "delivered"}))["data"][0]["attempts"] == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "waiting"}, 1),
        ({"status": "failed"}, 0),
        ({"type": "credit.low"}, 1),
        ({"type": "invoice.paid"}, 0),
        ({"about": "customer:1"}, 1),
        ({"about": "customer:2"}, 0),
        ({"endpoint": "999999"}, 0),
    ],
    ids=str,
)
def test_deliveries_are_found(client: APIClient, delivery: WebhookDelivery, query: Any, found: int) -> None:
    assert len(ok(client.get(DELIVERIES, query))["data"]) == found


@pytest.mark.parametrize("query", [{"status": "x"}, {"type": "x"}, {"endpoint": "x"}, {"endpoint": "0"}, {"more": "1"}])
def test_odd_questions_are_refused(client: APIClient, query: Any) -> None:
    assert client.get(DELIVERIES, query).status_code == 400


def test_nothing_is_replayed_to_an_endpoint_that_is_off(client: APIClient, delivery: WebhookDelivery) -> None:
    WebhookEndpoint.objects.update(enabled=False)
    assert pointers(post(client, f"{DELIVERIES}/{delivery.pk}/replay")) == {""}
    assert post(client, f"{DELIVERIES}/0/replay").status_code == 404


def test_reading_does_not_open_writing_and_a_customers_key_opens_nothing(api: Any, delivery: WebhookDelivery) -> None:
    reader = api("read")
    assert reader.get(ENDPOINTS).status_code == 200
    endpoint = f"{ENDPOINTS}/{delivery.endpoint_id}"
    for path in (ENDPOINTS, f"{endpoint}/rotate-secret", f"{DELIVERIES}/{delivery.pk}/replay"):
        assert post(reader, path, {"url": "https://example.com/"}).status_code == 403
    _, text = create_api_key(name="acme", scopes=["read"], customer=make_customer("acme"))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    for path in (ENDPOINTS, endpoint, DELIVERIES, f"{DELIVERIES}/{delivery.pk}"):
        assert client.get(path).status_code == 403
    assert APIClient().get(ENDPOINTS).status_code == 401


def test_a_list_asks_as_often_for_many_as_for_one(
    client: APIClient, delivery: WebhookDelivery, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        tell("credit.low", f"customer:{number}", {}, timezone.now())
    spread()
    with django_assert_max_num_queries(5):
        assert len(ok(client.get(DELIVERIES))["data"]) == 6
