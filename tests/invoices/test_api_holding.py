"""Holding, releasing, approving and finalising over the API, and what an invoice says of itself."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from invoices.api import holding as documented
from invoices.models import Invoice, PlanPolicy
from meters.keys import create_api_key
from meters.models import Customer
from tests.factories import live_invoice, run_sweep, send
from tests.invoices.november import MONTH_END, NOW

pytestmark = pytest.mark.usefixtures("november")


@pytest.fixture
def invoice(acme: Customer) -> Invoice:
    send("acme", "ApiCalls", 12300)
    run_sweep()
    return live_invoice(acme)


@pytest.fixture
def client(api: Any, invoice: Invoice) -> APIClient:
    made: APIClient = api("read", "write")
    return made


def do(client: APIClient, invoice: Invoice, action: str, **body: Any) -> Any:
    return client.post(f"/v1/invoices/{invoice.pk}/{action}", body, format="json")


def why(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 400
    return [(error["pointer"], error["detail"]) for error in answer.json()["errors"]]


def test_held_and_released(client: APIClient, invoice: Invoice) -> None:
    held = do(client, invoice, "hold", reason="The customer asked about a price.")
    assert held.status_code == 200
    told = {"held_at": documented.HELD["held_at"], "hold_reason": documented.HELD["hold_reason"], "total": "40.00"}
    assert {name: held.json()[name] for name in told} == told
    released = do(client, invoice, "release").json()
    assert (released["held_at"], released["hold_reason"]) == (None, "")
    assert [event.actor for event in invoice.events.all()] == ["", "test", "test"]


def test_approved_and_made_final(client: APIClient, invoice: Invoice) -> None:
    PlanPolicy.objects.create(plan=invoice.assignment.plan, needs_approval=True, payment_days=14)
    with time_machine.travel(MONTH_END + timedelta(hours=8), tick=False):
        assert why(do(client, invoice, "finalize")) == [("", "This invoice waits for approval: approve it first.")]
        assert do(client, invoice, "approve").json()["approved_at"] == "2026-12-01T08:00:00Z"
        final = do(client, invoice, "finalize").json()
        told = {name: documented.FINAL[name] for name in ("status", "number", "due_on", "finalized_at")}
        assert {name: final[name] for name in told} == told
        by_number = client.get("/v1/invoices/2026-0001").json()
        assert by_number == final
        assert why(client.post("/v1/invoices/2026-0001/hold", {"reason": "Late"}, format="json")) == [
            ("", "This invoice is final: it cannot be held.")
        ]


def test_what_cannot_be_done_says_why(client: APIClient, invoice: Invoice) -> None:
    assert why(do(client, invoice, "finalize")) == [("", "Its period is not over: it cannot be final yet.")]
    assert why(do(client, invoice, "approve")) == [("", "Its period is not over: approve it after that.")]
    assert why(do(client, invoice, "release")) == [("", "This invoice is not held.")]
    assert [pointer for pointer, _ in why(do(client, invoice, "hold"))] == ["/reason"]
    assert [pointer for pointer, _ in why(do(client, invoice, "hold", reason="a", more=1))] == ["/more"]
    assert [pointer for pointer, _ in why(do(client, invoice, "hold", reason="a\nb"))] == ["/reason"]
    assert client.post("/v1/invoices/2026-9999/release").status_code == 404
    assert client.post("/v1/invoices/99999999999999999999/release").status_code == 404


@pytest.mark.parametrize("action", ["hold", "release", "approve", "finalize"])
def test_keys_that_only_read_and_keys_of_customers_change_nothing(api: Any, invoice: Invoice, action: str) -> None:
    assert do(api("read"), invoice, action, reason="No").status_code == 403
    _, text = create_api_key(name="k", scopes=["read"], customer=invoice.customer)
    own = APIClient()
    own.credentials(HTTP_X_API_KEY=text)
    assert do(own, invoice, action, reason="No").status_code == 403
    assert invoice.events.count() == 1


def test_a_customer_does_not_read_why_it_is_held(client: APIClient, invoice: Invoice) -> None:
    do(client, invoice, "hold", reason="They do not pay.")
    _, text = create_api_key(name="k", scopes=["read"], customer=invoice.customer)
    own = APIClient()
    own.credentials(HTTP_X_API_KEY=text)
    read = own.get(f"/v1/invoices/{invoice.pk}").json()
    assert (read["held_at"], read["hold_reason"]) == ("2026-11-22T14:30:00Z", "")


def test_it_says_up_to_which_usage_it_is_exact_and_whether_there_is_newer(client: APIClient, invoice: Invoice) -> None:
    def told() -> tuple[int, bool]:
        read = client.get(f"/v1/invoices/{invoice.pk}").json()
        return read["usage_version"], read["usage_is_newer"]

    assert told() == (1, False)
    send("acme", "ApiCalls", 1, time=NOW)
    assert told() == (1, True)
    run_sweep()
    assert told() == (2, False)
