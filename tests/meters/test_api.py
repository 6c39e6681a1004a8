"""The API over HTTP: what it takes, what it answers, and how it says no."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from meters import keys
from meters.keys import create_api_key, revoke
from meters.models import ApiKey, Customer, Meter
from pricing.models import ProductItem
from tests.factories import json_event, make_customer, make_meter
from tests.racing import race

pytestmark = pytest.mark.django_db


class TestKeys:
    def test_both_headers_open(self, db: None) -> None:
        _, text = create_api_key(name="k", scopes=["read"])
        for headers in ({"HTTP_AUTHORIZATION": f"Bearer {text}"}, {"HTTP_X_API_KEY": text}):
            assert APIClient().get("/v1/meters", **headers).status_code == 200

    @pytest.mark.parametrize("header", ["", "Bearer", "Bearer nonsense", "Basic dTpw"], ids=str)
    def test_no_or_a_wrong_key_is_401(self, header: str) -> None:
        answer = APIClient().get("/v1/meters", **({"HTTP_AUTHORIZATION": header} if header else {}))
        assert answer.status_code == 401
        assert answer["Content-Type"] == "application/problem+json"
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer.json()["code"] in ("not_authenticated", "invalid_api_key")

    def test_a_revoked_key_is_401_from_the_next_request_on(self) -> None:
        key, text = create_api_key(name="k", scopes=["read"])
        client = APIClient()
        client.credentials(HTTP_X_API_KEY=text)
        assert client.get("/v1/meters").status_code == 200
        revoke(key)
        answer = client.get("/v1/meters")
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_api_key")

    @pytest.mark.parametrize(
        ("method", "path", "scope"),
        [
            ("post", "/v1/events", "ingest"),
            ("get", "/v1/usage", "read"),
            ("get", "/v1/customers", "read"),
            ("post", "/v1/customers", "write"),
            ("patch", "/v1/customers/acme", "write"),
            ("get", "/v1/meters", "read"),
            ("post", "/v1/meters", "write"),
            ("get", "/v1/invoices", "read"),
        ],
        ids=str,
    )
    def test_a_scope_opens_its_own_and_nothing_else(self, api, method: str, path: str, scope: str) -> None:
        others = {"ingest", "read", "write"} - {scope}
        answer = getattr(api(*others), method)(path, {}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
        assert scope in answer.json()["detail"]
        assert getattr(api(scope), method)(path, {}, format="json").status_code != 403

    def test_only_the_hash_is_stored(self) -> None:
        key, text = create_api_key(name="k", scopes=["read"])
        stored = ApiKey.objects.get(pk=key.pk)
        assert text not in str(vars(stored))
        assert text.startswith(stored.start)

    def test_last_use_is_noted(self, api) -> None:
        api("read").get("/v1/meters")
        assert ApiKey.objects.get().last_used_at is not None


class TestCustomers:
    def test_create_read_update_list(self, api) -> None:
        client = api("read", "write")
        body = {"key": "acme", "name": "Acme", "traits": {"tier": "gold"}, "time_zone": "Europe/Berlin"}
        answer = client.post("/v1/customers", body, format="json")
        assert answer.status_code == 201
        assert answer.json() == body | {"email": "", "source": "api", "created_at": answer.json()["created_at"]}
        assert client.patch("/v1/customers/acme", {"name": "ACME"}, format="json").json()["name"] == "ACME"
        assert client.get("/v1/customers/acme").json()["name"] == "ACME"
        assert [row["key"] for row in client.get("/v1/customers").json()["data"]] == ["acme"]
        assert client.delete("/v1/customers/acme").status_code == 405

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/key"),
            ({"key": "a\nb"}, "/key"),
            ({"key": "taken"}, "/key"),
            ({"key": "a", "time_zone": "Mars/Base"}, "/time_zone"),
            ({"key": "a", "email": "nobody"}, "/email"),
            ({"key": "a", "traits": ["gold"]}, "/traits"),
            ({"key": "a", "traits": {"tier": {"x": 1}}}, "/traits/tier"),
        ],
        ids=str,
    )
    def test_bad_input_names_the_field(self, api, body: dict, pointer: str) -> None:
        make_customer("taken")
        answer = api("write").post("/v1/customers", body, format="json")
        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
        assert Customer.objects.count() == 1

    def test_the_key_never_changes(self, api) -> None:
        make_customer("acme")
        answer = api("write").patch("/v1/customers/acme", {"key": "other"}, format="json")
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/key")

    def test_an_unknown_one_is_404(self, api) -> None:
        answer = api("read").get("/v1/customers/nobody")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    def test_lists_page_by_cursor_with_a_fixed_number_of_queries(self, api, django_assert_num_queries) -> None:
        for number in range(30):
            make_customer(f"c{number:02}")
        client = api("read")
        client.get("/v1/customers")
        keys.forget()
        with django_assert_num_queries(2):
            first = client.get("/v1/customers", {"limit": 20}).json()
        second = client.get(first["next"]).json()
        assert [row["key"] for row in first["data"] + second["data"]] == [f"c{number:02}" for number in range(30)]
        assert second["next"] is None


class TestMeters:
    def test_one_used_for_billing_has_a_product_item_at_once(self, api) -> None:
        client = api("read", "write")
        body = {"key": "ApiCalls", "aggregation": "sum", "unit": "calls", "used_for_billing": True}
        assert client.post("/v1/meters", body, format="json").status_code == 201
        item = ProductItem.objects.get()
        assert (item.name, item.meter.key, item.retired_at) == ("ApiCalls", "ApiCalls", None)

        client.patch("/v1/meters/ApiCalls", {"used_for_billing": False}, format="json")
        item.refresh_from_db()
        assert item.retired_at is not None
        client.patch("/v1/meters/ApiCalls", {"used_for_billing": True}, format="json")
        assert ProductItem.objects.get().retired_at is None

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({"key": "a b"}, "/key"),
            ({"key": "a", "aggregation": "median"}, "/aggregation"),
            ({"key": "a", "aggregation": "unique_count"}, "/unique_dimension"),
            ({"key": "a", "dimensions": [f"d{i}" for i in range(9)]}, "/dimensions"),
            ({"key": "a", "dimensions": "region"}, "/dimensions"),
        ],
        ids=str,
    )
    def test_bad_input_names_the_field(self, api, body: dict, pointer: str) -> None:
        answer = api("write").post("/v1/meters", body, format="json")
        assert answer.status_code == 400
        assert {error["pointer"] for error in answer.json()["errors"]} == {pointer}
        assert not Meter.objects.exists()


def test_the_schema_is_complete_and_warns_of_nothing(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    from django.core.management import call_command

    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "schema.yaml"))
    schema = (tmp_path / "schema.yaml").read_text()
    for path in ("/v1/events", "/v1/usage", "/v1/customers", "/v1/meters", "/v1/invoices"):
        assert f"{path}:" in schema


class TestErrors:
    def test_an_unknown_address_is_a_problem(self) -> None:
        answer = APIClient().get("/v1/nothing")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert answer["Content-Type"] == "application/problem+json"

    def test_a_bug_is_a_problem_that_tells_no_secrets(self, api, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*args: object, **kwargs: object) -> None:
            raise RuntimeError("secret")

        monkeypatch.setattr("meters.api.events.record_events", broken)
        make_meter()
        client = api("ingest")
        client.raise_request_exception = False
        answer = client.post("/v1/events", json_event(), format="json")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
        assert "secret" not in answer.content.decode()

    def test_a_database_that_does_not_answer_is_503(self, api, monkeypatch: pytest.MonkeyPatch) -> None:
        from django.db import OperationalError

        def down(*args: object, **kwargs: object) -> None:
            raise OperationalError("connection refused to 10.0.0.1")

        client = api("ingest")
        monkeypatch.setattr("meters.api.events.record_events", down)
        answer = client.post("/v1/events", json_event(), format="json")
        assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "database_unavailable", "2")
        assert "10.0.0.1" not in answer.content.decode()

    def test_a_large_body_is_413_everywhere(self, api) -> None:
        answer = api("write").post("/v1/customers", {"key": "acme", "name": "x" * 1_100_000}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    @pytest.mark.parametrize("body", ["{", "[]", "7", "null", '{"key": {"a": 1}}'], ids=str)
    def test_a_body_that_is_no_customer_is_400(self, api, body: str) -> None:
        answer = api("write").generic("POST", "/v1/customers", body, content_type="application/json")
        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"

    @pytest.mark.parametrize(
        "path",
        [
            "/v1/customers/%00",
            "/v1/meters/%00",
            "/v1/usage?customer=%00&meter=ApiCalls",
            "/v1/invoices?customer=%00",
            "/v1/customers?cursor=cD1hYmM=",
            "/v1/usage?customer=acme&meter=ApiCalls&from=9999-12-31T23:30:00Z&to=9999-12-31T23:59:59Z",
            "/v1/usage?customer=acme&meter=ApiCalls&from=0001-01-01T00:00:00Z&window=day&time_zone=America/New_York",
        ],
    )
    def test_nonsense_in_an_address_is_no_bug(self, api, path: str) -> None:
        make_meter()
        make_customer("acme")
        answer = api("read").get(path)
        assert answer.status_code in (400, 404)
        assert answer["Content-Type"] == "application/problem+json"
        assert "no-store" in answer["Cache-Control"]

    @pytest.mark.parametrize(
        "body", ['{"key": "a", "traits": {"\\u0000": "x"}}', '{"key": "a", "traits": {"\\ud800": "x"}}', "[" * 100_000],
        ids=["NUL", "half a surrogate pair", "deep"],
    )  # fmt: skip
    def test_nonsense_in_a_body_is_no_bug(self, api, body: str) -> None:
        answer = api("write").generic("POST", "/v1/customers", body, content_type="application/json")
        assert answer.status_code == 400

    def test_a_foreign_host_is_a_problem(self) -> None:
        answer = APIClient().get("/v1/meters", HTTP_HOST="evil.example")
        assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")

    def test_a_key_with_a_slash_is_found(self, api) -> None:
        make_customer("group/acme")
        assert api("read").get("/v1/customers/group/acme").json()["key"] == "group/acme"


@pytest.mark.django_db(transaction=True)
def test_two_that_create_the_same_customer_get_one_and_a_conflict(api) -> None:
    clients = [api("write") for _ in range(6)]
    answers: list[Any] = []
    jobs = [
        lambda client=client: answers.append(client.post("/v1/customers", {"key": "acme"}, format="json"))
        for client in clients
    ]
    assert race(*jobs) == []
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses[0] == 201
    assert set(statuses[1:]) <= {400, 409}
    assert Customer.objects.count() == 1
