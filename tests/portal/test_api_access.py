"""A customer's own API keys: made, replaced and revoked by its owners, and what they open."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import URLResolver, get_resolver
from rest_framework.test import APIClient

from invoices.models import Invoice
from meters.keys import create_api_key, find, rotate
from meters.models import ApiKey, Customer
from portal.models import Membership, ReadKeyEvent
from portal.own.read_keys import MOST_KEYS, create_read_key, read_keys, revoke_read_key, rotate_read_key
from portal.policy import set_portal_policy
from portal.roles import Role
from tests.factories import make_customer
from tests.portal.conftest import NOW, SignIn
from tests.portal.guests import come_by_link
from tests.racing import race

PAGE = "/api-access/"
DAY = timedelta(days=1)


@pytest.fixture
def corp(db: None, clock: object) -> Customer:
    return make_customer("acme", name="Acme Corp")


@pytest.fixture
def boss(corp: Customer, sign_in: SignIn) -> Client:
    return sign_in("alice", corp)


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def add(customer: Customer, name: str = "Sheet", **fields: Any) -> ApiKey:
    fields = {"expires_at": None, "actor": "alice", "now": NOW} | fields
    return create_read_key(customer, name=name, **fields)[0]


def shown_key(answer: Any) -> str:
    page = text_of(answer)
    return page.partition('<code class="secret">')[2].partition("</code>")[0]


def with_key(text: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


class TestPages:
    def test_nothing_there_yet(self, boss: Client) -> None:
        page = text_of(boss.get(PAGE))
        assert "No keys yet" in page
        assert 'href="/api-access/add/"' in page

    def test_a_key_is_made_and_shown_once(self, boss: Client, corp: Customer) -> None:
        assert boss.get("/api-access/add/").status_code == 200
        answer = boss.post("/api-access/add/", {"name": "Finance sheet", "life": "90"})
        assert answer.status_code == 200
        assert "no-store" in answer["Cache-Control"]
        text = shown_key(answer)
        key = find(text)
        assert key is not None
        assert (key.name, key.scopes, key.customer, key.expires_at) == ("Finance sheet", ["read"], corp, NOW + 90 * DAY)
        assert f"curl -H 'Authorization: Bearer {text}'" in text_of(answer)
        listed = text_of(boss.get(PAGE))
        assert text not in listed
        for shown in ("Finance sheet", f"{text[:8]}…", "by alice", "In use", "16 Feb 2027", "Never"):
            assert shown in listed, shown

    def test_the_line_to_try_it_asks_what_the_customer_has(self, owner: Client) -> None:
        page = text_of(owner.post("/api-access/add/", {"name": "x", "life": ""}))
        assert "http://testserver/v1/usage?meter=ApiCalls&amp;period=this_month&amp;window=day" in page

    def test_and_it_works(self, owner: Client, november: Invoice) -> None:
        client = with_key(shown_key(owner.post("/api-access/add/", {"name": "x", "life": ""})))
        answer = client.get("/v1/usage?meter=ApiCalls&period=this_month&window=day")
        assert answer.status_code == 200
        assert answer.json()["total"]["value"] == "12300"

    def test_without_usage_it_asks_for_bills(self, boss: Client) -> None:
        page = text_of(boss.post("/api-access/add/", {"name": "x", "life": ""}))
        assert "/v1/invoices" in page

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ({}, "This field is required"),
            ({"name": "  ", "life": "90"}, "This field is required"),
            ({"name": "x" * 101}, "at most 100"),
            ({"name": "a\0b"}, "Null characters"),
            ({"name": "x", "life": "4000"}, "not one of the available choices"),
        ],
    )
    def test_what_is_wrong_is_said(self, boss: Client, body: dict[str, str], said: str) -> None:
        answer = boss.post("/api-access/add/", body)
        assert answer.status_code == 422
        assert said in text_of(answer)
        assert not ApiKey.objects.exists()

    def test_sent_again_it_makes_no_second_key(self, boss: Client) -> None:
        answers = [boss.post("/api-access/add/", {"name": "Sheet", "life": ""}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 422]
        assert "a key with this name already" in text_of(answers[1])
        assert ApiKey.objects.count() == 1

    def test_ten_are_enough(self, boss: Client, corp: Customer) -> None:
        for number in range(MOST_KEYS):
            key = add(corp, f"key {number}")
        page = text_of(boss.get(PAGE))
        assert "as many as there can be" in page
        assert "/api-access/add/" not in page
        answer = boss.post("/api-access/add/", {"name": "one more", "life": ""})
        assert answer.status_code == 422
        assert "revoke one first" in text_of(answer)
        revoke_read_key(corp, key, actor="alice", now=NOW)
        assert boss.post("/api-access/add/", {"name": "one more", "life": ""}).status_code == 200

    def test_rotated_with_an_overlap(self, boss: Client, corp: Customer, clock: Any) -> None:
        old = add(corp)
        path = f"/api-access/{old.pk}/rotate/"
        assert boss.get(path).status_code == 200
        answer = boss.post(path, {"overlap": "24"})
        assert answer.status_code == 200
        new = find(shown_key(answer))
        assert new is not None
        assert (new.rotated_from, new.customer, new.scopes) == (old, corp, ["read"])
        old.refresh_from_db()
        assert old.expires_at == NOW + DAY
        page = text_of(boss.get(PAGE))
        assert "Replaced, works until then" in page
        assert page.count("In use") == 1
        # The one that is replaced cannot be rotated again; both can be revoked.
        assert f"/api-access/{old.pk}/rotate/" not in page
        assert boss.post(path, {"overlap": "24"}).status_code == 302
        assert ApiKey.objects.count() == 2
        clock.move_to(NOW + DAY)
        assert "Expired" in text_of(boss.get(PAGE))
        clock.move_to(NOW + 100 * DAY)
        assert old.start not in text_of(boss.get(PAGE)).partition("What was done")[0]

    def test_rotated_at_once(self, boss: Client, corp: Customer) -> None:
        old, text = create_read_key(corp, name="Sheet", expires_at=None, actor="alice", now=NOW)
        assert boss.post(f"/api-access/{old.pk}/rotate/", {"overlap": "0"}).status_code == 200
        assert find(text) is None

    def test_a_wrong_overlap(self, boss: Client, corp: Customer) -> None:
        answer = boss.post(f"/api-access/{add(corp).pk}/rotate/", {"overlap": "99999"})
        assert answer.status_code == 422
        assert ApiKey.objects.count() == 1

    def test_revoked(self, boss: Client, corp: Customer) -> None:
        key, text = create_read_key(corp, name="Sheet", expires_at=None, actor="alice", now=NOW)
        path = f"/api-access/{key.pk}/revoke/"
        assert "It was never used" in text_of(boss.get(path))
        assert find(text) is not None
        for _ in range(2):
            assert boss.post(path)["Location"] == PAGE
        assert find(text) is None
        assert with_key(text).get("/v1/invoices").status_code == 401
        assert "Revoked" in text_of(boss.get(PAGE))
        assert ReadKeyEvent.objects.filter(what="revoked").count() == 1

    def test_what_was_done_is_told_by_name(self, boss: Client, corp: Customer, sign_in: SignIn) -> None:
        boss.post("/api-access/add/", {"name": "Sheet", "life": ""})
        bob = sign_in("bob", corp)
        key = ApiKey.objects.get()
        bob.post(f"/api-access/{key.pk}/rotate/", {"overlap": "1"})
        boss.post(f"/api-access/{key.pk}/revoke/")
        events = list(ReadKeyEvent.objects.order_by("pk").values_list("what", "actor"))
        assert events == [("created", "alice"), ("rotated", "bob"), ("revoked", "alice")]
        page = text_of(boss.get(PAGE))
        assert "What was done with keys" in page
        assert "by bob" in page
        staff = Client()
        staff.force_login(User.objects.create_superuser("root"))
        admin_page = text_of(staff.get("/admin/portal/readkeyevent/"))
        assert "bob" in admin_page
        assert "Acme Corp" in admin_page

    def test_queries_do_not_grow_with_keys(
        self, boss: Client, corp: Customer, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(8):
            add(corp, f"key {number}")
        boss.get(PAGE)
        with django_assert_max_num_queries(8):
            boss.get(PAGE)


class TestWhose:
    @pytest.mark.parametrize("role", [Role.BILLING, Role.READ_ONLY])
    def test_only_owners(self, corp: Customer, sign_in: SignIn, role: Role) -> None:
        key = add(corp)
        client = sign_in("dora", corp)
        Membership.objects.filter(user__username="dora").update(role=role)
        for path in (PAGE, "/api-access/add/", f"/api-access/{key.pk}/rotate/", f"/api-access/{key.pk}/revoke/"):
            answer = client.get(path)
            assert answer.status_code == 403
            assert "needs the role “Owner”" in text_of(answer)
            if path != PAGE:
                assert client.post(path, {"name": "x", "overlap": "0"}).status_code == 403
        assert PAGE not in text_of(client.get("/alerts/"))
        assert ApiKey.objects.filter(revoked_at=None).count() == 1

    def test_a_stranger_finds_no_key(self, corp: Customer, sign_in: SignIn) -> None:
        key = add(corp)
        stranger = sign_in("charlie", make_customer("globex"))
        assert "Sheet" not in text_of(stranger.get(PAGE))
        for what in ("rotate", "revoke"):
            for answer in (
                stranger.get(f"/api-access/{key.pk}/{what}/"),
                stranger.post(f"/api-access/{key.pk}/{what}/", {"overlap": "0"}),
            ):
                assert answer.status_code == 404
        key.refresh_from_db()
        assert (key.revoked_at, key.expires_at) == (None, None)

    def test_keys_of_the_vendor_are_none_of_the_customers(self, boss: Client, corp: Customer) -> None:
        ours, _ = create_api_key(name="vendor's", scopes=["ingest", "read"], customer=corp)
        everybody, _ = create_api_key(name="backend", scopes=["read"])
        assert "No keys yet" in text_of(boss.get(PAGE))
        for key in (ours, everybody):
            assert boss.post(f"/api-access/{key.pk}/revoke/").status_code == 404
        assert not ApiKey.objects.exclude(revoked_at=None).exists()

    def test_one_that_staff_have_rotated_is_theirs_from_then_on(self, boss: Client, corp: Customer) -> None:
        old = add(corp)
        new, _ = rotate(old)
        assert boss.post(f"/api-access/{new.pk}/revoke/").status_code == 404
        assert "Replaced" in text_of(boss.get(PAGE))

    def test_who_came_by_a_link_as_an_owner_may(self, corp: Customer) -> None:
        client, session = come_by_link(corp, role=Role.OWNER, member="Jane")
        assert PAGE in text_of(client.get("/alerts/"))
        assert client.post("/api-access/add/", {"name": "x", "life": ""}).status_code == 200
        assert ReadKeyEvent.objects.get().actor == f"Jane (link {session.pk})"
        reader, _ = come_by_link(corp)
        assert reader.get(PAGE).status_code == 403

    @pytest.mark.usefixtures("fresh_policy")
    def test_where_the_vendor_does_not_want_it(self, boss: Client, corp: Customer) -> None:
        key, text = create_read_key(corp, name="Sheet", expires_at=None, actor="alice", now=NOW)
        assert PAGE in text_of(boss.get("/alerts/"))
        set_portal_policy(changes={"offers_read_keys": False})
        assert PAGE not in text_of(boss.get("/alerts/"))
        for path in (PAGE, "/api-access/add/", f"/api-access/{key.pk}/rotate/", f"/api-access/{key.pk}/revoke/"):
            assert boss.get(path).status_code == 404
        assert boss.post("/api-access/add/", {"name": "x", "life": ""}).status_code == 404
        assert find(text) is not None


class TestService:
    def test_ten_that_work_on_beside_their_successors(self, corp: Customer) -> None:
        key = add(corp)
        for _ in range(10):
            key, _ = rotate_read_key(corp, key, overlap=DAY, actor="alice", now=NOW)
        with pytest.raises(ValidationError) as refused:
            rotate_read_key(corp, key, overlap=DAY, actor="alice", now=NOW)
        assert list(refused.value.message_dict) == ["overlap"]
        rotate_read_key(corp, key, overlap=timedelta(0), actor="alice", now=NOW)
        assert sum(row.opens for row in read_keys(corp, now=NOW)) == 11

    def test_what_a_key_may_say(self, corp: Customer) -> None:
        with pytest.raises(ValidationError) as refused:
            add(corp, "x" * 101)
        assert list(refused.value.message_dict) == ["name"]
        with pytest.raises(ValidationError) as refused:
            add(corp, expires_at=NOW)
        assert list(refused.value.message_dict) == ["expires_at"]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_make_the_last_one_one_is_told() -> None:
    customer = make_customer("acme")
    for number in range(MOST_KEYS - 1):
        add(customer, f"key {number}")
    refused = race(lambda: add(customer, "a"), lambda: add(customer, "b"))
    assert [type(error) for error in refused] == [ValidationError]
    assert ApiKey.objects.count() == MOST_KEYS


class TestReach:
    """A read key of one customer, in front of every address of the API."""

    def test_it_sees_its_own_customer_and_no_other(self, october: Invoice, globex: Customer, calls: Any) -> None:
        """Where the address or the query names the other one, it says that and no more."""
        acme = october.customer
        clients = {
            one: with_key(create_read_key(one, name="Sheet", expires_at=None, actor="x", now=NOW)[1])
            for one in (acme, globex)
        }
        secrets = ("Acme Corp", '"acme"', october.number, "12300", "hubspot", "40.00")
        shown = 0
        for path, _ in _addresses():
            for key in ("acme", "globex"):
                url = _filled(path, customer=key, invoice=october, meter=calls.key)
                for query in ("?meter=ApiCalls&period=this_month" if url == "/v1/usage" else "", "?customer=acme"):
                    if key == "acme" and "customer" not in query:
                        own, _ = _read(clients[acme], url + query)
                        shown += any(secret in own for secret in secrets)
                    told, status = _read(clients[globex], url + query)
                    for secret in secrets:
                        is_repeated = status != 200 and secret.strip('"') in url + query
                        assert secret not in told or is_repeated, (url, query, secret)
        # Or there would have been nothing to hide.
        assert shown > 7, shown

    @pytest.mark.parametrize("path", ["usage?meter=ApiCalls&", "invoices?", "alerts?", "alert-firings?"])
    def test_another_customer_cannot_be_asked_for(self, acme: Customer, globex: Customer, path: str) -> None:
        _, text = create_read_key(globex, name="Sheet", expires_at=None, actor="x", now=NOW)
        answer = with_key(text).get(f"/v1/{path}customer=acme")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden_customer")

    def test_and_changes_nothing(self, october: Invoice, globex: Customer, calls: Any) -> None:
        _, text = create_read_key(globex, name="Sheet", expires_at=None, actor="x", now=NOW)
        client = with_key(text)
        for path, name in _addresses():
            url = _filled(path, customer="globex", invoice=october, meter=calls.key)
            for method in ("post", "put", "patch", "delete"):
                answer = getattr(client, method)(url, {}, format="json")
                # What is asked for by POST and only reads is not for keys of one customer, either.
                assert answer.status_code in (400, 403, 404, 405), (method, url, name, answer.content)
                assert answer.status_code != 400 or url == "/v1/usage", (method, url)


def _addresses() -> Iterator[tuple[str, str]]:
    """Each address of the API, and its name."""
    yield from _below(get_resolver("config.api_urls").url_patterns, "/v1/")


def _below(patterns: Any, before: str) -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        path = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _below(pattern.url_patterns, path)
        elif pattern.name not in ("api-docs", "schema"):
            yield path, pattern.name or ""


def _filled(path: str, *, customer: str, invoice: Invoice, meter: str) -> str:
    """The address with something that there is in each place: of the customer, or of the invoice's."""

    def fill(found: re.Match[str]) -> str:
        match found[1] or found[2]:
            case "customer":
                return customer
            case "key":
                return customer if "customers" in path else meter if "meters" in path else "Growth"
            case "path":
                return f"{customer}/x"
            case "number":
                return invoice.number
            case "version" | "position":
                return "1"
            case "meter" | "meter__key":
                return meter
            case "format":
                return "json"
        return str(invoice.pk)

    text = re.sub(r"(?<!\?P)<(?:\w+:)?(\w+)>|\(\?P<(\w+)>(?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)", fill, path)
    return re.sub(r"[\^$?]|\\Z", "", text).replace("\\.", ".")


def _read(client: APIClient, url: str) -> tuple[str, int]:
    answer = client.get(url)
    assert answer.status_code in (200, 400, 403, 404, 405, 406), (url, answer.status_code)
    body = b"".join(answer) if answer.streaming else answer.content  # type: ignore[arg-type]
    return body.decode(errors="replace"), answer.status_code
