"""`/v1/customers/{key}/portal-sessions` and `/v1/portal-sessions`: links asked for, listed, revoked."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from invoices.models import Invoice
from meters.keys import create_api_key, digest
from meters.models import ApiKey, Customer
from portal.api.session_examples import NEW_SESSION, REVOKED, SESSION, WITH_URL
from portal.guests.sessions import Caller, create_portal_session, exchange
from portal.models import PortalSession
from portal.policy import set_portal_policy
from tests.factories import make_customer
from tests.portal.conftest import NOW

pytestmark = pytest.mark.django_db

Api = Callable[..., APIClient]
PATH = "/v1/customers/acme/portal-sessions"


@pytest.fixture(autouse=True)
def _listed(db: None) -> None:
    set_portal_policy(changes={"return_origins": ["https://app.example"]})


@pytest.fixture
def customer(clock: object) -> Customer:
    return make_customer("acme", name="Acme Corp")


def make(client: APIClient, body: dict[str, Any], path: str = PATH) -> Any:
    return client.post(path, body, format="json")


def token_in(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]


class TestAsking:
    def test_a_link_for_five_minutes_and_a_session_of_an_hour(self, api: Api, customer: Customer) -> None:
        answer = make(api("write"), {"return_url": "https://app.example/account?tab=2"})
        assert answer.status_code == 201
        told = answer.json()
        assert told["url"].startswith("http://testserver/enter/")
        assert (told["customer"], told["role"], told["page"]) == ("acme", "read_only", "overview")
        assert told["state"] == "waiting"
        assert told["return_url"] == "https://app.example/account?tab=2"
        assert (told["link_expires_at"], told["expires_at"]) == ("2026-11-18T14:07:00Z", "2026-11-18T15:02:00Z")
        assert told["created_by"] == "test"
        assert set(told) == set(WITH_URL)

    def test_what_is_in_the_link_is_stored_nowhere(self, api: Api, customer: Customer) -> None:
        token = token_in(make(api("write"), {}).json()["url"])
        assert len(token) == 43
        session = PortalSession.objects.get()
        assert bytes(session.digest) == hashlib.sha256(token.encode()).digest()
        assert all(token not in str(getattr(session, field.attname)) for field in session._meta.concrete_fields)

    def test_all_that_can_be_said(self, api: Api, october: Invoice) -> None:
        body = {
            "return_url": "https://app.example/",
            "invoice": october.number,
            "page": "invoices",
            "expires_in": 43200,
            "role": "owner",
            "member": " jane@acme.example ",
        }
        told = make(api("write"), body).json()
        assert (told["invoice"], told["page"], told["role"]) == (october.number, "invoices", "owner")
        assert (told["member"], told["expires_at"]) == ("jane@acme.example", "2026-11-19T02:02:00Z")

    def test_an_invoice_alone_is_enough(self, api: Api, october: Invoice) -> None:
        assert make(api("write"), {"invoice": october.number}).json()["page"] == "invoices"

    def test_a_session_that_is_shorter_than_the_link(self, api: Api, customer: Customer) -> None:
        told = make(api("write"), {"expires_in": 60}).json()
        assert told["link_expires_at"] == told["expires_at"] == "2026-11-18T14:03:00Z"

    def test_nothing_said_and_null_are_the_same(self, api: Api, customer: Customer) -> None:
        told = make(api("write"), {"return_url": None, "member": None, "invoice": None}).json()
        assert (told["return_url"], told["member"], told["invoice"]) == (None, None, None)

    def test_a_key_with_slashes(self, api: Api, clock: object) -> None:
        make_customer("eu/acme 1")
        answer = make(api("write"), {}, "/v1/customers/eu/acme%201/portal-sessions")
        assert answer.json()["customer"] == "eu/acme 1"

    def test_the_address_people_reach(self, api: Api, customer: Customer, settings: Any) -> None:
        settings.PUBLIC_URL = "https://billing.example"
        assert make(api("write"), {}).json()["url"].startswith("https://billing.example/enter/")

    def test_those_of_a_year_ago_are_forgotten(
        self, api: Api, customer: Customer, globex: Customer, clock: Any
    ) -> None:
        for one in (customer, globex):
            _session(one)
        clock.move_to(NOW + timedelta(days=365))
        make(api("write"), {})
        assert PortalSession.objects.count() == 3
        clock.move_to(NOW + timedelta(days=366))
        make(api("write"), {})
        assert PortalSession.objects.filter(customer=customer).count() == 2
        assert PortalSession.objects.filter(customer=globex).count() == 1

    def test_sent_again_with_a_key_it_is_the_same_link(self, api: Api, customer: Customer) -> None:
        client = api("write")
        told = [
            client.post(PATH, {}, format="json", headers={"Idempotency-Key": "one"}).json()["url"] for _ in range(2)
        ]
        assert told[0] == told[1]
        assert PortalSession.objects.count() == 1


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "pointer", "said"),
        [
            ({"return_url": "https://evil.example/"}, "/return_url", "not among the addresses"),
            ({"return_url": "https://app.example.evil.example/"}, "/return_url", "not among the addresses"),
            ({"return_url": "https://app.example:444/"}, "/return_url", "not among the addresses"),
            ({"return_url": "http://app.example/"}, "/return_url", "not among the addresses"),
            ({"return_url": "javascript:alert(1)"}, "/return_url", "begins with https"),
            ({"return_url": "//app.example/"}, "/return_url", "begins with https"),
            ({"return_url": "/account"}, "/return_url", "begins with https"),
            ({"return_url": "https://app.example@evil.example/"}, "/return_url", "no user name"),
            ({"return_url": "https://app.example\\@evil.example/"}, "/return_url", "backslashes"),
            ({"return_url": "https://app.example/\n"}, "/return_url", "without blanks"),
            ({"return_url": "https://app.example/" + "a" * 2000}, "/return_url", "2000"),
            ({"page": "admin"}, "/page", "not a valid choice"),
            ({"page": "usage", "invoice": "2026-0001"}, "/page", "left out"),
            ({"invoice": "2026-9999"}, "/invoice", "no invoice"),
            ({"invoice": "\0"}, "/invoice", "Null characters"),
            ({"expires_in": 59}, "/expires_in", "60"),
            ({"expires_in": 43201}, "/expires_in", "43200"),
            ({"expires_in": "soon"}, "/expires_in", "integer"),
            ({"role": "admin"}, "/role", "not a valid choice"),
            ({"member": "x" * 101}, "/member", "100"),
            ({"member": "a\0b"}, "/member", "Null characters"),
            ({"member": "Jane\r\nPay to: me"}, "/member", "On one line"),
            ({"email": "jane@acme.example"}, "/email", "no such member"),
        ],
    )
    def test_what_is_wrong_is_said_where_it_is(
        self, api: Api, october: Invoice, body: dict[str, Any], pointer: str, said: str
    ) -> None:
        answer = make(api("write"), body)
        assert answer.status_code == 400, answer.content
        (fault,) = answer.json()["errors"]
        assert fault["pointer"] == pointer
        assert said in fault["detail"]
        assert not PortalSession.objects.exists()

    def test_an_invoice_of_another_customer_is_none(self, api: Api, october: Invoice, globex: Customer) -> None:
        answer = make(api("write"), {"invoice": october.number}, "/v1/customers/globex/portal-sessions")
        assert answer.json()["errors"][0]["pointer"] == "/invoice"

    def test_no_such_customer(self, api: Api, customer: Customer) -> None:
        assert make(api("write"), {}, "/v1/customers/nobody/portal-sessions").status_code == 404

    def test_without_a_policy_nothing_leads_back(self, api: Api, customer: Customer) -> None:
        set_portal_policy(changes={"return_origins": []})
        assert make(api("write"), {"return_url": "https://app.example/"}).status_code == 400
        assert make(api("write"), {}).status_code == 201

    @pytest.mark.parametrize("scope", ["ingest", "read"])
    def test_it_needs_the_scope_write(self, api: Api, customer: Customer, scope: str) -> None:
        answer = make(api(scope), {})
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")

    def test_nobody(self, customer: Customer) -> None:
        assert make(APIClient(), {}).status_code == 401

    @pytest.mark.parametrize("of", ["acme", "globex"])
    def test_a_key_of_one_customer_makes_none(self, api: Api, customer: Customer, globex: Customer, of: str) -> None:
        key, text = create_api_key(name="acme's", scopes=["read"], customer=customer)
        # No service makes such a key; if there were one, it would open nothing here.
        ApiKey.objects.filter(pk=key.pk).update(scopes=["read", "write"])
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        session, _ = _session(customer)
        for answer in (
            make(client, {}, f"/v1/customers/{of}/portal-sessions"),
            client.get("/v1/portal-sessions"),
            client.get(f"/v1/portal-sessions/{session.pk}"),
            client.post(f"/v1/portal-sessions/{session.pk}/revoke"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "restricted_api_key")
        assert PortalSession.objects.get().revoked_at is None


def _session(customer: Customer, **fields: Any) -> tuple[PortalSession, str]:
    key, _ = create_api_key(name="backend", scopes=["write"])
    return create_portal_session(customer=customer, api_key=key, now=timezone.now(), **fields)


class TestListAndRevoke:
    def test_newest_first_and_by_customer(self, api: Api, customer: Customer, globex: Customer) -> None:
        first, second, third = (_session(one)[0] for one in (customer, globex, customer))
        client = api("read")
        of_all = client.get("/v1/portal-sessions").json()["data"]
        assert [one["id"] for one in of_all] == [third.pk, second.pk, first.pk]
        of_acme = client.get("/v1/portal-sessions?customer=acme").json()["data"]
        assert [one["id"] for one in of_acme] == [third.pk, first.pk]
        assert client.get("/v1/portal-sessions?customer=nobody").status_code == 400
        assert client.get("/v1/portal-sessions?state=active").status_code == 400

    def test_the_link_is_not_told_again(self, api: Api, customer: Customer) -> None:
        session, _ = _session(customer)
        told = api("read").get(f"/v1/portal-sessions/{session.pk}").json()
        assert set(told) == set(SESSION)

    def test_states(self, api: Api, customer: Customer, clock: Any) -> None:
        _, text = _session(customer, member="Jane")
        _session(customer)
        exchange(text, caller=Caller("203.0.113.7"), now=NOW + timedelta(minutes=1))
        client = api("read")

        def states() -> list[str]:
            return [one["state"] for one in client.get("/v1/portal-sessions").json()["data"]]

        assert states() == ["waiting", "active"]
        clock.move_to(NOW + timedelta(minutes=5))
        assert states() == ["expired", "active"]
        clock.move_to(NOW + timedelta(hours=1))
        assert states() == ["expired", "expired"]
        used = client.get("/v1/portal-sessions").json()["data"][1]
        assert (used["used_from"], used["used_at"]) == ("203.0.113.7", "2026-11-18T14:03:00Z")

    def test_revoked_once_and_for_all(self, api: Api, customer: Customer, clock: Any) -> None:
        session, _ = _session(customer)
        client = api("write")
        first = client.post(f"/v1/portal-sessions/{session.pk}/revoke")
        assert (first.status_code, first.json()["state"], first.json()["revoked_by"]) == (200, "revoked", "test")
        assert set(first.json()) == set(REVOKED)
        clock.move_to(NOW + timedelta(minutes=10))
        again = client.post(f"/v1/portal-sessions/{session.pk}/revoke")
        assert again.json() == first.json()

    def test_scopes(self, api: Api, customer: Customer) -> None:
        session, _ = _session(customer)
        assert api("read").post(f"/v1/portal-sessions/{session.pk}/revoke").status_code == 403
        assert api("write").get("/v1/portal-sessions").status_code == 403
        assert api("read").get("/v1/portal-sessions/999999").status_code == 404
        assert api("write").delete(f"/v1/portal-sessions/{session.pk}").status_code == 405

    def test_queries(self, api: Api, customer: Customer, django_assert_max_num_queries: Any) -> None:
        for _ in range(3):
            _session(customer)
        client = api("read")
        client.get("/v1/portal-sessions")
        with django_assert_max_num_queries(2):
            client.get("/v1/portal-sessions")


def test_the_example_is_taken(api: Api, october: Invoice) -> None:
    answer = make(api("write"), NEW_SESSION | {"invoice": october.number})
    assert answer.status_code == 201
    assert set(answer.json()) == set(WITH_URL)
    assert len(digest(token_in(answer.json()["url"]))) == 32
    assert isinstance(datetime.fromisoformat(answer.json()["expires_at"]), datetime)
