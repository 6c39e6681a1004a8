"""Joining a team by mail."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from invoices.mailing.private_links import PLACE
from invoices.models import Mail
from meters.keys import digest
from meters.models import Customer
from portal.models import Invitation, Membership, TeamEvent
from portal.people.invitations import MOST_A_DAY, MOST_SENT, NotOpen, accept, accept_as_new
from portal.roles import Role
from tests.factories import make_customer
from tests.portal.conftest import NOW
from tests.portal.mailbox import _mailbox, deliver, link_in  # noqa: F401
from tests.racing import race

pytestmark = pytest.mark.usefixtures("clock", "db", "_mailbox")

NEW = "nina@example.com"
PASSWORD = "a long password"
ACCOUNT = {"name": "Nina Berg", "new_password1": PASSWORD, "new_password2": PASSWORD}


@pytest.fixture
def small() -> Customer:
    return make_customer("small", name="Small Ltd")


@pytest.fixture
def olga(small: Customer) -> Client:
    return signed_in(member(small, "olga", Role.OWNER))


def member(customer: Customer, name: str, role: Role) -> User:
    user = User.objects.create_user(name, f"{name}@example.com", PASSWORD)
    Membership.objects.create(user=user, customer=customer, role=role)
    return user


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def invite(olga: Client, email: str = NEW, role: str = "billing") -> Any:
    return olga.post("/team/invite/", {"email": email, "role": role}, follow=True)


def invited(olga: Client, email: str = NEW, role: str = "billing") -> str:
    """Invites, and answers the link that is mailed."""
    assert invite(olga, email, role).status_code == 200
    [message] = deliver()
    return link_in(message)


def log() -> list[tuple[str, str]]:
    return list(TeamEvent.objects.order_by("id").values_list("actor", "what"))


class TestInviting:
    def test_a_mail_goes_out_and_the_page_lists_it(self, olga: Client) -> None:
        page = invite(olga).content.decode()
        assert f"An invitation is on its way to {NEW}." in page
        assert "25 Nov 2026, 14:02 UTC" in page
        [message] = deliver()
        assert message.to == [NEW]
        assert "olga invites you to the team of Small Ltd" in message.body
        assert "Billing. Sees all" in message.body
        assert "until 25 Nov 2026 14:02 UTC" in message.body
        assert log() == [("olga", f"invited {NEW} as Billing")]

    def test_only_the_hash_of_its_link_is_stored(self, olga: Client) -> None:
        token = invited(olga).rstrip("/").rpartition("/")[2]
        stored = Mail.objects.get()
        assert PLACE in stored.text
        assert token not in stored.text + stored.html
        assert len(bytes(Invitation.objects.get().digest or b"")) == 32
        assert token not in olga.get("/team/").content.decode()

    @pytest.mark.parametrize(
        ("email", "role", "said"),
        [
            ("", "owner", "required"),
            ("nobody", "owner", "valid email"),
            (NEW, "king", "king"),
            (NEW, "", "required"),
            ("olga@example.com", "owner", "is in the team already"),
            ("OLGA@example.com", "owner", "is in the team already"),
            ("x" * 140 + "@example.com", "owner", "at most 150"),
        ],
    )
    def test_what_is_wrong_is_said_beside_its_field(self, email: str, role: str, said: str, olga: Client) -> None:
        answer = invite(olga, email, role)
        assert answer.status_code == 422
        assert said in answer.content.decode()
        assert not Invitation.objects.exists()
        assert deliver() == []

    def test_nobody_is_invited_twice(self, olga: Client) -> None:
        invite(olga)
        answer = invite(olga, NEW.upper())
        assert answer.status_code == 422
        assert "is invited already" in answer.content.decode()
        assert Invitation.objects.count() == 1

    def test_the_page_says_nothing_of_who_has_an_account(self, olga: Client) -> None:
        User.objects.create_user("known", "known@example.com")
        pages = []
        for email in ("known@example.com", "strange@example.com"):
            page = invite(olga, email).content.decode().replace(email, "X")
            # What differs from one page to the next in any case.
            pages.append(re.sub(r'value="\w{64}"|/team/invitations/\d+/', "", page))
            Invitation.objects.all().delete()
            TeamEvent.objects.all().delete()
        assert pages[0] == pages[1]

    def test_there_are_so_many_a_day(self, olga: Client, small: Customer, clock: time_machine.Traveller) -> None:
        times = {"sent_at": NOW, "created_at": NOW, "expires_at": NOW, "revoked_at": NOW}
        Invitation.objects.bulk_create(
            Invitation(customer=small, email=f"p{number}@example.com", role="owner", **times)
            for number in range(MOST_A_DAY)
        )
        answer = invite(olga)
        assert answer.status_code == 422
        assert "Go on tomorrow" in answer.content.decode()
        clock.move_to(NOW + timedelta(days=1))
        assert invite(olga).status_code == 200

    def test_without_an_address_of_its_own_nothing_is_mailed(self, olga: Client, settings: Any) -> None:
        settings.ALLOWED_HOSTS = ["*"]
        answer = invite(olga)
        assert answer.status_code == 422
        assert "does not know its own address" in answer.content.decode()
        assert not Invitation.objects.exists()


class TestJoiningAsNew:
    def test_with_a_name_and_a_password(self, olga: Client, small: Customer, client: Client) -> None:
        link = invited(olga)
        page = client.get(link).content.decode()
        assert "olga invites nina@example.com" in page
        assert 'name="new_password1"' in page
        shown = client.post(link, ACCOUNT, follow=True)
        assert "Welcome. You see Small Ltd as Billing." in shown.content.decode()
        nina = User.objects.get(username=NEW)
        assert (nina.email, nina.get_full_name(), nina.check_password(PASSWORD)) == (NEW, "Nina Berg", True)
        assert Membership.objects.get(user=nina).role == Role.BILLING
        assert log()[1:] == [("Nina Berg (nina@example.com)", "joined as Billing, invited by olga")]

    def test_a_second_use_opens_nothing(self, olga: Client, client: Client) -> None:
        link = invited(olga)
        client.post(link, ACCOUNT)
        again = Client().post(link, ACCOUNT)
        assert again.status_code == 410
        assert "accepted already" in again.content.decode()
        assert User.objects.filter(email=NEW).count() == 1

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"name": ""}, "required"),
            ({"new_password2": "something else"}, "match"),
            ({"new_password1": "1234", "new_password2": "1234"}, "too short"),
            ({"new_password1": NEW, "new_password2": NEW}, "too similar"),
            ({"name": "x" * 151}, "at most 150"),
            ({"name": "a\x00b"}, "Null characters"),
        ],
    )
    def test_what_is_wrong_is_said_and_the_link_still_works(
        self, changes: dict[str, str], said: str, olga: Client, client: Client
    ) -> None:
        link = invited(olga)
        answer = client.post(link, ACCOUNT | changes)
        assert answer.status_code == 422
        assert said in answer.content.decode()
        assert not User.objects.filter(email=NEW).exists()
        assert client.post(link, ACCOUNT).status_code == 302

    def test_the_address_is_the_invitations_whatever_is_sent(self, olga: Client, client: Client) -> None:
        link = invited(olga)
        client.post(
            link, ACCOUNT | {"email": "evil@example.com", "username": "evil", "role": "owner", "is_staff": "on"}
        )
        nina = User.objects.get(email=NEW)
        assert (nina.username, nina.is_staff, Membership.objects.get(user=nina).role) == (NEW, False, "billing")

    def test_the_session_is_a_new_one(self, olga: Client, client: Client) -> None:
        link = invited(olga)
        client.get("/sign-in/")
        session = client.session
        session["planted"] = 1
        session.save()
        client.cookies["sessionid"] = before = str(session.session_key)
        client.post(link, ACCOUNT)
        assert client.cookies["sessionid"].value != before

    @pytest.mark.parametrize("days", [6, 7, 8])
    def test_it_works_for_seven_days(
        self, days: int, olga: Client, client: Client, clock: time_machine.Traveller
    ) -> None:
        link = invited(olga)
        clock.move_to(NOW + timedelta(days=days))
        assert client.get(link).status_code == (200 if days < 7 else 410)
        assert client.post(link, ACCOUNT).status_code == (302 if days < 7 else 410)
        assert User.objects.filter(email=NEW).exists() == (days < 7)

    @pytest.mark.parametrize("token", ["x", "a" * 43, "%00", "é"])
    def test_a_made_up_one_opens_nothing_and_says_nothing(self, token: str, olga: Client, client: Client) -> None:
        invited(olga)
        answer = client.post(f"/join/{token}/", ACCOUNT)
        assert answer.status_code in (404, 410)
        assert "Small" not in answer.content.decode()


class TestJoiningAsSomebody:
    @pytest.fixture
    def nina(self) -> User:
        return User.objects.create_user("nina", "Nina@Example.com", PASSWORD)

    def test_who_has_an_account_is_asked_to_sign_in_and_comes_back(
        self, nina: User, olga: Client, client: Client
    ) -> None:
        link = invited(olga)
        page = client.get(link).content.decode()
        assert f"/sign-in/?next={link.replace('/', '%2F')}" in page
        assert 'name="new_password1"' not in page
        assert client.post(link, ACCOUNT).status_code == 200
        assert not Membership.objects.filter(user=nina).exists()
        back = client.post("/sign-in/", {"username": "nina", "password": PASSWORD, "next": link})
        assert back["Location"] == link
        assert "Join as nina" in client.get(link).content.decode()
        assert "Welcome. You see Small Ltd as Billing." in client.post(link, follow=True).content.decode()
        assert Membership.objects.get(user=nina).role == Role.BILLING

    def test_looking_at_it_joins_nobody(self, nina: User, olga: Client) -> None:
        signed_in(nina).get(invited(olga))
        assert not Membership.objects.filter(user=nina).exists()

    def test_somebody_else_is_told_so_and_may_sign_out(self, nina: User, olga: Client) -> None:
        link = invited(olga)
        wrong = signed_in(User.objects.create_user("walt", "walt@example.com"))
        for answer in (wrong.get(link), wrong.post(link, ACCOUNT)):
            assert answer.status_code == 403
            assert "is for nina@example.com, and you are signed in as walt" in answer.content.decode()
        assert wrong.post("/sign-out/", {"next": link})["Location"] == link
        assert Membership.objects.count() == 1

    def test_the_owner_who_opens_it_does_not_use_it_up(self, olga: Client, client: Client) -> None:
        link = invited(olga)
        assert olga.post(link).status_code == 403
        assert client.post(link, ACCOUNT).status_code == 302

    def test_who_sees_another_customer_goes_on_with_the_new_one(self, nina: User, olga: Client) -> None:
        first = make_customer("first", name="First Ltd")
        Membership.objects.create(user=nina, customer=first)
        client = signed_in(nina)
        client.post("/switch-customer/", {"customer": first.pk})
        client.post(invited(olga))
        page = client.get("/team/").content.decode()
        assert "usage and bills of Small Ltd" in page
        assert "First Ltd" in page

    def test_who_is_in_the_team_meanwhile_keeps_the_role(self, nina: User, olga: Client, small: Customer) -> None:
        link = invited(olga, role="read_only")
        Membership.objects.create(user=nina, customer=small, role=Role.OWNER)
        signed_in(nina).post(link)
        assert Membership.objects.get(user=nina).role == Role.OWNER

    def test_a_closed_account_gets_no_second_one(self, nina: User, olga: Client, client: Client) -> None:
        User.objects.filter(pk=nina.pk).update(is_active=False)
        link = invited(olga)
        assert "There is an account" in client.get(link).content.decode()
        client.post(link, ACCOUNT)
        assert User.objects.filter(email__iexact=NEW).count() == 1

    def test_the_service_refuses_who_is_not_meant(self, nina: User, olga: Client) -> None:
        token = invited(olga).rstrip("/").rpartition("/")[2]
        with pytest.raises(NotOpen):
            accept(token, User.objects.create_user("walt", "walt@example.com"), now=NOW)
        with pytest.raises(NotOpen):
            accept_as_new(token, name="Nina", password=PASSWORD, now=NOW)


class TestSendingAgain:
    def again(self, olga: Client) -> str:
        pk = Invitation.objects.get().pk
        return str(olga.post(f"/team/invitations/{pk}/send-again/", follow=True).content.decode())

    def test_the_new_link_works_for_another_week_and_the_old_one_ends(
        self, olga: Client, client: Client, clock: time_machine.Traveller
    ) -> None:
        first = invited(olga)
        clock.move_to(NOW + timedelta(days=9))
        assert "Time is over" in olga.get("/team/").content.decode()
        assert "on its way to nina@example.com again" in self.again(olga)
        assert client.get(first).status_code == 410
        [message] = deliver()
        clock.move_to(NOW + timedelta(days=15))
        assert client.post(link_in(message), ACCOUNT).status_code == 302
        assert log()[1] == ("olga", f"sent the invitation of {NEW} again")

    def test_a_first_mail_that_still_waits_is_not_sent(self, olga: Client, clock: time_machine.Traveller) -> None:
        invite(olga)
        clock.move_to(NOW + timedelta(minutes=2))
        self.again(olga)
        [message] = deliver()
        assert Client().get(link_in(message)).status_code == 200
        assert Mail.objects.filter(status=Mail.Status.FAILED).count() == 1

    def test_not_within_a_minute_and_not_for_ever(self, olga: Client, clock: time_machine.Traveller) -> None:
        invite(olga)
        assert "within the last minute" in self.again(olga)
        for number in range(1, MOST_SENT):
            clock.move_to(NOW + timedelta(minutes=2 * number))
            assert "on its way" in self.again(olga)
        clock.move_to(NOW + timedelta(days=1))
        assert f"sent {MOST_SENT} times" in self.again(olga)
        assert Mail.objects.count() == MOST_SENT


class TestRevoking:
    def revoke(self, olga: Client) -> str:
        pk = Invitation.objects.get().pk
        return str(olga.post(f"/team/invitations/{pk}/revoke/", follow=True).content.decode())

    def test_its_link_opens_nothing_then(self, olga: Client, client: Client) -> None:
        link = invited(olga)
        assert "is revoked" in self.revoke(olga)
        for answer in (client.get(link), client.post(link, ACCOUNT)):
            assert answer.status_code == 410
            assert "It was revoked" in answer.content.decode()
        assert not User.objects.filter(email=NEW).exists()
        assert log()[1] == ("olga", f"revoked the invitation of {NEW}")

    def test_a_mail_that_still_waits_is_not_sent(self, olga: Client) -> None:
        invite(olga)
        self.revoke(olga)
        assert deliver() == []
        assert mail.outbox == []

    def test_what_was_accepted_is_not_revoked(self, olga: Client, client: Client) -> None:
        client.post(invited(olga), ACCOUNT)
        assert "not open any more" in self.revoke(olga)
        assert Membership.objects.filter(user__email=NEW).exists()

    def test_the_address_can_be_invited_again(self, olga: Client, client: Client) -> None:
        first = invited(olga)
        self.revoke(olga)
        second = invited(olga, role="read_only")
        assert client.post(first, ACCOUNT).status_code == 410
        assert client.post(second, ACCOUNT).status_code == 302
        assert Membership.objects.get(user__email=NEW).role == Role.READ_ONLY


class TestOfTwoCustomersAtOnce:
    """Who is invited by two, and is new to both, takes both up at the same moment: there is one account of it."""

    pytestmark = pytest.mark.django_db(transaction=True)

    def test_the_other_one_is_told_that_there_is_an_account(self, small: Customer) -> None:
        times = {"sent_at": NOW, "created_at": NOW, "expires_at": NOW + timedelta(days=1)}
        for customer in (small, make_customer("tiny", name="Tiny Ltd")):
            Invitation.objects.create(
                customer=customer, email=NEW, role=Role.OWNER, digest=digest(customer.key), **times
            )

        def join(token: str) -> Any:
            return lambda: accept_as_new(token, name="Nina Berg", password=PASSWORD, now=NOW)

        raised = race(join("small"), join("tiny"))

        assert [type(error) for error in raised] == [NotOpen]
        assert Membership.objects.get().user == User.objects.get(username=NEW)
        assert Invitation.objects.filter(accepted_at=None).count() == 1
