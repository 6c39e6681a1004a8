"""A small installation with something at nearly every address of the API, so that calls find what they ask for."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from rest_framework.test import APIClient

from invoices.models import Invoice
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.invoices.plans import fee, plan_with

# What all of it is called: of one name for several kinds there is one fewer to guess.
KEYS = ("acme", "ApiCalls", "Basic", "seats", "welcome", "vat", "active", "draft", "1", "acme-1", "acme/acme-1", "Pro")


def fill(client: APIClient, now: datetime) -> None:
    """Call it with an empty database. Two months before `now` have usage."""
    first = date(now.year - (now.month < 3), (now.month - 3) % 12 + 1, 1)
    calls = make_meter()
    make_meter("Users", unit="users", aggregation="unique_count", unique_dimension="user", dimensions=["user"])
    plan = plan_with("Basic", {calls: STORY_RATE}, fee("seats", "5"))
    for key in ("acme", "globex"):
        customer = make_customer(key, name=key.title(), email=f"{key}@example.com")
        put_on(customer, plan, first)
        for number in range(4):
            moment = datetime(first.year, first.month, 5, 9, tzinfo=UTC) + timedelta(days=20 * number)
            send(key, "ApiCalls", 3000, id=f"{key}-{number}", time=min(moment, now), now=now, source=f"{key}-crm")
    run_sweep()
    run_sweep()
    make_plan("Pro", {calls: STORY_RATE}, is_default=True)
    _post(client, "tax-rates", key="vat", name="VAT", percent="19")
    _post(client, "promotions", key="welcome", name="Welcome", kind="percent", percent="25", code="HELLO")
    _post(client, "applied-promotions", customer="acme", promotion="welcome", starts_on=str(first))
    _post(client, "assignment-rules", plan="Basic", conditions={})
    _post(client, "credits", customer="acme", name="Prepaid", amount="50", currency="USD")
    _post(client, "alerts", name="Half", kind="amount", customer="acme", threshold="20", currency="USD")
    _post(client, "webhook-endpoints", url="https://hooks.example/tollmeter")
    _post(client, "customers/acme/portal-sessions")
    _post(client, "customers/acme/embed-tokens", origins=["https://app.example"])
    final = Invoice.objects.filter(status=Invoice.Status.FINAL).order_by("pk")[0]
    _post(client, f"invoices/{final.pk}/payments", amount="1")
    _post(client, f"invoices/{final.pk}/credit-notes", reason="Too much")
    _post(client, "plans/Basic/backtests", periods=1)
    _post(client, "plans/Basic/versions")


def _post(client: APIClient, path: str, **body: Any) -> None:
    answer: Any = client.post(f"/v1/{path}", body, format="json")
    assert answer.status_code in (200, 201), (path, answer.content)
