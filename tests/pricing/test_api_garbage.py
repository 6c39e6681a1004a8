"""Whatever is sent to the API of pricing, it is taken or refused with a problem document, and nothing is half done."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from meters.models import Customer
from pricing.models import Assignment, Plan
from pricing.plans import draft_version, set_fee, set_rate
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan
from tests.kept import kept
from tests.pricing.calls import DRAFT, Api

pytestmark = pytest.mark.django_db

# JSON can name half of a character, which is none.
SURROGATE = "\ud800"
# What such fields have been seen to hold, beside anything at all.
TEXTS = st.sampled_from(
    [
        "",
        " ",
        "ApiCalls",
        "Basic",
        "acme",
        "seats",
        "draft",
        "now",
        "percent",
        "1",
        "-1",
        "0.5",
        "1e400",
        "NaN",
        "Infinity",
        "1_000",
        "１２",
        "2026-11-01",
        "2026-02-30",
        "9999-12-31",
        "0001-01-01",
        "USD",
        "x" * 300,
        "a\0b",
        SURROGATE,
        "../..",
    ]
)
NUMBERS = st.sampled_from([0, 1, -1, 0.1, 1e308, 2**31, 2**63, 10**30, True, None])
VALUES = st.recursive(
    TEXTS | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
BODIES: dict[tuple[str, str], list[str]] = {
    ("post", "/v1/plans"): ["key", "name", "description", "is_default", "offer", "follows_base"],
    ("patch", "/v1/plans/Basic"): ["name", "description", "is_default", "offer", "follows_base", "key"],
    ("post", "/v1/plans/Basic/activate"): ["moves_existing"],
    ("post", "/v1/plans/Pro/private-plans"): ["customer", "follows_base", "key"],
    ("patch", DRAFT): ["currency", "interval", "interval_count", "alignment", "trial_days", "minimum", "commitment"],
    ("post", f"{DRAFT}/drop-terms"): ["terms"],
    ("post", f"{DRAFT}/rates"): ["product_item", "where", "parameters", "prorated"],
    ("post", f"{DRAFT}/fees"): ["key", "name", "kind", "amount", "percent", "quantity", "unit", "prorated"],
    ("patch", f"{DRAFT}/fees/seats"): ["name", "kind", "amount", "percent", "quantity", "unit", "prorated"],
    ("post", "/v1/plans/Basic/document"): ["name", "currency", "trial_days", "minimum", "rates", "fees", "interval"],
    ("post", "/v1/assignments"): ["customer", "plan", "starts_on", "ends_on", "anchor_on"],
    ("post", "/v1/assignments/{id}/end"): ["ends_on"],
    ("post", "/v1/assignments/{id}/change-plan"): ["plan", "when"],
    ("post", "/v1/assignments/{id}/quantities"): ["fee_key", "quantity", "starts_on"],
    ("post", "/v1/assignment-rules"): ["plan", "position", "customer_source", "conditions", "enabled"],
    ("post", "/v1/promotions"): [
        "key",
        "name",
        "code",
        "kind",
        "percent",
        "amount",
        "currency",
        "cap",
        "product_items",
    ],
    ("post", "/v1/applied-promotions"): ["customer", "promotion", "code", "starts_on"],
    ("post", "/v1/tax-rates"): ["key", "name", "percent", "is_default"],
    ("patch", "/v1/billing-profiles/acme"): ["tax_rates", "tax_exempt", "tax_note", "tax_id", "legal_name", "address"],
}
LISTS = {
    "/v1/plans": ["status", "base", "customer", "limit", "cursor"],
    "/v1/plans/Basic/versions": ["limit", "cursor"],
    "/v1/plans/Basic/versions/draft/differences": ["against"],
    "/v1/assignments": ["customer", "plan", "on", "cursor"],
    "/v1/assignment-log": ["customer", "limit"],
    "/v1/assignment-rules": ["limit", "cursor"],
    "/v1/assignment-rules/try": ["customer", "cursor"],
    "/v1/promotions": ["enabled", "cursor"],
    "/v1/applied-promotions": ["customer", "promotion", "cursor"],
    "/v1/tax-rates": ["retired", "cursor"],
}
FUZZ = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
@kept()
def acme(db: None) -> Customer:
    calls = make_meter()
    plan = Plan.objects.create(key="Basic")
    set_rate(draft_version(plan), product_item=calls.product_item, parameters=STORY_RATE)
    set_fee(draft_version(plan), key="seats", name="Seats", amount="5")
    make_plan("Pro", {calls: STORY_RATE}, is_default=True)
    return make_customer("acme")


@pytest.fixture
def client(api: Api, acme: Customer) -> APIClient:
    return api("read", "write")


@pytest.mark.parametrize(("method", "path"), BODIES, ids=str)
@FUZZ
@given(data=st.data())
def test_of_a_body(client: APIClient, method: str, path: str, data: st.DataObject) -> None:
    fields = st.fixed_dictionaries({}, optional=dict.fromkeys(BODIES[method, path], VALUES))
    body = json.dumps(data.draw(fields | VALUES))
    address = path.format(id=Assignment.objects.get().pk)
    check(lambda: getattr(client, method)(address, body, content_type="application/json"))


@pytest.mark.parametrize("path", LISTS)
@FUZZ
@given(data=st.data())
def test_of_a_query(client: APIClient, path: str, data: st.DataObject) -> None:
    texts = TEXTS.filter(lambda text: text != SURROGATE)
    query = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(LISTS[path], texts)))
    check(lambda: client.get(path, query))


def check(send: Callable[[], Any]) -> None:
    with transaction.atomic():
        answer = send()
        transaction.set_rollback(True)
    assert answer.status_code in (200, 201, 400, 404, 409), answer.content
    if answer.status_code >= 400:
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["code"]
