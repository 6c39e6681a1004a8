"""A person's own account, and where it is signed in."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from meters.models import Customer
from portal.models import BrowserSession, LinkRequest, Membership
from portal.people.browser_sessions import forget_old_sessions, sessions_of
from portal.people.devices import device_words
from portal.people.session_store import SessionStore, digest_of
from tests.factories import make_customer
from tests.portal.conftest import NOW
from tests.portal.mailbox import _mailbox, deliver, link_in  # noqa: F401

PASSWORD = "a long password"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Version/18.1 Safari/604.1"

pytestmark = pytest.mark.usefixtures("clock", "db")


@pytest.fixture(autouse=True)
def alice(db: None, _mailbox: None) -> User:  # noqa: F811
    return User.objects.create_user("alice", "alice@example.com", PASSWORD)


@pytest.fixture
def small() -> Customer:
    return make_customer("small", name="Small Ltd")


def signed_in(agent: str = FIREFOX, address: str = "192.0.2.1", name: str = "alice") -> Client:
    client = Client(HTTP_USER_AGENT=agent, REMOTE_ADDR=address)
    assert client.post("/sign-in/", {"username": name, "password": PASSWORD}).status_code == 302
    return client


def is_in(client: Client) -> bool:
    return bool(client.get("/account/").status_code == 200)


class TestSessions:
    def test_each_is_listed_with_its_browser_address_and_times(self, clock: time_machine.Traveller) -> None:
        here = signed_in()
        clock.move_to(NOW + timedelta(minutes=20))
        signed_in(SAFARI, "2001:db8::7")
        page = here.get("/account/").content.decode()
        assert page.index("Firefox on Linux") < page.index("This browser") < page.index("Safari on iPhone")
        for text in ("192.0.2.1", "2001:db8::7", "14:02 UTC", "14:22 UTC"):
            assert text in page

    def test_one_is_ended_and_with_it_what_is_open_there(self) -> None:
        here, there = signed_in(), signed_in(SAFARI)
        [other] = BrowserSession.objects.filter(agent=SAFARI)
        assert here.post(f"/account/sessions/{other.pk}/end/")["Location"] == "/account/"
        assert is_in(here)
        assert not is_in(there)

    def test_all_others_are_ended_and_links_that_are_out(self, client: Client) -> None:
        client.post("/sign-in/link/", {"email": "alice@example.com"})
        [message] = deliver()
        here, second, third = signed_in(), signed_in(SAFARI), signed_in(SAFARI)
        page = here.post("/account/sessions/end-others/", follow=True).content.decode()
        assert "signed out of 2 other browsers" in page
        assert [is_in(one) for one in (here, second, third)] == [True, False, False]
        assert client.post(link_in(message)).status_code == 410

    def test_nobody_ends_somebody_elses(self) -> None:
        User.objects.create_user("bob", "bob@example.com", PASSWORD)
        here, bob = signed_in(), signed_in(name="bob")
        [of_bob] = BrowserSession.objects.filter(user__username="bob")
        assert here.post(f"/account/sessions/{of_bob.pk}/end/").status_code == 404
        here.post("/account/sessions/end-others/")
        assert is_in(bob)
        assert of_bob.pk not in here.get("/account/").content.decode()

    @pytest.mark.parametrize("path", ["sessions/end-others/", "sessions/0/end/", "name/", "password/"])
    def test_looking_at_such_an_address_does_nothing(self, path: str) -> None:
        here, there = signed_in(), signed_in()
        assert here.get(f"/account/{path}")["Location"] == "/account/"
        assert is_in(there)

    def test_what_is_in_the_table_opens_nothing(self) -> None:
        here = signed_in()
        key = here.cookies["sessionid"].value
        row = BrowserSession.objects.get()
        assert row.pk == digest_of(key)
        assert key not in row.pk + row.session_data
        thief = Client()
        thief.cookies["sessionid"] = row.pk
        assert not is_in(thief)

    def test_a_key_that_was_put_into_the_browser_is_not_taken_up(self, client: Client) -> None:
        client.cookies["sessionid"] = planted = "p" * 32
        client.post("/sign-in/", {"username": "alice", "password": PASSWORD})
        assert client.cookies["sessionid"].value != planted
        thief = Client()
        thief.cookies["sessionid"] = planted
        assert not is_in(thief)

    def test_signing_in_changes_the_key_that_was_there(self, client: Client) -> None:
        before = SessionStore()
        before["planted"] = 1
        before.save()
        client.cookies["sessionid"] = before.session_key or ""
        client.post("/sign-in/", {"username": "alice", "password": PASSWORD})
        assert client.cookies["sessionid"].value != before.session_key
        assert not SessionStore().exists(before.session_key)

    def test_it_is_noted_to_be_used_every_five_minutes(
        self, clock: time_machine.Traveller, django_assert_max_num_queries: Any
    ) -> None:
        here = signed_in()
        clock.move_to(NOW + timedelta(minutes=4, seconds=59))
        here.get("/account/")
        assert BrowserSession.objects.get().last_seen_at == NOW
        clock.move_to(NOW + timedelta(minutes=5))
        here.get("/account/")
        assert BrowserSession.objects.get().last_seen_at == NOW + timedelta(minutes=5)
        # The session, the person, and what they see; their sessions and customers.
        with django_assert_max_num_queries(6):
            here.get("/account/")

    def test_its_time_is_over_after_two_weeks(self, alice: User, clock: time_machine.Traveller) -> None:
        here = signed_in()
        clock.move_to(NOW + timedelta(days=14, seconds=1))
        assert not is_in(here)
        assert sessions_of(alice, now=NOW + timedelta(days=14, seconds=1)) == []
        forget_old_sessions(now=NOW + timedelta(days=15))
        assert not BrowserSession.objects.exists()

    def test_a_closed_account_is_out_at_once(self, alice: User) -> None:
        here = signed_in()
        User.objects.update(is_active=False)
        assert not is_in(here)

    def test_signing_out_removes_it(self) -> None:
        here = signed_in()
        here.post("/sign-out/")
        assert not BrowserSession.objects.filter(user__isnull=False).exists()


class TestPassword:
    def change(self, client: Client, old: str = PASSWORD, new: str = "quite another one", again: str = "") -> Any:
        return client.post(
            "/account/password/", {"old_password": old, "new_password1": new, "new_password2": again or new}
        )

    def test_a_new_one_ends_the_others_and_changes_the_key_of_this_one(self, alice: User) -> None:
        here, there = signed_in(), signed_in(SAFARI)
        before = here.cookies["sessionid"].value
        answer = self.change(here)
        assert answer["Location"] == "/account/"
        assert here.cookies["sessionid"].value != before
        assert "signed out of 1 other browser." in here.get("/account/").content.decode()
        assert not is_in(there)
        assert BrowserSession.objects.filter(user=alice).count() == 1
        alice.refresh_from_db()
        assert alice.check_password("quite another one")

    def test_one_that_staff_set_ends_them_all(self, alice: User) -> None:
        here = signed_in()
        alice.set_password("set by staff")
        alice.save()
        assert sessions_of(alice, now=NOW) == []
        assert not is_in(here)

    @pytest.mark.parametrize(
        ("old", "new", "again", "said"),
        [
            ("wrong", "quite another one", "", "not the password that you have now"),
            (PASSWORD, "quite another one", "something else", "match"),
            (PASSWORD, "12345678", "", "too common"),
            (PASSWORD, "alice@example.com", "", "too similar"),
        ],
    )
    def test_what_is_wrong_is_said_beside_the_field(
        self, old: str, new: str, again: str, said: str, alice: User
    ) -> None:
        here, there = signed_in(), signed_in(SAFARI)
        answer = self.change(here, old, new, again)
        assert answer.status_code == 422
        assert said in answer.content.decode()
        alice.refresh_from_db()
        assert alice.check_password(PASSWORD)
        assert is_in(there)

    def test_who_tries_the_old_one_in_an_open_browser_is_stopped(self, settings: Any) -> None:
        here = signed_in()
        answers = [self.change(here, "wrong").status_code for _ in range(settings.SIGN_IN_ATTEMPTS)]
        assert answers == [422] * (settings.SIGN_IN_ATTEMPTS - 1) + [429]
        assert self.change(here).status_code == 429


class TestPage:
    def test_nobody_is_sent_to_sign_in(self, client: Client) -> None:
        assert client.get("/account/")["Location"] == "/sign-in/?next=/account/"

    def test_it_is_there_for_who_has_no_customer(self) -> None:
        page = signed_in().get("/account/").content.decode()
        assert "connected to no customer" in page
        assert 'href="/team/"' not in page
        assert 'href="/account/"' in page

    def test_it_names_the_customers_and_roles(self, alice: User, small: Customer) -> None:
        Membership.objects.create(user=alice, customer=small, role="billing")
        page = signed_in().get("/account/").content.decode()
        assert "Small Ltd" in page
        assert "Billing" in page

    def test_the_name_is_changed(self, alice: User) -> None:
        here = signed_in()
        assert here.post("/account/name/", {"first_name": "Alice", "last_name": "Ahl"})["Location"] == "/account/"
        alice.refresh_from_db()
        assert alice.get_full_name() == "Alice Ahl"
        assert here.post("/account/name/", {"first_name": "x" * 151}).status_code == 422

    def test_nothing_is_kept_in_caches(self) -> None:
        assert "no-store" in signed_in().get("/account/")["Cache-Control"]


class TestAdmin:
    @pytest.fixture
    def staff(self) -> Client:
        User.objects.create_superuser("root", "root@example.com", PASSWORD)
        return signed_in(name="root")

    def test_staff_see_and_end_one_session_of_a_person(self, staff: Client, alice: User) -> None:
        here, there = signed_in(), signed_in(SAFARI)
        page = staff.get(f"/admin/auth/user/{alice.pk}/change/").content.decode()
        assert "Firefox on Linux" in page
        assert here.cookies["sessionid"].value not in page
        data = {"username": "alice", "date_joined_0": "2026-11-18", "date_joined_1": "12:00:00", "is_active": "on"}
        rows = list(BrowserSession.objects.filter(user=alice).order_by("-last_seen_at"))
        prefix = page.split('-TOTAL_FORMS"')[0].rpartition('name="')[2]
        data |= {f"{prefix}-TOTAL_FORMS": "2", f"{prefix}-INITIAL_FORMS": "2"}
        for number, row in enumerate(rows):
            data |= {f"{prefix}-{number}-session_key": row.pk, f"{prefix}-{number}-user": str(alice.pk)}
            if row.agent == SAFARI:
                data[f"{prefix}-{number}-DELETE"] = "on"
        answer = staff.post(f"/admin/auth/user/{alice.pk}/change/", data)
        assert answer.status_code == 302, answer.content.decode()[:3000]
        assert is_in(here)
        assert not is_in(there)

    def test_staff_end_all_of_somebodys(self, staff: Client, alice: User) -> None:
        here = signed_in()
        data = {"action": "end_all_sessions", "_selected_action": [alice.pk]}
        assert staff.post("/admin/auth/user/", data, follow=True).status_code == 200
        assert not is_in(here)
        assert is_in(staff)

    def test_a_password_that_staff_set_ends_all(self, staff: Client, alice: User) -> None:
        here = signed_in()
        new = {"password1": "quite another one", "password2": "quite another one", "usable_password": "true"}
        assert staff.post(f"/admin/auth/user/{alice.pk}/password/", new).status_code == 302
        assert not is_in(here)
        assert not BrowserSession.objects.filter(user=alice).exists()
        assert LinkRequest.objects.count() == 0


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        (SAFARI, "Safari on iPhone"),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Gecko", "A browser on macOS"),
        ("curl/8.5.0", "curl"),
        ("", "Unknown browser"),
        ("<script>", "Unknown browser"),
    ],
)
def test_a_browser_in_words(agent: str, words: str) -> None:
    assert device_words(agent) == words
