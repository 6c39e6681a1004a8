"""All calls of the API and of the drop-ins, from the tables that serve them, and what stands in their addresses: one
that is added fails the tests until it is said here."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse

from config import amberflo_urls
from invoices.models import Alert, Backtest, CreditGrant, CreditNote, Invoice, WebhookDelivery, WebhookEndpoint
from meters.api import openmeter
from portal.models import EmbedToken, PortalSession
from pricing.models import AppliedPromotion, Assignment, AssignmentRule, Rate
from tests.staff.test_api_by_role import METHODS, routes

# A row of acme's, or of all, by what its routes begin with; the longest beginning counts.
ROWS: dict[str, Any] = {
    "alert": Alert,
    "applied-promotion": AppliedPromotion,
    "assignment": Assignment,
    "assignment-rule": AssignmentRule,
    "backtest": Backtest,
    "credit": CreditGrant,
    "embed-token": EmbedToken,
    "invoice": Invoice,
    "portal-session": PortalSession,
    "rate": Rate,
    "webhook-delivery": WebhookDelivery,
    "webhook-endpoint": WebhookEndpoint,
}
KEYS = {
    "customer-detail": "acme",
    "customer-portal-sessions": "acme",
    "embed-token": "acme",
    "embed-tokens": "acme",
    "meter-detail": "ApiCalls",
    "promotion-detail": "welcome",
    "tax-rate-detail": "vat",
    "tax-rate-retire": "vat",
}
OTHERS = {
    "customer": "acme",
    "meter": "ApiCalls",
    "fee": "seats",
    "version": "draft",
    "position": 1,
    "path": "acme/acme-1",
}
PLANS = ("plan", "fee", "rate", "backtest")

# By the address: the scope that each method of a drop-in needs. Nothing else is served.
AMBERFLO = {
    "ingest": {"POST": "ingest"},
    "customers": {"GET": "read", "POST": "write", "PUT": "write"},
    "customers/acme": {"GET": "read", "DELETE": "write"},
    "usage": {"POST": "read"},
    "usage/batch": {"POST": "read"},
    "usage/all": {"GET": "read"},
    "payments/pricing/amberflo/customer-pricing": {"GET": "read", "POST": "write"},
    "payments/pricing/amberflo/customer-pricing/list": {"GET": "read"},
    "payments/pricing/amberflo/customer-prepaid": {"GET": "read", "POST": "write", "DELETE": "write"},
    "payments/pricing/amberflo/customer-prepaid/list": {"GET": "read"},
    "payments/billing/customer-product-invoice": {"GET": "read"},
    "payments/billing/customer-product-invoice/all": {"GET": "read"},
    "session": {"POST": "write"},
    "what/else": {},
}
OPENMETER = {
    "api/v1/events": {"POST": "ingest"},
    "api/v1/meters": {"GET": "read"},
    "api/v1/meters/ApiCalls": {"GET": "read"},
    "api/v1/meters/ApiCalls/query": {"GET": "read", "POST": "read"},
}


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    # Of the table of addresses; of drop-ins none.
    name: str
    # What a key needs for it; None: it is not served.
    scope: str | None


def own_calls() -> Iterator[Call]:
    """Every method at every address of /v1; those of rows are acme's, where it has one."""
    from tests.staff.test_api_by_role import CALLS

    for name, arguments in routes().items():
        path = reverse(name, kwargs={argument: _argument(name, argument) for argument in arguments})
        for method in METHODS:
            scope = None
            if method in CALLS[name]:
                scope = "read" if method == "GET" or name in ("usage", "plan-estimate") else "write"
                scope = "ingest" if (method, name) == ("POST", "events") else scope
            yield Call(method, path, name, scope)


def dropin_calls() -> Iterator[Call]:
    for prefix, said, served in (
        ("amberflo", AMBERFLO, amberflo_urls.urlpatterns),
        ("openmeter", OPENMETER, openmeter.urlpatterns),
    ):
        if len(said) != len(served):
            pytest.fail(f"Say in tests/security/calls.py what the calls of {prefix} need: {served}")
        for path, scopes in said.items():
            assert any(one.pattern.match(path) for one in served), path
            for method in METHODS:
                yield Call(method, f"/{prefix}/{path}", "", scopes.get(method))


def _argument(name: str, argument: str) -> Any:
    if argument == "number":
        return _first(CreditNote).number
    if argument == "key":
        return KEYS[name] if name in KEYS else _plan(name)
    if argument == "pk":
        beginnings = [one for one in ROWS if name.startswith(one)]
        if not beginnings:
            pytest.fail(f"Say in tests/security/calls.py which row stands in the address of {name!r}.")
        row = _first(ROWS[max(beginnings, key=len)])
        return 1 if row is None else row.pk
    if argument not in OTHERS:
        pytest.fail(f"Say in tests/security/calls.py what {argument!r} is in the address of {name!r}.")
    return OTHERS[argument]


def _plan(name: str) -> str:
    if not name.startswith(PLANS):
        pytest.fail(f"Say in tests/security/calls.py which key stands in the address of {name!r}.")
    return "Basic"


def _first(model: Any) -> Any:
    names = {field.name for field in model._meta.get_fields()}
    rows = model.objects.order_by("pk")
    # An alert may have no customer, but acme's has.
    return (rows.filter(customer__key="acme") if "customer" in names else rows).first()


_document: dict[str, Any] = {}


def document() -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if not _document:
        out = io.StringIO()
        call_command("spectacular", "--format", "openapi-json", stdout=out)
        _document.update(json.loads(out.getvalue()))
    return _document
