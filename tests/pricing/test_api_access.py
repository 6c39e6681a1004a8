"""The API of pricing: who may call what, calls that are sent again, and changes that meet."""

from typing import Any

import pytest
from django.urls import get_resolver
from rest_framework.test import APIClient

from meters.keys import create_api_key
from pricing.models import Assignment, Plan, PlanVersion, Rate
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan
from tests.pricing.calls import Api, ok
from tests.racing import race

pytestmark = pytest.mark.django_db

METHODS = ("get", "post", "put", "patch", "delete")
CALLS = [
    ("get", "/v1/product-items"),
    ("get", "/v1/product-items/ApiCalls"),
    ("patch", "/v1/product-items/ApiCalls"),
    ("get", "/v1/plans"),
    ("post", "/v1/plans"),
    ("get", "/v1/plans/Basic"),
    ("patch", "/v1/plans/Basic"),
    ("post", "/v1/plans/Basic/activate"),
    ("post", "/v1/plans/Basic/retire"),
    ("post", "/v1/plans/Basic/private-plans"),
    ("get", "/v1/plans/Basic/document"),
    ("post", "/v1/plans/Basic/document"),
    ("get", "/v1/plans/Basic/versions"),
    ("post", "/v1/plans/Basic/versions"),
    ("get", "/v1/plans/Basic/versions/1"),
    ("patch", "/v1/plans/Basic/versions/draft"),
    ("delete", "/v1/plans/Basic/versions/draft"),
    ("get", "/v1/plans/Basic/versions/1/differences"),
    ("post", "/v1/plans/Basic/versions/draft/drop-terms"),
    ("get", "/v1/plans/Basic/versions/1/rates"),
    ("post", "/v1/plans/Basic/versions/draft/rates"),
    ("get", "/v1/plans/Basic/versions/1/rates/1"),
    ("patch", "/v1/plans/Basic/versions/draft/rates/1"),
    ("delete", "/v1/plans/Basic/versions/draft/rates/1"),
    ("post", "/v1/plans/Basic/versions/draft/rates/1/drop-override"),
    ("get", "/v1/plans/Basic/versions/1/fees"),
    ("post", "/v1/plans/Basic/versions/draft/fees"),
    ("get", "/v1/plans/Basic/versions/1/fees/seats"),
    ("patch", "/v1/plans/Basic/versions/draft/fees/seats"),
    ("delete", "/v1/plans/Basic/versions/draft/fees/seats"),
    ("post", "/v1/plans/Basic/versions/draft/fees/seats/drop-override"),
    ("get", "/v1/assignments"),
    ("post", "/v1/assignments"),
    ("get", "/v1/assignments/1"),
    ("post", "/v1/assignments/1/end"),
    ("post", "/v1/assignments/1/change-plan"),
    ("post", "/v1/assignments/1/quantities"),
    ("get", "/v1/assignment-log"),
    ("get", "/v1/assignment-rules"),
    ("post", "/v1/assignment-rules"),
    ("get", "/v1/assignment-rules/try"),
    ("get", "/v1/assignment-rules/1"),
    ("patch", "/v1/assignment-rules/1"),
    ("delete", "/v1/assignment-rules/1"),
    ("get", "/v1/promotions"),
    ("post", "/v1/promotions"),
    ("get", "/v1/promotions/welcome"),
    ("patch", "/v1/promotions/welcome"),
    ("get", "/v1/applied-promotions"),
    ("post", "/v1/applied-promotions"),
    ("get", "/v1/applied-promotions/1"),
    ("post", "/v1/applied-promotions/1/end"),
    ("get", "/v1/tax-rates"),
    ("post", "/v1/tax-rates"),
    ("get", "/v1/tax-rates/vat"),
    ("patch", "/v1/tax-rates/vat"),
    ("post", "/v1/tax-rates/vat/retire"),
    ("get", "/v1/billing-profiles/acme"),
    ("patch", "/v1/billing-profiles/acme"),
]


def call(client: APIClient, method: str, path: str) -> Any:
    return client.get(path) if method == "get" else getattr(client, method)(path, {}, format="json")


def test_reading_needs_the_one_scope_and_changing_the_other(api: Api) -> None:
    reader, writer = api("read", "ingest"), api("write", "ingest")
    for method, path in CALLS:
        scope, fits, other = ("read", reader, writer) if method == "get" else ("write", writer, reader)
        answer = call(other, method, path)
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope"), (method, path)
        assert scope in answer.json()["detail"]
        assert call(fits, method, path).status_code in (200, 201, 204, 400, 404), (method, path)


def test_no_key_opens_nothing_and_keys_of_one_customer_open_none_of_it(db: None) -> None:
    customer = make_customer("acme")
    _, text = create_api_key(name="k", scopes=["read"], customer=customer)
    own = APIClient()
    own.credentials(HTTP_X_API_KEY=text)
    for method, path in CALLS:
        assert call(APIClient(), method, path).status_code == 401, (method, path)
        refused = call(own, method, path)
        assert refused.status_code == 403, (method, path)
        assert refused.json()["code"] == ("restricted_api_key" if method == "get" else "missing_scope")


def test_every_call_is_in_the_list(db: None) -> None:
    """A route that is added is tried above too."""
    found = set()
    for outer in get_resolver().url_patterns:
        if str(outer.pattern) == "v1/":
            for mounted in outer.url_patterns:
                if getattr(mounted, "urlconf_name", None) and mounted.urlconf_name.__name__ == "pricing.api.urls":
                    found |= _methods(mounted.url_patterns)
    assert found
    assert len(found) == len(CALLS)


class TestRepeatedCalls:
    def test_one_that_is_sent_again_is_done_once(self, api: Api) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE})
        make_customer("acme")
        client = api("read", "write")
        body = {"customer": "acme", "plan": "Basic", "starts_on": "2026-11-01"}
        first = client.post("/v1/assignments", body, format="json", HTTP_IDEMPOTENCY_KEY="once")
        again = client.post("/v1/assignments", body, format="json", HTTP_IDEMPOTENCY_KEY="once")
        assert (first.status_code, again.status_code, first.content) == (201, 201, again.content)
        assert again["Idempotent-Replayed"] == "true"
        assert Assignment.objects.count() == 1
        other = client.post("/v1/assignments", body | {"plan": "Pro"}, format="json", HTTP_IDEMPOTENCY_KEY="once")
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")

    def test_a_deletion_is_answered_again(self, api: Api) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE})
        client = api("read", "write")
        ok(client.post("/v1/plans/Basic/versions"), 201)
        path = "/v1/plans/Basic/versions/draft"
        assert client.delete(path, HTTP_IDEMPOTENCY_KEY="gone").status_code == 204
        assert client.delete(path, HTTP_IDEMPOTENCY_KEY="gone").status_code == 204
        assert client.delete(path).status_code == 404

    def test_what_was_refused_left_nothing_behind(self, api: Api) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE})
        client = api("write")
        path = "/v1/plans/Basic/versions/draft/rates"
        faulty = {"product_item": "ApiCalls", "parameters": {"model": "per_unit"}}
        refused = client.post(path, faulty, format="json", HTTP_IDEMPOTENCY_KEY="k")
        assert refused.status_code == 400
        assert not PlanVersion.objects.filter(status="draft").exists()
        right = faulty | {"parameters": {"model": "per_unit", "unit_price": "1"}}
        assert client.post(path, right, format="json", HTTP_IDEMPOTENCY_KEY="k").status_code == 200


def test_a_body_in_chunks_is_refused_and_not_taken_for_none(api: Api) -> None:
    make_plan("Basic", {make_meter(): STORY_RATE})
    client = api("read", "write")
    ok(client.patch("/v1/plans/Basic/versions/draft", {"trial_days": 3}, format="json"))
    body = b'{"moves_existing": false}'
    for headers in ({}, {"HTTP_IDEMPOTENCY_KEY": "k"}):
        answer = client.generic(
            "POST", "/v1/plans/Basic/activate", body, "application/json", HTTP_TRANSFER_ENCODING="chunked", **headers
        )
        assert (answer.status_code, answer.json()["code"]) == (411, "length_required")
    assert ok(client.get("/v1/plans/Basic"))["active_version"] == 1


@pytest.mark.django_db(transaction=True)
class TestAtTheSameTime:
    def test_one_draft_is_begun(self, api: Api) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE})
        clients = [api("write") for _ in range(4)]
        answers: list[Any] = []
        raised = race(*[lambda c=client: answers.append(c.post("/v1/plans/Basic/versions")) for client in clients])
        assert raised == []
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
        assert PlanVersion.objects.filter(status="draft").count() == 1

    def test_one_rate_is_set_for_an_item(self, api: Api) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE})
        clients = [api("write") for _ in range(4)]
        body = {"product_item": "ApiCalls", "where": {"source": ["crm"]}, "parameters": STORY_RATE}
        path = "/v1/plans/Basic/versions/draft/rates"
        answers: list[Any] = []
        race(*[lambda c=client: answers.append(c.post(path, body, format="json")) for client in clients])
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
        assert Rate.objects.filter(plan_version__status="draft").count() == 2

    def test_one_of_two_plans_gets_the_customer(self, api: Api) -> None:
        calls = make_meter()
        for key in ("Basic", "Pro"):
            make_plan(key, {calls: STORY_RATE})
        make_customer("acme")
        clients = [(api("write"), key) for key in ("Basic", "Pro")]
        answers: list[Any] = []

        def assign(client: APIClient, plan: str) -> None:
            body = {"customer": "acme", "plan": plan, "starts_on": "2026-11-01"}
            answers.append(client.post("/v1/assignments", body, format="json"))

        race(*[lambda c=client, k=key: assign(c, k) for client, key in clients])
        assert sorted(answer.status_code for answer in answers) == [201, 400]
        assert Assignment.objects.count() == 1

    def test_activated_and_discarded_at_once(self, api: Api) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE})
        one, two = api("write"), api("write")
        ok(one.patch("/v1/plans/Basic/versions/draft", {"trial_days": 3}, format="json"))
        answers: list[Any] = []
        race(
            lambda: answers.append(one.post("/v1/plans/Basic/activate", {}, format="json")),
            lambda: answers.append(two.delete("/v1/plans/Basic/versions/draft")),
        )
        assert {answer.status_code for answer in answers} <= {200, 204, 400, 404, 409}
        assert not PlanVersion.objects.filter(status="draft").exists()
        assert Plan.objects.get().versions.filter(status="active").count() == 1


def _methods(patterns: Any) -> set[tuple[str, str]]:
    found = set()
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            found |= _methods(pattern.url_patterns)
            continue
        view = pattern.callback
        actions = getattr(view, "actions", None) or [name for name in METHODS if hasattr(view.cls, name)]
        found |= {
            (name, str(pattern.pattern)) for name in METHODS if name in {*actions} & {*view.cls.http_method_names}
        }
    return found
