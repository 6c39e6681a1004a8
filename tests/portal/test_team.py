"""A customer's team: who sees it, who changes it, and who stays."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from meters.models import Customer
from portal.models import Membership, TeamEvent
from portal.people.invitations import invite
from portal.people.team import LastOwner, change_role, remove_member
from portal.roles import Role
from tests.factories import make_customer
from tests.portal.conftest import NOW
from tests.portal.mailbox import _mailbox  # noqa: F401
from tests.racing import race

pytestmark = pytest.mark.usefixtures("clock", "db", "_mailbox")

PEOPLE = {"olga": Role.OWNER, "omar": Role.OWNER, "bill": Role.BILLING, "rita": Role.READ_ONLY}


@pytest.fixture
def small() -> Customer:
    return make_customer("small", name="Small Ltd")


@pytest.fixture
def other() -> Customer:
    return make_customer("other", name="Other Ltd")


@pytest.fixture
def team(small: Customer) -> dict[str, Membership]:
    return {
        name: Membership.objects.create(
            user=User.objects.create_user(name, f"{name}@small.example"), customer=small, role=role
        )
        for name, role in PEOPLE.items()
    }


def signed_in(member: Membership) -> Client:
    client = Client()
    client.force_login(member.user)
    return client


def person(customer: Customer, name: str, role: Role = Role.OWNER) -> Membership:
    user = User.objects.create_user(name, f"{name}@example.com")
    return Membership.objects.create(user=user, customer=customer, role=role)


def log_of(customer: Customer) -> list[tuple[str, str]]:
    return list(TeamEvent.objects.filter(customer=customer).order_by("id").values_list("actor", "what"))


class TestPage:
    @pytest.mark.parametrize("name", PEOPLE)
    def test_everybody_sees_it_and_only_owners_what_changes_it(self, name: str, team: dict[str, Membership]) -> None:
        page = signed_in(team[name]).get("/team/").content.decode()
        for other in PEOPLE:
            assert f"{other}@small.example" in page
        may = PEOPLE[name] == Role.OWNER
        assert ("/team/invite/" in page) == may
        assert ("/remove/" in page) == may
        assert "/team/leave/" in page

    def test_a_stranger_sees_nothing_of_it(self, team: dict[str, Membership], other: Customer) -> None:
        page = signed_in(person(other, "sam")).get("/team/").content.decode()
        assert "small" not in page.casefold()

    def test_its_queries_do_not_grow_with_the_team(
        self, small: Customer, team: dict[str, Membership], django_assert_max_num_queries: Any
    ) -> None:
        for number in range(20):
            person(small, f"p{number}")
            invite(
                small, email=f"i{number}@example.com", role=Role.OWNER, base="http://testserver", actor="olga", now=NOW
            )
        olga = signed_in(team["olga"])
        with django_assert_max_num_queries(10):
            page = olga.get("/team/").content.decode()
        assert "i19@example.com" in page

    def test_it_has_words_where_there_is_nothing_yet(self, team: dict[str, Membership]) -> None:
        page = signed_in(team["rita"]).get("/team/").content.decode()
        assert "Nothing yet." in page
        assert "Invited</h2>" not in page


WRITES = ["invite/", "members/{member}/role/", "members/{member}/remove/"]
WRITES += ["invitations/{invitation}/send-again/", "invitations/{invitation}/revoke/"]


class TestWhoMay:
    @pytest.fixture
    def addresses(self, small: Customer, team: dict[str, Membership]) -> list[str]:
        kept = invite(
            small, email="new@example.com", role=Role.BILLING, base="http://testserver", actor="olga", now=NOW
        )
        ids = {"member": team["omar"].pk, "invitation": kept.pk}
        return [f"/team/{address.format(**ids)}" for address in WRITES]

    @pytest.mark.parametrize("name", ["bill", "rita"])
    def test_billing_and_read_only_change_nothing(
        self, name: str, addresses: list[str], small: Customer, team: dict[str, Membership]
    ) -> None:
        before, client = log_of(small), signed_in(team[name])
        for address in addresses:
            answer = client.post(address, {"role": "read_only", "email": "x@example.com"})
            assert answer.status_code == 403
            assert "needs the role “Owner”" in answer.content.decode()
        assert log_of(small) == before

    def test_nobody_is_sent_to_sign_in(self, addresses: list[str], client: Client) -> None:
        for address in [*addresses, "/team/", "/team/leave/"]:
            assert client.post(address).status_code in (302, 405)
            assert client.get(address)["Location"].startswith("/sign-in/?next=")

    def test_an_owner_of_another_customer_finds_nothing_of_this_one(
        self, addresses: list[str], small: Customer, other: Customer
    ) -> None:
        before, sam = log_of(small), signed_in(person(other, "sam"))
        for address in addresses[1:]:
            assert sam.post(address, {"role": "read_only"}).status_code == 404
        assert log_of(small) == before
        assert Membership.objects.filter(customer=small).count() == len(PEOPLE)

    def test_looking_at_such_an_address_changes_nothing(
        self, addresses: list[str], small: Customer, team: dict[str, Membership]
    ) -> None:
        before, olga = log_of(small), signed_in(team["olga"])
        for address in addresses:
            assert olga.get(address).status_code in (200, 302)
        assert log_of(small) == before

    def test_a_form_of_another_site_is_refused(self, addresses: list[str], team: dict[str, Membership]) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(team["olga"].user)
        for address in [*addresses, "/team/leave/"]:
            assert strict.post(address, {"role": "read_only"}).status_code == 403


class TestRoles:
    def test_an_owner_changes_one(self, small: Customer, team: dict[str, Membership]) -> None:
        answer = signed_in(team["olga"]).post(
            f"/team/members/{team['rita'].pk}/role/", {"role": "billing"}, follow=True
        )
        assert "rita@small.example is Billing now" in answer.content.decode()
        team["rita"].refresh_from_db()
        assert team["rita"].role == Role.BILLING
        assert log_of(small) == [("olga", "made rita@small.example Billing, who was Read-only")]

    def test_it_counts_with_the_next_request(self, team: dict[str, Membership]) -> None:
        bill = signed_in(team["bill"])
        assert bill.get("/alerts/add/").status_code == 200
        signed_in(team["olga"]).post(f"/team/members/{team['bill'].pk}/role/", {"role": "read_only"})
        assert bill.get("/alerts/add/").status_code == 403

    @pytest.mark.parametrize("role", ["", "king", "OWNER"])
    def test_one_that_is_none_is_refused(self, role: str, team: dict[str, Membership]) -> None:
        answer = signed_in(team["olga"]).post(f"/team/members/{team['rita'].pk}/role/", {"role": role}, follow=True)
        assert "Choose one of the roles" in answer.content.decode()
        team["rita"].refresh_from_db()
        assert team["rita"].role == Role.READ_ONLY

    def test_the_same_role_is_no_change(self, small: Customer, team: dict[str, Membership]) -> None:
        signed_in(team["olga"]).post(f"/team/members/{team['rita'].pk}/role/", {"role": "read_only"})
        assert log_of(small) == []


class TestRemoval:
    def test_it_asks_first(self, team: dict[str, Membership]) -> None:
        page = signed_in(team["olga"]).get(f"/team/members/{team['rita'].pk}/remove/")
        assert "Remove rita@small.example?" in page.content.decode()
        assert Membership.objects.filter(pk=team["rita"].pk).exists()

    def test_what_is_open_shows_nothing_more_at_the_next_request(
        self, small: Customer, team: dict[str, Membership]
    ) -> None:
        rita = signed_in(team["rita"])
        assert rita.get("/team/").status_code == 200
        answer = signed_in(team["olga"]).post(f"/team/members/{team['rita'].pk}/remove/", follow=True)
        assert "rita@small.example is removed" in answer.content.decode()
        for address in ("/", "/team/", "/usage/", "/invoices/", "/alerts/", "/settings/"):
            seen = rita.get(address)
            assert seen.status_code == 403
            assert "Small" not in seen.content.decode()
        assert rita.get("/", headers={"HX-Request": "true"}).status_code == 403
        assert log_of(small) == [("olga", "removed rita@small.example, who was Read-only")]

    def test_a_second_time_there_is_nobody(self, team: dict[str, Membership]) -> None:
        olga, address = signed_in(team["olga"]), f"/team/members/{team['rita'].pk}/remove/"
        olga.post(address)
        assert olga.post(address).status_code == 404

    @pytest.mark.parametrize("name", ["bill", "rita", "omar"])
    def test_everybody_may_leave(self, name: str, small: Customer, team: dict[str, Membership]) -> None:
        client = signed_in(team[name])
        assert "Leave the team of Small Ltd?" in client.get("/team/leave/").content.decode()
        assert client.post("/team/leave/")["Location"] == "/"
        assert client.get("/").status_code == 403
        assert log_of(small) == [(name, f"left, who was {PEOPLE[name].label}")]

    def test_who_leaves_one_of_two_customers_sees_the_other(
        self, small: Customer, other: Customer, team: dict[str, Membership]
    ) -> None:
        Membership.objects.create(user=team["rita"].user, customer=other)
        rita = signed_in(team["rita"])
        rita.post("/switch-customer/", {"customer": small.pk})
        page = rita.post("/team/leave/", follow=True).content.decode()
        assert "You left the team of Small Ltd." in page
        assert "Other Ltd" in page


class TestLastOwner:
    @pytest.fixture
    def olga(self, team: dict[str, Membership]) -> Client:
        team["omar"].delete()
        return signed_in(team["olga"])

    def test_cannot_be_demoted(self, olga: Client, small: Customer, team: dict[str, Membership]) -> None:
        answer = olga.post(f"/team/members/{team['olga'].pk}/role/", {"role": "billing"}, follow=True)
        assert "is the only owner" in answer.content.decode()
        team["olga"].refresh_from_db()
        assert team["olga"].role == Role.OWNER
        assert log_of(small) == []

    @pytest.mark.parametrize("address", ["/team/leave/", "/team/members/{pk}/remove/"])
    def test_can_neither_leave_nor_be_removed(self, address: str, olga: Client, team: dict[str, Membership]) -> None:
        answer = olga.post(address.format(pk=team["olga"].pk))
        assert answer.status_code == 422
        assert "You are the only owner" in answer.content.decode()
        assert olga.get("/team/").status_code == 200

    def test_an_owner_whose_account_is_closed_does_not_count(
        self, olga: Client, small: Customer, team: dict[str, Membership]
    ) -> None:
        closed = person(small, "closed")
        User.objects.filter(pk=closed.user_id).update(is_active=False)
        assert olga.post("/team/leave/").status_code == 422
        assert "Account closed" in olga.get("/team/").content.decode()

    def test_with_another_one_it_goes(self, olga: Client, team: dict[str, Membership]) -> None:
        olga.post(f"/team/members/{team['bill'].pk}/role/", {"role": "owner"})
        assert olga.post("/team/leave/").status_code == 302


class TestTwoOwnersAtOnce:
    """Each of two owners does it to the other at the same moment: one stays."""

    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.mark.parametrize("how", ["demote", "remove", "leave"])
    def test_one_stays(self, how: str, small: Customer) -> None:
        first, second = person(small, "olga"), person(small, "omar")

        def does_to(actor: Membership, target: Membership) -> Any:
            if how == "demote":
                return lambda: change_role(small, target.pk, Role.READ_ONLY, actor=actor.user.username, now=NOW)
            gone = actor if how == "leave" else target
            return lambda: remove_member(small, gone.pk, actor=actor.user.username, now=NOW, by=actor.user)

        raised = race(does_to(first, second), does_to(second, first))
        assert [type(error) for error in raised] == [LastOwner]
        assert Membership.objects.filter(customer=small, role=Role.OWNER).count() == 1
        assert TeamEvent.objects.count() == 1


class TestStaff:
    @pytest.fixture
    def staff(self) -> Client:
        client = Client()
        client.force_login(User.objects.create_superuser("root", "root@vendor.example"))
        return client

    def test_what_staff_change_is_in_the_log(self, staff: Client, small: Customer, team: dict[str, Membership]) -> None:
        user = User.objects.create_user("nina", "nina@small.example")
        staff.post("/admin/portal/membership/add/", {"user": user.pk, "customer": small.pk, "role": "billing"})
        added = Membership.objects.get(user=user)
        staff.post(f"/admin/portal/membership/{added.pk}/change/", {"role": "owner"})
        staff.post(f"/admin/portal/membership/{added.pk}/delete/", {"post": "yes"})
        assert log_of(small) == [
            ("root (staff)", "added nina@small.example as Billing"),
            ("root (staff)", "made nina@small.example Owner"),
            ("root (staff)", "removed nina@small.example, who was Owner"),
        ]
        assert "root (staff)" in signed_in(team["rita"]).get("/team/").content.decode()

    def test_staff_remove_several_at_once(self, staff: Client, small: Customer, team: dict[str, Membership]) -> None:
        chosen = [team["bill"].pk, team["rita"].pk]
        data = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
        staff.post("/admin/portal/membership/", data)
        assert [what for _, what in log_of(small)] == [
            "removed bill@small.example, who was Billing",
            "removed rita@small.example, who was Read-only",
        ]
