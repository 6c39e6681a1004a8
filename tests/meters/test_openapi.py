"""The OpenAPI document: complete, valid, and true."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from meters.api.idempotency import MUTATING

# It is made of the code alone, so once for all.
_document: dict[str, Any] = {}


@pytest.fixture
def document() -> dict[str, Any]:
    if not _document:
        out = io.StringIO()
        call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json", stdout=out)
        _document.update(json.loads(out.getvalue()))
    return _document


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_it_is_valid_and_nothing_was_left_to_guessing(document: dict[str, Any]) -> None:
    assert {path.split("/")[2] for path in document["paths"]} == {
        "alert-firings",
        "alerts",
        "applied-promotions",
        "assignment-log",
        "assignment-rules",
        "assignments",
        "audit-log",
        "billing-policy",
        "billing-profiles",
        "credit-balances",
        "credit-entries",
        "credit-notes",
        "credit-rules",
        "credits",
        "customers",
        "events",
        "invoices",
        "meters",
        "plans",
        "portal-sessions",
        "product-items",
        "promotions",
        "statements",
        "tax-rates",
        "usage",
        "webhook-deliveries",
        "webhook-endpoints",
    }


def test_every_call_is_described_with_an_example_of_its_answer(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert len(operation["summary"]) > 5, (method, path)
        assert "Scope `" in operation["description"]
        answers = {status: answer for status, answer in operation["responses"].items() if status.startswith("2")}
        assert answers
        for status, answer in answers.items():
            if status == "204":
                continue
            assert any(content.get("examples") for content in answer["content"].values()), (method, path)
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert content["schema"]
        if "requestBody" in operation:
            asked = operation["requestBody"]["content"].values()
            assert any(content.get("examples") for content in asked), (method, path)
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)


def test_every_refusal_is_a_problem_document(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        assert {"400", "401", "403", "429"} <= set(operation["responses"]), (method, path)
        for status, answer in operation["responses"].items():
            if status.startswith("2") or status == "422":
                continue
            name = answer["$ref"].removeprefix("#/components/responses/")
            (media, content), *_ = document["components"]["responses"][name]["content"].items()
            assert (media, content["schema"]) == ("application/problem+json", {"$ref": "#/components/schemas/Problem"})
            for example in content["examples"].values():
                assert example["value"]["status"] == int(status)


def test_what_changes_something_takes_an_idempotency_key(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        names = {parameter["name"] for parameter in operation.get("parameters", [])}
        reads = method not in MUTATING or path in ("/v1/usage", "/v1/plans/{key}/estimate")
        assert ("Idempotency-Key" in names) == (not reads), (method, path)


def test_either_header_is_enough(document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        assert operation["security"] == [{"bearer": []}, {"apiKey": []}]
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}


def test_the_examples_of_requests_are_taken(db: None, document: dict[str, Any], api: Any) -> None:
    client = api("read", "write")
    for path in ("/v1/customers", "/v1/meters"):
        for method, address in (("post", path), ("patch", f"{path}/{{key}}")):
            content = document["paths"][address][method]["requestBody"]["content"]["application/json"]
            (example,) = content["examples"].values()
            key = "acme" if path == "/v1/customers" else "ApiCalls"
            answer = getattr(client, method)(address.format(key=key), example["value"], format="json")
            assert answer.status_code == (201 if method == "post" else 200), answer.content
            (answered,) = document["paths"][address][method]["responses"][str(answer.status_code)]["content"][
                "application/json"
            ]["examples"].values()
            assert set(answered["value"]) == set(answer.json())


def test_it_is_served_without_a_key(db: None) -> None:
    answer = APIClient().get("/v1/schema", HTTP_ACCEPT="application/json")
    assert answer.status_code == 200
    assert answer.json()["info"]["title"] == "Tollmeter API"
