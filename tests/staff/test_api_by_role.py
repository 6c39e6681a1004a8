"""Every call of the API by a key of each role, with all scopes.

Nothing is stored, so a call that is let through finds nothing, or is told what is wrong with it.
"""

from typing import Any

import pytest
from django.db import transaction
from django.urls import reverse
from rest_framework.test import APIClient

from config import amberflo_urls
from meters.api import openmeter
from meters.api.amberflo_base import NothingLikeIt
from meters.api.permissions import needed_permissions
from meters.keys import create_api_key, rotate
from meters.models import ApiKey
from meters.staff_roles import StaffRole, allows
from tests.factories import make_customer
from tests.staff.pages import below

pytestmark = pytest.mark.django_db

OPEN = {"schema", "api-docs"}
PLAN = {"GET": "pricing.view_plan", "PATCH": "pricing.change_plan", "DELETE": "pricing.change_plan"}
PLANS = {"GET": "pricing.view_plan", "POST": "pricing.change_plan"}
CHANGES_PLAN = {"POST": "pricing.change_plan"}
SEES_PLAN = {"GET": "pricing.view_plan"}
LIVE = {"POST": "invoices.change_invoice"}
INVOICE = {"GET": "invoices.view_invoice"}
ENDPOINT = "invoices.{}_webhookendpoint"
RULE = "pricing.{}_assignmentrule"
USAGE = "meters.view_customer meters.view_meter"
VOIDS = {"POST": "meters.add_voidrecord meters.view_event"}

# What each call needs, said once more beside the code: a call without a word here fails the test.
CALLS: dict[str, dict[str, str]] = {
    "alert-detail": {
        "GET": "invoices.view_alert",
        "PATCH": "invoices.change_alert",
        "DELETE": "invoices.delete_alert",
    },
    "alert-firing-list": {"GET": "invoices.view_alertfiring"},
    "alert-list": {"GET": "invoices.view_alert", "POST": "invoices.add_alert"},
    "applied-promotion-detail": {"GET": "pricing.view_appliedpromotion"},
    "applied-promotion-end": {"POST": "pricing.change_appliedpromotion"},
    "applied-promotion-list": {
        "GET": "pricing.view_appliedpromotion",
        "POST": "pricing.add_appliedpromotion pricing.view_promotion",
    },
    "assignment-change-plan": {"POST": "pricing.add_assignment pricing.change_assignment"},
    "assignment-detail": {"GET": "pricing.view_assignment"},
    "assignment-end": {"POST": "pricing.change_assignment"},
    "assignment-list": {"GET": "pricing.view_assignment", "POST": "pricing.add_assignment"},
    "assignment-log-list": {"GET": "pricing.view_assignmentlog"},
    "assignment-quantities": {"POST": "pricing.change_assignment"},
    "assignment-rule-detail": {
        "GET": RULE.format("view"),
        "PATCH": RULE.format("change"),
        "DELETE": RULE.format("delete"),
    },
    "assignment-rule-list": {"GET": RULE.format("view"), "POST": RULE.format("add")},
    "assignment-rule-try-on": {"GET": f"{RULE.format('view')} meters.view_customer pricing.view_assignment"},
    "audit-log-list": {"GET": "meters.view_auditrow"},
    "backtest": {"GET": "invoices.view_backtest"},
    "backtest-rows": {"GET": "invoices.view_backtest"},
    "backtests": {"GET": "invoices.view_backtest", "POST": "invoices.add_backtest"},
    "billing-policy": {"GET": "invoices.view_billingpolicy", "PATCH": "invoices.change_billingpolicy"},
    "billing-profile": {"GET": "pricing.view_billingprofile", "PATCH": "pricing.change_billingprofile"},
    "credit-balance": {"GET": "invoices.view_creditgrant"},
    "credit-detail": {"GET": "invoices.view_creditgrant"},
    "credit-entry-list": {"GET": "invoices.view_creditentry"},
    "credit-list": {"GET": "invoices.view_creditgrant", "POST": "invoices.add_creditgrant"},
    "credit-note": {"GET": "invoices.view_creditnote"},
    "credit-note-pdf": {"GET": "invoices.view_creditnote"},
    "credit-notes": {"GET": "invoices.view_creditnote"},
    "credit-rule": {
        "GET": "invoices.view_creditrule",
        "PUT": "invoices.change_creditrule",
        "DELETE": "invoices.change_creditrule",
    },
    "credit-void": {"POST": "invoices.change_creditgrant"},
    "customer-detail": {"GET": "meters.view_customer", "PATCH": "meters.change_customer"},
    "customer-list": {"GET": "meters.view_customer", "POST": "meters.add_customer"},
    "customer-portal-sessions": {"POST": "portal.add_portalsession"},
    "embed-token": {"DELETE": "portal.change_embedtoken"},
    "embed-tokens": {"POST": "portal.add_embedtoken", "DELETE": "portal.change_embedtoken"},
    "event": {"GET": "meters.view_event"},
    "events": {"GET": "meters.view_event", "POST": "meters.add_event"},
    "fee": PLAN,
    "fee-drop-override": CHANGES_PLAN,
    "fees": PLANS,
    "invoice-approve": LIVE,
    "invoice-credit-notes": {"GET": "invoices.view_creditnote", "POST": "invoices.add_creditnote"},
    "invoice-csv": INVOICE,
    "invoice-detail": INVOICE,
    "invoice-finalize": LIVE,
    "invoice-hold": LIVE,
    "invoice-line-events": {"GET": "invoices.view_invoice meters.view_event"},
    "invoice-list": INVOICE,
    "invoice-payments": {"GET": "invoices.view_payment", "POST": "invoices.add_payment"},
    "invoice-pdf": INVOICE,
    "invoice-reissue": {"POST": "invoices.add_creditnote"},
    "invoice-release": LIVE,
    "invoice-void": {"POST": "invoices.add_creditnote"},
    "invoice-write-off": {"POST": "invoices.add_payment"},
    "meter-detail": {"GET": "meters.view_meter", "PATCH": "meters.change_meter"},
    "meter-list": {"GET": "meters.view_meter", "POST": "meters.add_meter"},
    "plan-activate": CHANGES_PLAN,
    "plan-billing": {"GET": "invoices.view_billingpolicy", "PATCH": "invoices.change_billingpolicy"},
    "plan-detail": {"GET": "pricing.view_plan", "PATCH": "pricing.change_plan"},
    "plan-differences": SEES_PLAN,
    "plan-document": {"GET": "pricing.view_plan", "POST": "pricing.add_plan pricing.change_plan"},
    "plan-drop-terms": CHANGES_PLAN,
    "plan-estimate": {"POST": "pricing.view_plan"},
    "plan-list": {"GET": "pricing.view_plan", "POST": "pricing.add_plan"},
    "plan-private-plans": CHANGES_PLAN,
    "plan-retire": CHANGES_PLAN,
    "plan-version": PLAN,
    "plan-versions": PLANS,
    "portal-session-detail": {"GET": "portal.view_portalsession"},
    "portal-session-list": {"GET": "portal.view_portalsession"},
    "portal-session-revoke": {"POST": "portal.change_portalsession"},
    "product-item-detail": {"GET": "pricing.view_productitem", "PATCH": "pricing.change_productitem"},
    "product-item-list": {"GET": "pricing.view_productitem"},
    "promotion-detail": {"GET": "pricing.view_promotion", "PATCH": "pricing.change_promotion"},
    "promotion-list": {"GET": "pricing.view_promotion", "POST": "pricing.add_promotion"},
    "rate": PLAN,
    "rate-drop-override": CHANGES_PLAN,
    "rates": PLANS,
    "statement": {"GET": "meters.view_customer invoices.view_invoice"},
    "tax-rate-detail": {"GET": "pricing.view_taxrate", "PATCH": "pricing.change_taxrate"},
    "tax-rate-list": {"GET": "pricing.view_taxrate", "POST": "pricing.add_taxrate"},
    "tax-rate-retire": {"POST": "pricing.change_taxrate"},
    "unvoid": VOIDS,
    "usage": {"GET": USAGE, "POST": USAGE},
    "void": VOIDS,
    "webhook-delivery-detail": {"GET": "invoices.view_webhookdelivery"},
    "webhook-delivery-list": {"GET": "invoices.view_webhookdelivery"},
    "webhook-delivery-replay": {"POST": "invoices.change_webhookdelivery"},
    "webhook-endpoint-detail": {
        "GET": ENDPOINT.format("view"),
        "PATCH": ENDPOINT.format("change"),
        "DELETE": ENDPOINT.format("delete"),
    },
    "webhook-endpoint-list": {"GET": ENDPOINT.format("view"), "POST": ENDPOINT.format("add")},
    "webhook-endpoint-rotate-secret": {"POST": ENDPOINT.format("change")},
}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def client_of(role: StaffRole, *scopes: str) -> APIClient:
    _, text = create_api_key(name="test", scopes=scopes or ApiKey.Scope.values, role=role)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def routes() -> dict[str, dict[str, str]]:
    """By name: the arguments of its address. Fails where there is no word about one."""
    found = {str(one.name): one for _, one in below("v1/") if one.name not in OPEN}
    if unsaid := sorted(set(found) - set(CALLS)):
        pytest.fail(f"Say in CALLS what these calls need: {unsaid}")
    assert not sorted(set(CALLS) - set(found))
    return {
        name: dict.fromkeys([*one.pattern.converters, *one.pattern.regex.groupindex], "1")
        for name, one in sorted(found.items())
    }


@pytest.mark.parametrize("role", list(StaffRole), ids=str)
def test_each_call_by_a_key_of_each_role(role: StaffRole) -> None:
    client = client_of(role)
    wrong = []
    for name, arguments in routes().items():
        path = reverse(name, kwargs=arguments)
        for method in METHODS if role == StaffRole.OWNER else CALLS[name]:
            with transaction.atomic():
                answer: Any = client.generic(method, path, "{}", content_type="application/json")
                transaction.set_rollback(True)
            permissions = CALLS[name].get(method)
            if permissions is None:
                is_right = answer.status_code == 405
            elif missing := [one for one in permissions.split() if not allows(role, one)]:
                is_right = answer.status_code == 403 and answer.json()["code"] == "missing_permission"
                is_right = is_right and missing[0] in answer.json()["detail"]
            else:
                is_right = answer.status_code not in (401, 403) and answer.status_code < 500
            if not is_right:
                wrong.append((method, name, answer.status_code, permissions))
    assert not wrong


def test_the_answer_names_the_permission() -> None:
    answer = client_of(StaffRole.SUPPORT).post("/v1/plans", {"key": "x"}, format="json")
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "code": "missing_permission",
        "detail": "The role of this API key, 'support', lacks the permission pricing.add_plan.",
    }


def test_a_scope_is_asked_for_first_and_a_role_opens_none() -> None:
    assert client_of(StaffRole.FINANCE, "read").post("/v1/plans", {}, format="json").json()["code"] == "missing_scope"
    assert client_of(StaffRole.OWNER, "read").post("/v1/plans", {}, format="json").json()["code"] == "missing_scope"


def test_no_role_but_an_owners_sends_events() -> None:
    make_customer("acme")
    event = {"customer": "acme", "meter": "ApiCalls"}
    for role in StaffRole:
        answer = client_of(role, "ingest").post("/v1/events", event, format="json")
        assert (answer.status_code == 403) == (role != StaffRole.OWNER), role


def test_keys_of_before_are_an_owners() -> None:
    key, _ = create_api_key(name="old", scopes=["read"])
    assert key.role == StaffRole.OWNER
    assert ApiKey._meta.get_field("role").db_default == StaffRole.OWNER


def test_a_rotated_key_has_the_same_role() -> None:
    key, _ = create_api_key(name="old", scopes=["read"], role=StaffRole.FINANCE)
    assert rotate(key)[0].role == StaffRole.FINANCE


def test_what_nobody_has_said_is_for_owners() -> None:
    class View:
        def get(self) -> None: ...

    assert needed_permissions("GET", View()) is None
    assert needed_permissions("OPTIONS", View()) == ()
    assert needed_permissions("POST", View()) == ()


def test_the_owners_calls_cost_no_query_more(django_assert_num_queries: Any) -> None:
    """Nor do others': a role is a column of the key, which is held in memory, and the table is code."""
    for role in (StaffRole.OWNER, StaffRole.FINANCE):
        client = client_of(role)
        client.get("/v1/tax-rates")
        with django_assert_num_queries(1):
            assert client.get("/v1/tax-rates").status_code == 200


def test_calls_of_other_products_say_what_they_need() -> None:
    """They are mounted where somebody wants them, so their addresses are not among ours."""
    views = [one.callback.view_class for one in (*amberflo_urls.urlpatterns, *openmeter.urlpatterns)]
    unsaid = [
        (method, view.__name__)
        for view in views
        for method in METHODS
        if view is not NothingLikeIt and needed_permissions(method, view()) is None
    ]
    assert not unsaid
    assert len(views) > 10
