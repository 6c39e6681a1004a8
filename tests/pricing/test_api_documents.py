"""`/v1/plans/{key}/document`: a plan as one document, out and in again."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from pricing.document_text import read_text, write_text
from pricing.models import Plan, PlanVersion
from pricing.plans import activate, draft_version, set_fee, set_terms
from tests.factories import STORY_RATE, make_meter, make_plan
from tests.pricing.calls import Api, ok, pointers

pytestmark = pytest.mark.django_db

PATH = "/v1/plans/Basic/document"


@pytest.fixture
def client(api: Api) -> APIClient:
    return api("read", "write")


@pytest.fixture(autouse=True)
def _plan() -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE}, name="Basic plan")
    set_fee(draft_version(plan), key="seats", name="Seats", amount="9.50", unit="seats")
    set_terms(draft_version(plan), trial_days=14)
    activate(plan)


def test_out_and_in_again_changes_nothing(client: APIClient) -> None:
    document = ok(client.get(PATH))
    assert (document["key"], document["trial_days"], document["rates"][0]["parameters"]) == ("Basic", 14, STORY_RATE)
    assert ok(client.post(PATH, document, format="json")) == {"dry_run": False, "differences": [], "version": None}
    assert PlanVersion.objects.count() == 2


def test_yaml_out_and_in_again(client: APIClient) -> None:
    answer = client.get(PATH, HTTP_ACCEPT="application/yaml")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/yaml")
    text = answer.content.decode()
    assert read_text(text, "yaml")["rates"] == ok(client.get(PATH))["rates"]
    same = client.post(PATH, text, content_type="application/yaml")
    assert ok(same)["differences"] == []
    dearer = client.post(PATH, text.replace('"9.5"', "'10'").replace("'9.5'", "'10'"), content_type="application/yaml")
    assert [one["subject"] for one in ok(dearer)["differences"]] == ["Fee Seats"]


def test_a_dry_run_tells_and_does_nothing(client: APIClient) -> None:
    document = ok(client.get(PATH)) | {"trial_days": 7}
    would = ok(client.post(f"{PATH}?dry_run=true&activate=true", document, format="json"))
    assert (would["dry_run"], len(would["differences"]), would["version"]) == (True, 1, None)
    assert PlanVersion.objects.count() == 2


def test_a_change_becomes_the_draft_or_the_active_version(client: APIClient) -> None:
    document = ok(client.get(PATH)) | {"trial_days": 7}
    drafted = ok(client.post(PATH, document, format="json"))["version"]
    assert (drafted["number"], drafted["status"], drafted["trial_days"]) == (3, "draft", 7)
    path = f"{PATH}?activate=true&moves_existing=false"
    active = ok(client.post(path, document | {"trial_days": 0}, format="json"))["version"]
    assert (active["number"], active["status"], active["trial_days"]) == (3, "active", 0)
    assert active["moves_existing"] is False


def test_a_plan_that_there_is_not_is_made(client: APIClient) -> None:
    document = ok(client.get(PATH))
    del document["key"]
    made = ok(client.post("/v1/plans/Copy/document?activate=true", document, format="json"))
    assert made["version"]["plan"] == "Copy"
    assert ok(client.get("/v1/plans/Copy/document")) == document | {"key": "Copy"}


def test_faults_in_a_document_are_told_where_they_are(client: APIClient) -> None:
    document = ok(client.get(PATH))
    tiers = [{"up_to": "10", "unit_price": "1"}, {"up_to": "5", "unit_price": "1"}, {"up_to": None, "unit_price": "1"}]
    rate = {"product_item": "ApiCalls", "parameters": {"model": "volume", "tiers": tiers}}

    def faults(path: str = PATH, **changes: Any) -> set[str]:
        return pointers(client.post(path, document | changes, format="json"))

    assert faults(rates=[rate]) == {"/rates/0/parameters/tiers/1/up_to"}
    assert faults(rates=[rate | {"product_item": "Nothing"}]) == {"/rates/0/product_item"}
    assert faults(rates="none") == {"/rates"}
    assert faults(fees=[document["fees"][0], document["fees"][0]]) == {"/fees/1/key"}
    assert faults(fees=[document["fees"][0] | {"amount": 9.5}]) == {"/fees/0/amount"}
    assert faults(trial_days=-1, colour="red") == {"/colour", "/trial_days"}
    assert faults(trial_days=-1) == {"/trial_days"}
    assert faults(key="Other") == {"/key"}
    assert faults(f"{PATH}?dry=true") == {"/dry"}
    assert faults(f"{PATH}?dry_run=perhaps") == {"/dry_run"}
    assert faults("/v1/plans/has%20space/document", key="has space") == {"/key"}
    assert pointers(client.post(PATH, [document], format="json")) == {""}
    assert pointers(client.post(f"{PATH}?activate=true")) == {""}
    assert pointers(client.post("/v1/plans/Empty/document?activate=true", {"name": "Empty"}, format="json")) == {""}
    assert (PlanVersion.objects.count(), Plan.objects.count()) == (2, 1)


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"rates: [", "application/yaml", 400, "parse_error"),
        (b"a: 1\na: 2", "application/yaml", 400, "parse_error"),
        (b"!!python/object/apply:os.getcwd []", "application/yaml", 400, "parse_error"),
        (b"name: !!bool x", "application/yaml", 400, "parse_error"),
        (b"name: !!timestamp abc", "application/yaml", 400, "parse_error"),
        (b"\xff\xfe", "application/yaml", 400, "parse_error"),
        (b"[" * 5000, "application/yaml", 400, "parse_error"),
        (b"x" * (128 * 1024 + 1), "application/yaml", 413, "too_large"),
        (b'{"key": ', "application/json", 400, "parse_error"),
        (b"key=Basic", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ],
    ids=["open", "twice", "object", "bool", "time", "no text", "deep", "large", "json", "form"],
)
def test_a_body_that_cannot_be_read(client: APIClient, body: bytes, kind: str, status: int, code: str) -> None:
    answer = client.post(PATH, body, content_type=kind)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"


def test_errors_are_problem_documents_also_where_yaml_was_asked_for(client: APIClient) -> None:
    answer = client.get("/v1/plans/Nothing/document", HTTP_ACCEPT="application/yaml")
    assert (answer.status_code, answer["Content-Type"], answer.json()["code"]) == (
        404,
        "application/problem+json",
        "not_found",
    )
    assert client.get(PATH, HTTP_ACCEPT="text/csv").status_code == 406


def test_what_is_written_is_read_as_it_was(client: APIClient) -> None:
    document = ok(client.get(PATH)) | {"description": "No: yes, 1e3 & ünïcode\n- “quoted”", "name": "010"}
    ok(client.post(PATH, write_text(document, "yaml"), content_type="application/yaml"))
    assert ok(client.get(PATH)) == document
