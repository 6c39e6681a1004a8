"""Every call of the API and of the drop-ins, by keys that are not for it: of other scopes, and of another customer."""

from typing import Any

import pytest
from django.db import transaction
from rest_framework.test import APIClient

from invoices.models import CreditNote, Invoice
from meters.models import Customer
from tests.security.calls import Call, document, dropin_calls, own_calls
from tests.security.conftest import client_with

SCOPES = ("ingest", "read", "write")


def send(client: APIClient, call: Call, query: str = "", body: str = "{}") -> Any:
    """The answer; what was done is undone."""
    with transaction.atomic():
        answer = client.generic(call.method, call.path + query, body, content_type="application/json")
        transaction.set_rollback(True)
    return answer


def text_of(answer: Any) -> str:
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{content.decode(errors='replace')} {dict(answer.items())}"


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_opens_its_calls_and_no_other(acme: Customer, dropins: None, scope: str) -> None:
    client = client_with(scope)
    wrong, opened = [], 0
    for call in (*own_calls(), *dropin_calls()):
        answer = send(client, call)
        if call.scope == scope:
            opened += 1
            is_right = answer.status_code not in (401, 403, 405) and answer.status_code < 500
        elif call.scope is None:
            is_right = answer.status_code in (403, 404, 405)
        else:
            is_right = answer.status_code == 403 and f"lacks the scope {call.scope!r}" in text_of(answer)
        if not is_right:
            wrong.append((call, answer.status_code))
    assert not wrong
    assert opened >= 3


def test_the_document_names_the_scope_of_each_call(acme: Customer) -> None:
    scopes = {(call.method, call.name): call.scope for call in own_calls()}
    said = [
        (method.upper(), path, operation["description"])
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    ]
    counted = {
        scope: sum(f"Scope `{scope}`" in words for *_, words in said) - list(scopes.values()).count(scope)
        for scope in SCOPES
    }
    assert counted == dict.fromkeys(SCOPES, 0)


@pytest.mark.parametrize("text", [None, "tm_wrong"], ids=["none", "wrong"])
def test_without_a_key_nothing_opens(acme: Customer, dropins: None, text: str | None) -> None:
    client = APIClient(raise_request_exception=False)
    if text is not None:
        client.credentials(HTTP_X_API_KEY=text)
    for call in (*own_calls(), *dropin_calls()):
        answer = client.generic(call.method, call.path, "{}", content_type="application/json")
        assert answer.status_code == 401, call


@pytest.mark.parametrize("text", ["", "tm_" + "x" * 100_000, "tm_\u00fc", "tm_\0", "Bearer tm_x"], ids=range(5))
def test_what_is_no_key_is_refused_as_one(db: None, text: str) -> None:
    client = APIClient(raise_request_exception=False)
    for headers in ({"HTTP_X_API_KEY": text}, {"HTTP_AUTHORIZATION": f"Bearer {text}"}):
        assert client.get("/v1/plans", **headers).status_code == 401
        assert client.post("/v1/events", b"{}", content_type="application/json", **headers).status_code == 401


def test_what_was_revoked_opens_nothing(acme: Customer, dropins: None) -> None:
    from meters.keys import revoke
    from meters.models import ApiKey

    client = client_with(*SCOPES)
    revoke(ApiKey.objects.latest("pk"))
    served = [call for call in (*own_calls(), *dropin_calls()) if call.scope is not None and call.method == "GET"]
    assert {send(client, call).status_code for call in served} == {401}


@pytest.mark.parametrize("query", ["", "?customer=acme", "?customerId=acme&subject=acme", "?meter=ApiCalls&limit=100"])
def test_a_key_of_another_customer_sees_nothing_by_guessing(
    acme: Customer, theirs: APIClient, dropins: None, query: str
) -> None:
    """Whatever is asked for by the number or the name of acme's: no answer has a word of it."""
    secrets = {"acme-", "Acme", acme.email, *Invoice.objects.filter(customer=acme).values_list("number", flat=True)}
    secrets |= set(CreditNote.objects.filter(invoice__customer=acme).values_list("number", flat=True))
    secrets -= {""}
    found, opened = [], 0
    for call in (*own_calls(), *dropin_calls()):
        if call.scope not in ("ingest", "read"):
            continue
        answer = send(theirs, call, query)
        opened += answer.status_code == 200
        text = text_of(answer)
        # What was asked for may be said again.
        for asked in (call.path, query):
            text = text.replace(asked, "")
        if answer.status_code >= 500 or any(secret in text for secret in secrets):
            found.append((call, answer.status_code, text[:300]))
    assert not found
    assert opened >= (3 if query else 8)


def test_the_same_calls_show_it_to_who_may_see_it(acme: Customer, everything: APIClient) -> None:
    """Or the test above would find nothing in empty answers."""
    shown = {call.name for call in own_calls() if call.method == "GET" and "cme" in text_of(send(everything, call))}
    for name in ("customer-detail", "invoice-detail", "invoice-csv", "credit-detail", "event", "statement"):
        assert name in shown, name


@pytest.mark.parametrize("customer", ["acme", "nobody", "ACME", "globex/../acme", "globex "], ids=repr)
def test_a_key_of_another_customer_sends_and_reads_nothing_by_name(
    theirs: APIClient, dropins: None, customer: str
) -> None:
    event = {"customer": customer, "meter": "ApiCalls", "id": "x"}
    sent: Any = theirs.post("/v1/events", event, format="json")
    assert sent.status_code == 422
    cloud = {"specversion": "1.0", "id": "x", "source": "x", "type": "ApiCalls", "subject": customer}
    assert theirs.post("/openmeter/api/v1/events", cloud, format="json").status_code == 400
    record = {"customerId": customer, "meterApiName": "ApiCalls", "meterValue": 1, "meterTimeInMillis": 1}
    assert theirs.post("/amberflo/ingest", record, format="json").status_code >= 400
    asked = {"meter": "ApiCalls", "customer": customer}
    assert theirs.post("/v1/usage", asked, format="json").status_code == 403
    assert theirs.post(
        "/openmeter/api/v1/meters/ApiCalls/query", {"subject": [customer]}, format="json"
    ).status_code in (200, 403)
