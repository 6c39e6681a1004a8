"""Coming in by a link from a mail."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from invoices.mailing.private_links import PLACE
from invoices.models import Mail
from portal.models import BrowserSession, LinkRequest
from portal.people.mailed_links import MOST_FOR, MOST_FROM, forget_old_requests, use_link
from tests.portal.conftest import NOW
from tests.portal.mailbox import _mailbox, deliver, link_in  # noqa: F401

PASSWORD = "a long password"
ASKED = ["/sign-in/link/", "/password-reset/"]

pytestmark = pytest.mark.usefixtures("clock", "db")


@pytest.fixture
def alice(db: None, _mailbox: None) -> User:  # noqa: F811
    return User.objects.create_user("alice", "Alice@Example.com", PASSWORD)


def ask(client: Client, page: str = "/sign-in/link/", email: str = "alice@example.com", **more: str) -> Any:
    return client.post(page, {"email": email, **more})


def mailed_link(client: Client, page: str = "/sign-in/link/", **more: str) -> str:
    ask(client, page, **more)
    [message] = deliver()
    return link_in(message)


class TestSignInLink:
    def test_it_signs_in_once(self, alice: User, client: Client) -> None:
        link = mailed_link(client)
        [message] = mail.outbox
        assert message.to == ["Alice@example.com"]
        assert "signs you in as alice" in message.body
        shown = client.get(link)
        assert "Sign in as alice" in shown.content.decode()
        assert "_auth_user_id" not in client.session
        assert client.post(link)["Location"] == "/"
        assert client.session["_auth_user_id"] == str(alice.pk)

    def test_it_is_not_used_up_by_who_looks_at_it(self, alice: User, client: Client) -> None:
        link = mailed_link(client)
        for _ in range(3):
            assert Client().get(link).status_code == 200
            assert Client().head(link).status_code == 200
        assert client.post(link).status_code == 302

    def test_a_second_use_opens_nothing(self, alice: User, client: Client) -> None:
        link = mailed_link(client)
        client.post(link)
        other = Client()
        for answer in (other.get(link), other.post(link)):
            assert answer.status_code == 410
            assert "opens nothing any more" in answer.content.decode()
        assert "_auth_user_id" not in other.session

    def test_it_lasts_for_a_quarter_of_an_hour_from_its_mail_on(
        self, alice: User, client: Client, clock: time_machine.Traveller
    ) -> None:
        ask(client)
        clock.move_to(NOW + timedelta(minutes=30))
        [message] = deliver()
        clock.move_to(NOW + timedelta(minutes=44, seconds=59))
        assert client.get(link_in(message)).status_code == 200
        clock.move_to(NOW + timedelta(minutes=45))
        assert client.get(link_in(message)).status_code == 410
        assert client.post(link_in(message)).status_code == 410

    def test_what_nobody_waits_for_any_more_is_not_mailed(
        self, alice: User, client: Client, clock: time_machine.Traveller
    ) -> None:
        ask(client)
        clock.move_to(NOW + timedelta(hours=1, seconds=1))
        assert deliver() == []
        assert not Mail.objects.exists()

    @pytest.mark.parametrize("token", ["x", "a" * 43, "%00", "../../", "é"])
    def test_a_made_up_one_opens_nothing(self, token: str, alice: User, client: Client) -> None:
        mailed_link(client)
        assert client.post(f"/sign-in/link/{token}/").status_code in (404, 410)
        assert "_auth_user_id" not in client.session

    def test_only_its_hash_is_stored(self, alice: User, client: Client) -> None:
        link = mailed_link(client)
        token = link.rstrip("/").rpartition("/")[2]
        stored = Mail.objects.get()
        assert PLACE in stored.text
        assert token not in stored.text + stored.html
        request = LinkRequest.objects.get()
        assert token.encode() not in bytes(request.digest or b"")
        assert len(bytes(request.digest or b"")) == 32

    def test_using_one_ends_the_others(self, alice: User, client: Client) -> None:
        first, second = mailed_link(client), mailed_link(client)
        client.post(second)
        assert Client().post(first).status_code == 410

    def test_an_account_that_is_closed_gets_none_and_comes_in_by_none(self, alice: User, client: Client) -> None:
        link = mailed_link(client)
        User.objects.update(is_active=False)
        assert client.post(link).status_code == 410
        ask(client)
        assert deliver() == []

    def test_each_account_of_an_address_gets_its_own(self, alice: User, client: Client) -> None:
        User.objects.create_user("twin", "alice@example.com", PASSWORD)
        ask(client)
        first, second = deliver()
        assert {"alice" in first.body, "twin" in second.body} == {True}
        client.post(link_in(second))
        assert client.session["_auth_user_id"] == str(User.objects.get(username="twin").pk)
        assert Client().post(link_in(first)).status_code == 302

    @pytest.mark.parametrize(
        ("page", "location"),
        [
            ("/usage/?group=source", "/usage/?group=source"),
            ("https://evil.example/", "/"),
            ("//evil.example/", "/"),
            ("javascript:alert(1)", "/"),
            ("/" + "x" * 600, "/"),
        ],
    )
    def test_it_goes_where_the_person_wanted_to_go(self, page: str, location: str, alice: User, client: Client) -> None:
        assert client.post(mailed_link(client, next=page))["Location"] == location

    def test_the_session_is_a_new_one(self, alice: User, client: Client) -> None:
        client.get("/sign-in/")
        session = client.session
        session["planted"] = "yes"
        session.save()
        client.cookies["sessionid"] = before = str(session.session_key)
        client.post(mailed_link(client))
        assert client.cookies["sessionid"].value != before
        planted = Client()
        planted.cookies["sessionid"] = before
        assert planted.get("/account/").status_code == 302

    def test_who_is_signed_in_as_another_is_told_so_and_loses_that(self, alice: User, client: Client) -> None:
        other = User.objects.create_user("bob", "bob@example.com")
        client.force_login(other)
        link = mailed_link(client)
        assert "signed in here as bob" in client.get(link).content.decode()
        client.post(link)
        assert client.session["_auth_user_id"] == str(alice.pk)


class TestReset:
    def test_it_sets_a_new_password_and_ends_every_session(self, alice: User, client: Client) -> None:
        open_elsewhere = Client()
        open_elsewhere.force_login(alice)
        link = mailed_link(client, "/password-reset/")
        form = client.get(link, follow=True)
        assert "New password" in form.content.decode()
        where = form.redirect_chain[-1][0]
        new = {"new_password1": "quite another one", "new_password2": "quite another one"}
        assert client.post(where, new)["Location"] == "/sign-in/"
        alice.refresh_from_db()
        assert alice.check_password("quite another one")
        assert not BrowserSession.objects.filter(user=alice).exists()
        assert open_elsewhere.get("/account/").status_code == 302
        # A second use.
        assert "opens nothing any more" in Client().get(link, follow=True).content.decode()

    def test_two_that_differ_are_refused_beside_the_field(self, alice: User, client: Client) -> None:
        where = client.get(mailed_link(client, "/password-reset/"), follow=True).redirect_chain[-1][0]
        answer = client.post(where, {"new_password1": "quite another one", "new_password2": "something"})
        assert answer.status_code == 422
        assert "match" in answer.content.decode()
        alice.refresh_from_db()
        assert alice.check_password(PASSWORD)

    def test_it_lasts_for_an_hour(self, alice: User, client: Client, clock: time_machine.Traveller) -> None:
        link = mailed_link(client, "/password-reset/")
        clock.move_to(NOW + timedelta(minutes=59))
        assert "New password" in client.get(link, follow=True).content.decode()
        clock.move_to(NOW + timedelta(minutes=61))
        assert "opens nothing any more" in Client().get(link, follow=True).content.decode()

    @pytest.mark.parametrize("path", ["MQ/abc-def/", "x/y/", "OTk5OTk/c0ffee-123/"])
    def test_a_made_up_one_opens_nothing(self, path: str, alice: User, client: Client) -> None:
        assert "opens nothing any more" in client.get(f"/password-reset/{path}", follow=True).content.decode()


class TestWhoAsks:
    @pytest.mark.parametrize("page", ASKED)
    def test_learns_nothing_of_who_has_an_account(self, page: str, alice: User) -> None:
        User.objects.create_user("gone", "gone@example.com", PASSWORD, is_active=False)
        answers = []
        for email in ("alice@example.com", "gone@example.com", "nobody@example.com"):
            with CaptureQueriesContext(connection) as queries:
                answer = ask(Client(), page, email)
            asked = [query["sql"].split()[0] for query in queries.captured_queries]
            answers.append((answer.status_code, answer["Location"], answer.content, asked))
        assert answers[0] == answers[1] == answers[2]
        [message] = deliver()
        assert message.to == ["Alice@example.com"]

    @pytest.mark.parametrize("page", ASKED)
    @pytest.mark.parametrize("email", ["alice@example.com", "nobody@example.com"])
    def test_for_one_address_too_often_is_told_when_to_go_on(
        self, page: str, email: str, alice: User, client: Client, clock: time_machine.Traveller
    ) -> None:
        for minute in range(MOST_FOR):
            clock.move_to(NOW + timedelta(minutes=minute))
            assert ask(client, page, email.upper()).status_code == 302
        refused = ask(client, page, email)
        assert refused.status_code == 429
        assert "15:02 UTC" in refused.content.decode()
        assert LinkRequest.objects.count() == MOST_FOR
        clock.move_to(NOW + timedelta(minutes=60))
        assert ask(client, page, email).status_code == 302

    def test_from_one_address_too_often_is_stopped_too(self, alice: User, client: Client) -> None:
        for number in range(MOST_FROM):
            assert ask(client, email=f"p{number}@example.com").status_code == 302
        assert ask(client, email="one-more@example.com").status_code == 429
        elsewhere = Client(REMOTE_ADDR="192.0.2.7")
        assert ask(elsewhere, email="one-more@example.com").status_code == 302

    @pytest.mark.parametrize("email", ["", "alice", "a\x00b@example.com", "a@b@c", "x" * 300 + "@example.com"])
    def test_what_is_no_address_is_said_beside_the_field(self, email: str, client: Client) -> None:
        answer = ask(client, email=email)
        assert answer.status_code == 422
        assert "errorlist" in answer.content.decode()
        assert not LinkRequest.objects.exists()


class TestWhereLinksLeadTo:
    def test_the_installation_knows_its_address(self, alice: User, client: Client, settings: Any) -> None:
        settings.PUBLIC_URL = "https://billing.vendor.example"
        ask(client)
        [message] = deliver()
        assert "https://billing.vendor.example/sign-in/link/" in message.body
        assert "testserver" not in message.body

    def test_a_host_that_is_not_ours_gets_none(self, alice: User, client: Client) -> None:
        answer = client.post("/sign-in/link/", {"email": "alice@example.com"}, headers={"host": "evil.example"})
        assert answer.status_code == 400
        assert not LinkRequest.objects.exists()

    @pytest.mark.parametrize("page", ASKED)
    def test_where_any_host_is_allowed_none_is_mailed(self, page: str, client: Client, settings: Any) -> None:
        settings.ALLOWED_HOSTS = ["*"]
        answer = ask(client, page)
        assert answer.status_code == 503
        assert "does not know its own address" in answer.content.decode()
        assert not LinkRequest.objects.exists()


def test_a_sent_mail_that_is_sent_again_has_a_new_link(alice: User, client: Client) -> None:
    first = mailed_link(client)
    Mail.objects.update(status=Mail.Status.WAITING, next_try_at=timezone.now())
    [message] = deliver()
    assert client.get(first).status_code == 410
    assert client.post(link_in(message)).status_code == 302


def test_a_mail_whose_link_is_pointless_fails_for_good(
    alice: User, client: Client, clock: time_machine.Traveller
) -> None:
    mailed_link(client)
    Mail.objects.update(status=Mail.Status.WAITING, next_try_at=timezone.now())
    clock.move_to(NOW + timedelta(hours=2))
    assert deliver() == []
    failed = Mail.objects.get()
    assert failed.status == Mail.Status.FAILED
    assert "open nothing" in failed.error


def test_who_waits_goes_before_mails_about_bills(alice: User, client: Client) -> None:
    for number in range(3):
        Mail.objects.create(
            kind="invoice_finalized",
            about=f"invoice:{number}",
            recipient="alice@example.com",
            subject="Invoice",
            text="",
            html="",
            next_try_at=NOW,
            created_at=NOW,
        )
    ask(client)
    assert "sign in" in deliver()[0].subject


def test_old_requests_are_forgotten(alice: User, client: Client) -> None:
    ask(client)
    forget_old_requests(now=NOW + timedelta(days=29))
    assert LinkRequest.objects.count() == 1
    forget_old_requests(now=NOW + timedelta(days=31))
    assert not LinkRequest.objects.exists()


def test_of_two_at_once_one_gets_in(alice: User, client: Client) -> None:
    token = mailed_link(client).rstrip("/").rpartition("/")[2]
    assert [bool(use_link(token, now=NOW)) for _ in range(2)] == [True, False]
