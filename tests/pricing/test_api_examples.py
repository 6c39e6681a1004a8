"""The examples of the OpenAPI document, sent in the order of a story: each is taken, and answered as it says."""

import io
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from rest_framework.test import APIClient

from meters.models import Customer, Meter
from pricing.models import Plan
from tests.factories import make_customer, make_meter, make_plan, put_on
from tests.pricing.calls import Api

pytestmark = pytest.mark.django_db

PLAN, DRAFT = "/v1/plans/{key}", "/v1/plans/{key}/versions/{version}"
# Path and method of each call, in an order in which one makes what the next one needs.
STORY = [
    ("get", "/v1/product-items"),
    ("get", "/v1/product-items/{meter}"),
    ("patch", "/v1/product-items/{meter}"),
    ("post", "/v1/plans"),
    ("get", "/v1/plans"),
    ("get", PLAN),
    ("patch", PLAN),
    ("post", f"{DRAFT}/rates"),
    ("get", f"{DRAFT}/rates"),
    ("get", f"{DRAFT}/rates/{{id}}"),
    ("patch", f"{DRAFT}/rates/{{id}}"),
    ("post", f"{DRAFT}/fees"),
    ("get", f"{DRAFT}/fees"),
    ("get", f"{DRAFT}/fees/{{fee}}"),
    ("patch", f"{DRAFT}/fees/{{fee}}"),
    ("patch", DRAFT),
    ("get", f"{DRAFT}/differences"),
    ("post", f"{PLAN}/activate"),
    ("get", f"{PLAN}/versions"),
    ("post", f"{PLAN}/versions"),
    ("get", DRAFT),
    ("get", f"{PLAN}/document"),
    ("post", f"{PLAN}/document"),
    ("post", f"{PLAN}/private-plans"),
    ("post", "/v1/assignment-rules"),
    ("get", "/v1/assignment-rules"),
    ("get", "/v1/assignment-rules/try"),
    ("get", "/v1/assignment-rules/{id}"),
    ("patch", "/v1/assignment-rules/{id}"),
    ("delete", "/v1/assignment-rules/{id}"),
    ("post", "/v1/promotions"),
    ("get", "/v1/promotions"),
    ("get", "/v1/promotions/{key}"),
    ("post", "/v1/applied-promotions"),
    ("get", "/v1/applied-promotions"),
    ("get", "/v1/applied-promotions/{id}"),
    ("post", "/v1/applied-promotions/{id}/end"),
    ("patch", "/v1/promotions/{key}"),
    ("post", "/v1/tax-rates"),
    ("get", "/v1/tax-rates"),
    ("get", "/v1/tax-rates/{key}"),
    ("patch", "/v1/tax-rates/{key}"),
    ("get", "/v1/billing-profiles/{customer}"),
    ("patch", "/v1/billing-profiles/{customer}"),
    ("post", "/v1/tax-rates/{key}/retire"),
    ("post", "/v1/assignments"),
    ("get", "/v1/assignments"),
    ("get", "/v1/assignments/{id}"),
    ("post", "/v1/assignments/{id}/quantities"),
    ("post", "/v1/assignments/{id}/change-plan"),
    ("post", "/v1/assignments/{id}/end"),
    ("get", "/v1/assignment-log"),
    ("delete", f"{DRAFT}/fees/{{fee}}"),
    ("get", f"{DRAFT}/rates"),
    ("delete", f"{DRAFT}/rates/{{id}}"),
    ("delete", DRAFT),
    ("post", f"{PLAN}/retire"),
]
# Of one private plan's own prices: they are tried in test_api_plans.
ELSEWHERE = {f"{DRAFT}/drop-terms", f"{DRAFT}/rates/{{id}}/drop-override", f"{DRAFT}/fees/{{fee}}/drop-override"}
KEYS = {"meter": "ApiCalls", "version": "draft", "fee": "seats", "customer": "acme"}
KEY_OF = {"plans": "AwesomeIntegrationApi", "promotions": "welcome", "tax-rates": "vat-de"}


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False):
        yield


@pytest.fixture
def paths() -> dict[str, Any]:
    out = io.StringIO()
    call_command("spectacular", "--format", "openapi-json", stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())["paths"]
    return found


def test_they_are_taken_and_answered_as_they_say(api: Api, paths: dict[str, Any]) -> None:
    make_plan("Pro", {make_meter("Traffic"): {"model": "per_unit", "unit_price": "1"}})
    make_meter(dimensions=["source", "target"])
    make_customer("acme", traits={"tier": "gold"})
    put_on(Customer.objects.get(), Plan.objects.get(key="Pro"), date(2026, 1, 1), date(2026, 2, 1))
    client = api("read", "write")
    ids: dict[str, int] = {}
    for method, path in STORY:
        operation = paths[path][method]
        for example in _requests(operation):
            kind = path.split("/")[2] if "rates" not in path.split("/") else "rates"
            address = path.format(**KEYS, key=KEY_OF.get(path.split("/")[2], ""), id=ids.get(kind, 0))
            answer = _send(client, method, address, example)
            told = _answer(operation, str(answer.status_code), (method, path, example, answer.content))
            if answer.status_code == 204:
                continue
            body = answer.json()
            _same_shape(told, body, f"{method} {path}")
            if method == "post" and "id" in body and "change-plan" not in path:
                ids[kind] = body["id"]
            if method == "get" and path == f"{DRAFT}/rates":
                ids["rates"] = body["data"][-1]["id"]
            if path == "/v1/applied-promotions":
                break  # by code it is the same promotion, which a customer has once


def test_no_call_is_left_out(paths: dict[str, Any]) -> None:
    ours = {"product-items", "plans", "promotions", "tax-rates", "billing-profiles", "applied-promotions"}
    ours |= {"assignments", "assignment-rules", "assignment-log"}
    calls = {(method, path) for path, methods in paths.items() for method in methods if path.split("/")[2] in ours}
    calls = {call for call in calls if call[1] not in ELSEWHERE and not _of_invoices(call[1])}
    assert calls == set(STORY)
    assert Meter.objects.count() == 0


def _of_invoices(path: str) -> bool:
    return path.endswith(("/estimate", "/billing")) or "/backtests" in path


def _requests(operation: dict[str, Any]) -> list[Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return [example["value"] for example in content.get("examples", {}).values()] or [None]


def _send(client: APIClient, method: str, path: str, body: Any) -> Any:
    if body is None:
        return getattr(client, method)(path)
    return getattr(client, method)(path, body, format="json")


def _answer(operation: dict[str, Any], status: str, told: Any) -> Any:
    """The example of the answer with this status, which has to be one of those that the document knows."""
    assert status.startswith("2"), told
    assert status in operation["responses"], told
    if status == "204":
        return None
    (example, *_) = operation["responses"][status]["content"]["application/json"]["examples"].values()
    return example["value"]


def _same_shape(told: Any, answered: Any, where: str) -> None:
    """Objects have the same members; of lists the first elements are compared, where there are any."""
    if isinstance(told, dict) and isinstance(answered, dict):
        if where.endswith((".traits", ".where", ".conditions", ".parameters")):
            return
        if where.endswith("/document") and "key" in told:
            assert set(told) >= {"key", "rates", "fees"}
            return
        assert set(told) == set(answered), where
        for name in told:
            _same_shape(told[name], answered[name], f"{where}.{name}")
    elif isinstance(told, list) and isinstance(answered, list):
        if told and answered:
            _same_shape(told[0], answered[0], where)
    elif told is not None and answered is not None:
        assert type(told) is type(answered), where
