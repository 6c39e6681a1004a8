"""The vendor's link: used once, by a press of a button; and the session that comes of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from invoices.models import Alert, Invoice
from meters.models import Customer
from portal.guests.sessions import Caller, LinkRefused, exchange, revoke_portal_session
from portal.models import Membership, PortalSession
from portal.policy import set_portal_policy
from portal.roles import Role
from tests.factories import make_customer
from tests.portal.conftest import NOW, SignIn
from tests.portal.guests import APP, come_by_link, make_link, queries_of
from tests.racing import race

HTMX = {"HX-Request": "true", "HX-Current-URL": "http://testserver/"}


@pytest.fixture
def corp(db: None, clock: object) -> Customer:
    """With nothing to be billed: it is about who may come in."""
    return make_customer("acme", name="Acme Corp")


@pytest.fixture
def globex(db: None, clock: object) -> Customer:
    return make_customer("globex", name="Globex")


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


class TestUsing:
    def test_looking_at_it_uses_nothing_up(self, corp: Customer) -> None:
        session, path = make_link(corp)
        for method in ("get", "head", "get"):
            answer = getattr(Client(), method)(path)
            assert answer.status_code == 200
            assert "no-store" in answer["Cache-Control"]
        assert "Open the portal" in text_of(Client().get(path))
        assert PortalSession.objects.get().used_at is None
        assert session.last_seen_at is None

    def test_a_press_opens_the_portal_of_that_customer(self, corp: Customer) -> None:
        _, path = make_link(corp)
        client = Client(REMOTE_ADDR="203.0.113.7")
        answer = client.post(path, headers={"User-Agent": "Firefox"})
        assert (answer.status_code, answer["Location"]) == (302, "/")
        page = client.get("/")
        assert page.status_code == 200
        assert "Acme Corp" in text_of(page)
        session = PortalSession.objects.get()
        assert (session.used_at, session.used_from, session.used_with) == (NOW, "203.0.113.7", "Firefox")

    def test_it_needs_no_script_but_a_form_of_ours(self, corp: Customer) -> None:
        _, path = make_link(corp)
        strict = Client(enforce_csrf_checks=True)
        assert strict.post(path).status_code == 403
        assert PortalSession.objects.get().used_at is None
        strict.get(path)
        token = strict.cookies["csrftoken"].value
        assert strict.post(path, {"csrfmiddlewaretoken": token}).status_code == 302

    @pytest.mark.parametrize("page", ["overview", "usage", "invoices", "plan", "alerts"])
    def test_it_begins_where_the_vendor_says(self, corp: Customer, page: str) -> None:
        _, path = make_link(corp, page=page)
        client = Client()
        begins = client.post(path)["Location"]
        assert begins == ("/" if page == "overview" else f"/{page}/")
        assert client.get(begins).status_code == 200

    def test_or_with_an_invoice(self, november: Invoice, october: Invoice) -> None:
        _, path = make_link(october.customer, invoice=october.number)
        client = Client()
        answer = client.post(path, follow=True)
        assert answer.redirect_chain == [(f"/invoices/{october.pk}/", 302)]
        assert october.number in text_of(answer)

    def test_it_works_once(self, corp: Customer) -> None:
        _, path = make_link(corp)
        assert Client().post(path).status_code == 302
        for answer in (Client().get(path), Client().post(path)):
            assert answer.status_code == 410
            assert "was used already" in text_of(answer)
            assert f'href="{APP}/account?tab=2"' in text_of(answer)

    def test_who_has_used_it_is_let_on(self, corp: Customer) -> None:
        client, _ = come_by_link(corp)
        path = make_link(corp)[1]
        client.post(path)
        for again in (client.get(path), client.post(path)):
            assert (again.status_code, again["Location"]) == (302, "/")

    def test_it_works_for_five_minutes(self, corp: Customer, clock: Any) -> None:
        _, path = make_link(corp)
        clock.move_to(NOW + timedelta(minutes=5))
        answer = Client().post(path)
        assert answer.status_code == 410
        assert "has expired" in text_of(answer)

    def test_taken_back_before_it_was_used(self, corp: Customer) -> None:
        session, path = make_link(corp)
        revoke_portal_session(session, actor="backend", now=NOW)
        assert "was taken back" in text_of(Client().post(path))

    @pytest.mark.parametrize("text", ["x", "a" * 43, "é", "%00", "a" * 3000])
    def test_no_link_at_all(self, corp: Customer, text: str) -> None:
        answer = Client().get(f"/enter/{text}/")
        assert answer.status_code == 404
        assert "there never was one" in text_of(answer)

    def test_without_a_way_back(self, corp: Customer) -> None:
        _, path = make_link(corp, return_url="")
        client = Client()
        client.post(path)
        assert "way-back" not in text_of(client.get("/"))
        assert "Back to" not in text_of(Client().get(path))


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_wins() -> None:
    customer = make_customer("acme")
    _, path = make_link(customer)
    text = path.split("/")[2]
    won: list[PortalSession] = []
    session = PortalSession.objects.get()

    def use() -> None:
        won.append(exchange(text, caller=Caller(None), now=session.created_at))

    refused = race(use, use, use)
    assert len(won) == 1
    assert [type(error) for error in refused] == [LinkRefused, LinkRefused]


class TestSession:
    def test_it_ends_when_it_was_said_to(self, corp: Customer, clock: Any) -> None:
        client, _ = come_by_link(corp, life=timedelta(hours=2))
        clock.move_to(NOW + timedelta(hours=2) - timedelta(seconds=1))
        assert client.get("/").status_code == 200
        clock.move_to(NOW + timedelta(hours=2))
        # The cookie has ended with it; a browser that keeps it all the same is told so by the row.
        answer = client.get("/")
        assert answer.status_code == 302
        assert "/sign-in/" in answer["Location"]

    def test_the_row_decides_whatever_the_cookie_says(self, corp: Customer, clock: Any) -> None:
        client, session = come_by_link(corp)
        PortalSession.objects.update(expires_at=NOW + timedelta(minutes=1))
        clock.move_to(NOW + timedelta(minutes=1))
        answer = client.get("/")
        assert answer.status_code == 403
        assert "Its time is up" in text_of(answer)
        assert f'href="{session.return_url}"' in text_of(answer)
        assert "Acme" not in text_of(answer)

    def test_revoked_it_ends_with_the_next_request(self, corp: Customer) -> None:
        client, session = come_by_link(corp)
        revoke_portal_session(session, actor="backend", now=NOW)
        answer = client.get("/usage/")
        assert answer.status_code == 403
        assert "has ended it" in text_of(answer)
        assert "Acme" not in text_of(answer)
        fragment = client.get("/", headers=HTMX)
        assert (fragment.status_code, fragment["HX-Refresh"], fragment.content) == (403, "true", b"")

    def test_what_is_over_stays_over_until_somebody_signs_in(self, corp: Customer, globex: Customer) -> None:
        client, session = come_by_link(corp)
        revoke_portal_session(session, actor="backend", now=NOW)
        assert [client.get("/").status_code for _ in range(2)] == [403, 403]
        member = User.objects.create_user("gina", password="tollmeter")
        Membership.objects.create(user=member, customer=globex)
        assert client.post("/sign-in/", {"username": "gina", "password": "tollmeter"}).status_code == 302
        page = text_of(client.get("/"))
        assert "Globex" in page
        assert "Acme" not in page

    def test_it_is_noted_when_it_was_seen(self, corp: Customer, clock: Any) -> None:
        client, session = come_by_link(corp)
        clock.move_to(NOW + timedelta(seconds=59))
        client.get("/")
        session.refresh_from_db()
        assert session.last_seen_at == NOW
        clock.move_to(NOW + timedelta(minutes=10))
        client.get("/")
        session.refresh_from_db()
        assert session.last_seen_at == NOW + timedelta(minutes=10)

    def test_the_bar_leads_back(self, corp: Customer) -> None:
        client, _ = come_by_link(corp)
        page = text_of(client.get("/"))
        assert f'<a class="wide" href="{APP}/account?tab=2">Back to AwesomeIntegration</a>' in page
        assert "Sign out" not in page

    def test_what_could_be_markup_is_text(self, corp: Customer) -> None:
        client, _ = come_by_link(corp, return_url=f"{APP}/?a='\"<b>")
        page = text_of(client.get("/"))
        assert f'href="{APP}/?a=&#x27;&quot;&lt;b&gt;"' in page

    def test_an_origin_that_is_no_longer_listed_is_not_led_back_to(self, corp: Customer) -> None:
        client, _ = come_by_link(corp)
        set_portal_policy(changes={"return_origins": ["https://other.example"]})
        assert APP not in text_of(client.get("/"))

    @pytest.mark.parametrize(("role", "status"), [(Role.READ_ONLY, 403), (Role.BILLING, 200), (Role.OWNER, 200)])
    def test_the_role_is_what_the_vendor_vouched_for(self, november: Invoice, role: Role, status: int) -> None:
        client, _ = come_by_link(november.customer, role=role)
        assert client.get("/alerts/add/").status_code == status

    def test_logs_name_the_person_as_the_vendor_does(self, november: Invoice) -> None:
        client, session = come_by_link(november.customer, role=Role.BILLING, member="Jane Doe")
        body = {"name": "Half", "threshold": "20", "currency": "USD"}
        answer = client.post("/alerts/add/?kind=amount", body)
        assert answer.status_code == 302, text_of(answer)
        assert Alert.objects.get(customer=november.customer).actor == f"Jane Doe (link {session.pk})"

    def test_leaving_ends_it_everywhere(self, corp: Customer) -> None:
        client, session = come_by_link(corp, member="Jane")
        answer = client.post("/leave/")
        assert answer.status_code == 200
        assert f'href="{APP}/account?tab=2"' in text_of(answer)
        assert client.get("/").status_code == 302
        session.refresh_from_db()
        assert (session.revoked_at, session.revoked_by) == (NOW, f"Jane (link {session.pk})")
        assert client.get("/leave/").status_code == 405

    def test_it_costs_hardly_more_than_a_member(self, corp: Customer, sign_in: SignIn) -> None:
        client, _ = come_by_link(corp)
        assert queries_of(client, "/alerts/") <= queries_of(sign_in("alice", corp), "/alerts/") + 1


class TestOneBrowserOneCustomer:
    def test_a_link_takes_the_place_of_a_member(self, corp: Customer, globex: Customer, sign_in: SignIn) -> None:
        client = sign_in("gina", globex)
        assert "You are signed in as gina" in text_of(client.get(make_link(corp)[1]))
        come_by_link(corp, client)
        page = text_of(client.get("/"))
        assert "Acme Corp" in page
        assert "Globex" not in page
        assert "gina" not in page
        client.post("/switch-customer/", {"customer": globex.pk})
        assert "Globex" not in text_of(client.get("/"))

    def test_and_when_it_is_over_the_member_is_not_back(
        self, corp: Customer, globex: Customer, sign_in: SignIn
    ) -> None:
        client = sign_in("gina", globex)
        _, session = come_by_link(corp, client)
        revoke_portal_session(session, actor="backend", now=NOW)
        assert "Globex" not in text_of(client.get("/"))
        client.post("/leave/")
        assert client.get("/").status_code == 302

    def test_a_second_link_takes_the_place_of_the_first(self, corp: Customer, globex: Customer) -> None:
        client, first = come_by_link(corp, role=Role.OWNER)
        come_by_link(globex, client)
        page = text_of(client.get("/"))
        assert "Globex" in page
        assert "Acme" not in page
        # The first one's session goes on for whoever else would hold it, which is nobody.
        first.refresh_from_db()
        assert first.revoked_at is None

    def test_signing_in_takes_the_place_of_the_link(self, corp: Customer, globex: Customer) -> None:
        client, _ = come_by_link(corp, role=Role.OWNER)
        user = User.objects.create_user("gina", password="tollmeter")
        Membership.objects.create(user=user, customer=globex)
        client.post("/sign-in/", {"username": "gina", "password": "tollmeter"})
        page = text_of(client.get("/"))
        assert "Globex" in page
        assert "Acme" not in page
        assert "way-back" not in page

    def test_the_key_of_the_session_is_another_one(self, corp: Customer, globex: Customer, sign_in: SignIn) -> None:
        client = sign_in("gina", globex)
        before = client.cookies["sessionid"].value
        come_by_link(corp, client)
        assert client.cookies["sessionid"].value != before
        # Whoever had put the old one there has nothing of it.
        fixed = Client()
        fixed.cookies["sessionid"] = before
        assert fixed.get("/").status_code == 302

    def test_a_form_that_was_open_before_is_not_taken(self, corp: Customer, globex: Customer, sign_in: SignIn) -> None:
        member = sign_in("gina", globex)
        client = Client(enforce_csrf_checks=True)
        client.cookies = member.cookies
        client.get("/alerts/")
        _, path = make_link(corp, role=Role.BILLING)
        client.get(path)
        token = client.cookies["csrftoken"].value
        assert client.post(path, {"csrfmiddlewaretoken": token}).status_code == 302
        stale = client.post("/switch-customer/", {"csrfmiddlewaretoken": token, "customer": globex.pk})
        assert stale.status_code == 403

    def test_the_admin_is_no_longer_open(self, corp: Customer) -> None:
        client = Client()
        client.force_login(User.objects.create_superuser("root"))
        come_by_link(corp, client)
        assert client.get("/admin/").status_code == 302
