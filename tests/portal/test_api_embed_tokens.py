"""The call that the vendor's server makes for pages in frames: who may, which origins are taken, and taking it back."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from rest_framework.test import APIClient

from meters.keys import create_api_key
from meters.models import Customer
from portal.api.embed_tokens import NEW_TOKEN, TOKEN
from portal.embedding.origins import NotAnOrigin, origin_of
from portal.models import EmbedToken
from tests.factories import make_customer
from tests.portal.conftest import NOW

CALL = "/v1/customers/acme/embed-tokens"
ORIGINS = ["https://app.example"]


@pytest.fixture
def customer(db: None, clock: object) -> Customer:
    return make_customer("acme", name="Acme Corp")


@pytest.fixture
def write(api: Any) -> APIClient:
    client: APIClient = api("write")
    return client


def create(client: APIClient, call: str = CALL, **body: Any) -> Any:
    return client.post(call, {"origins": ORIGINS, **body}, format="json")


def faults(response: Any) -> dict[str, str]:
    assert response.status_code == 400, response.content
    return {one["pointer"]: one["detail"] for one in response.json()["errors"]}


def test_a_token_with_what_to_open(write: APIClient, customer: Customer) -> None:
    response = create(write)
    assert response.status_code == 201
    made = response.json()
    assert re.fullmatch(r"tme_[\w-]{43}", made["token"])
    assert made["customer"] == "acme"
    assert made["origins"] == ORIGINS
    assert made["views"] == ["usage", "charges", "invoices", "plans"]
    assert made["expires_at"] == "2026-11-18T14:17:00Z"
    assert made["urls"]["plans"] == f"http://testserver/embed/plans?token={made['token']}"
    for url in made["urls"].values():
        assert Client().get(url.removeprefix("http://testserver")).status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert EmbedToken.objects.get().actor == "test"


def test_what_it_opens_and_for_how_long(write: APIClient, customer: Customer, settings: Any) -> None:
    settings.PUBLIC_URL = "https://billing.example"
    made = create(write, views=["plans", "usage"], expires_in=3600).json()
    assert made["views"] == ["usage", "plans"]
    assert made["urls"].keys() == {"usage", "plans"}
    assert made["urls"]["usage"].startswith("https://billing.example/embed/usage?token=tme_")
    assert made["expires_at"] == "2026-11-18T15:02:00Z"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"origins": None}, "/origins"),
        ({"origins": []}, "/origins"),
        ({"origins": "https://app.example"}, "/origins"),
        ({"origins": [f"https://a{number}.example" for number in range(6)]}, "/origins"),
        ({"origins": ["https://app.example", "*"]}, "/origins/1"),
        ({"origins": [7]}, "/origins/0"),
        ({"views": []}, "/views"),
        ({"views": ["usage", "everything"]}, "/views/1"),
        ({"expires_in": 59}, "/expires_in"),
        ({"expires_in": 3601}, "/expires_in"),
        ({"expires_in": "soon"}, "/expires_in"),
        ({"origin": "https://app.example"}, "/origin"),
    ],
)
def test_a_refusal_names_the_field(write: APIClient, customer: Customer, body: dict[str, Any], pointer: str) -> None:
    assert list(faults(create(write, **body))) == [pointer]
    assert not EmbedToken.objects.exists()


@pytest.mark.parametrize(
    "text",
    [
        *("*", "null", "", " ", "https://", "https:///", "app.example", "//app.example", "ftp://app.example"),
        *("https://app.example/", "https://app.example/billing", "https://app.example?x", "https://app.example#x"),
        *("https://*.example", "https://app.example:*", "https://app.example:", "https://app.example:0"),
        *("https://app.example:65536", "https://user@app.example", "https://app.example https://evil.example"),
        *(
            "https://app.example;",
            "https://app.example,https://evil.example",
            "https://app.example\n",
            "https://ä.example",
        ),
        *("http://app.example", "http://localhost.example", "http://127.0.0.2", "http://0.0.0.0:80", "https://[::1]"),
        *("https://-a.example", "https://a..example", "https://a.example.", "https://a_b.example", "'self'", "https:"),
        f"https://{'a' * 64}.example",
        f"https://{'a.' * 127}example",
        "javascript:alert(1)",
        "https://app.example:８０８０",
    ],
)
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(NotAnOrigin):
        origin_of(text)


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://app.example", "https://app.example"),
        ("HTTPS://App.Example:8443", "https://app.example:8443"),
        ("https://app.example:443", "https://app.example"),
        ("https://app.example:80", "https://app.example:80"),
        ("https://intranet", "https://intranet"),
        ("https://203.0.113.7:8000", "https://203.0.113.7:8000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
        ("http://localhost:8100", "http://localhost:8100"),
        ("http://127.0.0.1:08100", "http://127.0.0.1:8100"),
        ("http://app.localhost", "http://app.localhost"),
    ],
)
def test_an_origin_is_written_as_browsers_do(text: str, origin: str) -> None:
    assert origin_of(text) == origin


def test_an_origin_that_is_named_twice_counts_once(write: APIClient, customer: Customer) -> None:
    made = create(write, origins=["https://app.example", "https://APP.example:443"]).json()
    assert made["origins"] == ["https://app.example"]


def test_who_may(api: Any, customer: Customer) -> None:
    assert create(APIClient()).status_code == 401
    assert create(api("read", "ingest")).json()["code"] == "missing_scope"
    _, text = create_api_key(name="theirs", scopes=["read"], customer=customer)
    theirs = APIClient()
    theirs.credentials(HTTP_X_API_KEY=text)
    for response in (create(theirs), theirs.delete(CALL)):
        assert response.status_code == 403
    assert not EmbedToken.objects.exists()


def test_customers_that_there_are_not_and_keys_with_slashes(api: Any, customer: Customer) -> None:
    write = api("read", "write")
    make_customer("eu/acme 1", name="Other")
    for key in ("nobody", "acme%00", "embed-tokens"):
        assert create(write, f"/v1/customers/{key}/embed-tokens").status_code == 404
    assert create(write, "/v1/customers/eu/acme%201/embed-tokens").json()["customer"] == "eu/acme 1"
    # What was there before still is.
    assert write.get("/v1/customers/eu/acme%201").status_code == 200
    assert write.get(CALL).status_code == 405


def test_a_token_is_taken_back_from_the_next_request_on(write: APIClient, customer: Customer) -> None:
    other = make_customer("other", name="Other")
    first, second = create(write).json(), create(write).json()
    path = "/embed/charges"
    assert Client().get(path, {"token": first["token"]}).status_code == 200
    # Not by the name of another customer.
    assert write.delete(f"/v1/customers/{other.key}/embed-tokens/{first['id']}").status_code == 404
    assert write.delete(f"{CALL}/{first['id']}").status_code == 204
    assert write.delete(f"{CALL}/{first['id']}").status_code == 204
    assert write.delete(f"{CALL}/{2**80}").status_code == 404
    assert Client().get(path, {"token": first["token"]}).status_code == 401
    assert Client().get(path, {"token": second["token"]}).status_code == 200
    assert write.delete(CALL).status_code == 204
    assert Client().get(path, {"token": second["token"]}).status_code == 401


def test_a_call_that_is_repeated_makes_one(write: APIClient, customer: Customer) -> None:
    answers = [create_once(write) for _ in range(2)]
    assert answers[0] == answers[1]
    assert EmbedToken.objects.count() == 1


def create_once(client: APIClient) -> Any:
    return client.post(CALL, {"origins": ORIGINS}, format="json", headers={"Idempotency-Key": "page-17"}).json()


def test_a_token_ends_by_itself(write: APIClient, customer: Customer) -> None:
    made = create(write, expires_in=60).json()
    with time_machine.travel(NOW + timedelta(seconds=61), tick=False):
        assert Client().get("/embed/usage", {"token": made["token"]}).status_code == 401


def test_the_example_of_the_document_is_taken_and_answered_as_it_says(write: APIClient, customer: Customer) -> None:
    made = write.post(CALL, NEW_TOKEN, format="json")
    assert made.status_code == 201
    assert made.json().keys() == TOKEN.keys()
    assert {name: made.json()[name] for name in ("customer", "origins", "views")} == {
        name: TOKEN[name] for name in ("customer", "origins", "views")
    }
    assert made.json()["urls"].keys() == TOKEN["urls"].keys()
    assert len(made.json()["token"]) == len(TOKEN["token"])
