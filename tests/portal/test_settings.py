"""Settings: the customer's by its billing role, and what each person chooses for itself."""

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.template import Context, Template
from django.test import Client

from invoices.mailing.reasons import invoice_is_final
from invoices.mailing.recipients import recipients_of
from invoices.models import Invoice, Mail, MailSetting
from invoices.papers.invoice_paper import invoice_paper
from meters.models import Customer
from portal.models import Membership
from portal.own.settings import change_own_settings
from portal.roles import Role
from portal.viewers import Viewer
from pricing.models import BillingProfile
from pricing.taxes import set_billing_profile
from tests.factories import make_customer
from tests.portal.conftest import SignIn
from tests.racing import race

Kind = MailSetting.Kind
ALL = ["invoice_finalized", "alert_triggered", "credit_low"]
NEW = {
    "legal_name": "Acme Corp. Inc.", "address": "1 Main Street\r\nSpringfield\r\nUSA", "tax_id": "US 12-345",
    "email": "bills@acme.example",
}  # fmt: skip


def as_role(role: Role) -> None:
    Membership.objects.update(role=role)


def seen(page: Any) -> dict[str, str]:
    """What the page has in its fields, as it comes back with what is typed."""
    found = re.findall(r'<input type="hidden" name="(initial-\w+)"(?: value="([^"]*)")?', page.content.decode())
    areas = re.findall(r'<textarea name="(initial-\w+)"[^>]*>\s*([^<]*)</textarea>', page.content.decode())
    return dict([*found, *areas])


def save_billing(client: Client, **changes: str) -> Any:
    page = client.get("/settings/")
    fields = {name.removeprefix("initial-"): text for name, text in seen(page).items()}
    return client.post("/settings/billing/", {**seen(page), **fields, **changes}, follow=True)


def save_own(client: Client, mails: list[str] = ALL, time_zone: str = "") -> Any:
    return client.post("/settings/yours/", {"mails": mails, "time_zone": time_zone}, follow=True)


class TestBillingDetails:
    def test_are_changed_and_on_invoices_that_are_not_final(
        self, owner: Client, acme: Customer, november: Invoice, october: Invoice
    ) -> None:
        page = save_billing(owner, **NEW)
        assert "The billing details are saved." in page.content.decode()
        profile = BillingProfile.objects.get(customer=acme)
        assert (profile.legal_name, profile.tax_id) == ("Acme Corp. Inc.", "US 12-345")
        assert profile.address == "1 Main Street\nSpringfield\nUSA"
        acme.refresh_from_db()
        assert acme.email == "bills@acme.example"
        assert invoice_paper(november).buyer.name == "Acme Corp. Inc."
        assert invoice_paper(october).buyer.name == "Acme Corp"
        assert "final ones stay as they are" in owner.get("/settings/").content.decode()

    def test_keep_what_staff_have_set_of_taxes(self, owner: Client, acme: Customer) -> None:
        set_billing_profile(acme, tax_exempt=True, tax_note="Reverse charge")
        save_billing(owner, legal_name="Acme Inc.")
        profile = BillingProfile.objects.get(customer=acme)
        assert (profile.tax_exempt, profile.tax_note, profile.legal_name) == (True, "Reverse charge", "Acme Inc.")

    def test_are_logged_by_name(self, owner: Client, acme: Customer) -> None:
        save_billing(owner, tax_id="US 1")
        entry = LogEntry.objects.get()
        assert (entry.user.get_username(), entry.object_id) == ("alice", str(acme.pk))
        assert entry.change_message == "Tax id changed in the portal"
        save_billing(owner)
        assert LogEntry.objects.count() == 1

    @pytest.mark.parametrize(
        ("field", "text", "words"),
        [("email", "nobody", "Enter a valid email address"), ("legal_name", "x" * 201, "at most 200 characters"),
         ("tax_id", "x" * 51, "at most 50 characters"), ("address", "x" * 501, "at most 500 characters"),
         ("tax_id", "a\0b", "Null characters are not allowed")],
    )  # fmt: skip
    def test_that_are_wrong_are_told_beside_the_field(
        self, owner: Client, acme: Customer, field: str, text: str, words: str
    ) -> None:
        page = save_billing(owner, **{field: text})
        assert page.status_code == 422
        assert words in page.content.decode()
        assert 'aria-invalid="true"' in page.content.decode()
        assert not BillingProfile.objects.filter(customer=acme).exists()

    def test_two_people_at_once_keep_what_each_has_changed(
        self, owner: Client, colleague: Client, acme: Customer
    ) -> None:
        before = seen(colleague.get("/settings/"))
        save_billing(owner, tax_id="US 1")
        colleague.post("/settings/billing/", {**before, "address": "Here", "tax_id": "", "legal_name": "", "email": ""})
        profile = BillingProfile.objects.get(customer=acme)
        assert (profile.tax_id, profile.address) == ("US 1", "Here")

    def test_who_changes_the_same_second_is_told(self, owner: Client, colleague: Client, acme: Customer) -> None:
        before = seen(colleague.get("/settings/"))
        save_billing(owner, tax_id="US 1")
        fields = {"address": "", "tax_id": "US 2", "legal_name": "", "email": ""}
        page = colleague.post("/settings/billing/", {**before, **fields})
        assert page.status_code == 422
        assert "Somebody has changed this meanwhile, to “US 1”." in page.content.decode()
        assert BillingProfile.objects.get(customer=acme).tax_id == "US 1"

    def test_of_a_customer_in_yen_are_no_different(self, sign_in: SignIn) -> None:
        customer = make_customer("tokyo", name="Tokyo KK", time_zone="Asia/Tokyo")
        client = sign_in("yuki", customer)
        save_billing(client, legal_name="東京株式会社", address="1-1 千代田\n日本")
        assert BillingProfile.objects.get(customer=customer).legal_name == "東京株式会社"

    @pytest.mark.parametrize(("role", "may"), [(Role.OWNER, True), (Role.BILLING, True), (Role.READ_ONLY, False)])
    def test_are_for_billing(self, acme: Customer, sign_in: SignIn, role: Role, may: bool) -> None:
        client = sign_in("dora", acme)
        set_billing_profile(acme, tax_id="US 1")
        as_role(role)
        page = client.get("/settings/").content.decode()
        assert ('action="/settings/billing/"' in page) == may
        assert "US 1" in page
        answer = client.post("/settings/billing/", {"tax_id": "US 2", "initial-tax_id": "US 1"})
        assert answer.status_code == (302 if may else 403)
        assert BillingProfile.objects.get(customer=acme).tax_id == ("US 2" if may else "US 1")


class TestTheZone:
    def test_is_that_of_moments_and_not_of_bills(self, owner: Client, acme: Customer) -> None:
        assert "14:02 UTC" in owner.get("/").content.decode()
        save_own(owner, time_zone="Asia/Kolkata")
        page = owner.get("/").content.decode()
        assert "19:32 IST" in page
        assert "14:02 UTC" not in page
        assert "1–30 Nov 2026" in page
        log = owner.get("/usage/events/").content.decode()
        assert "18 Nov 2026, 14:30:00 IST" in log
        assert "09:00:00 UTC" not in log
        settings = owner.get("/settings/").content.decode()
        assert '<option value="Asia/Kolkata" selected>Kolkata</option>' in settings
        assert "Days and periods of bills are always those of UTC." in settings

    def test_is_ones_own(self, owner: Client, colleague: Client) -> None:
        save_own(owner, time_zone="Asia/Kolkata")
        assert "14:02 UTC" in colleague.get("/").content.decode()

    def test_is_for_one_customer(self, acme: Customer, globex: Customer, sign_in: SignIn) -> None:
        client = sign_in("dora", acme, globex)
        save_own(client, time_zone="Asia/Kolkata")
        client.post("/switch-customer/", {"customer": globex.pk})
        assert Membership.objects.get(customer=globex).time_zone == ""
        assert "IST" not in client.get("/").content.decode()

    def test_can_be_that_of_bills_again(self, owner: Client) -> None:
        save_own(owner, time_zone="Asia/Kolkata")
        save_own(owner, time_zone="")
        assert "14:02 UTC" in owner.get("/").content.decode()

    def test_follows_the_clocks_of_its_place(self) -> None:
        """New York puts its clocks back on 1 November, at six in the morning of UTC."""
        viewer = Viewer("alice", Role.OWNER, time_zone="America/New_York")
        page = Template("{% load portal %}{% moment at zone %}")
        request = SimpleNamespace(viewer=viewer)
        for hour, words in ((5, "1 Nov 2026, 01:30 EDT"), (6, "1 Nov 2026, 01:30 EST")):
            at = datetime(2026, 11, 1, hour, 30, tzinfo=UTC)
            said = page.render(Context({"request": request, "at": at, "zone": "Asia/Tokyo"}))
            assert said == f'<time datetime="2026-11-01T0{hour}:30:00Z">{words}</time>'
        assert "Nov 2026, 15:30 JST" in page.render(Context({"at": at, "zone": "Asia/Tokyo"}))

    @pytest.mark.parametrize("zone", ["Mars/Olympus", "localtime", "../../etc/passwd", "Europe/berlin\0"])
    def test_that_there_is_none_of_is_refused(self, owner: Client, zone: str) -> None:
        page = save_own(owner, time_zone=zone)
        assert page.status_code == 422
        assert Membership.objects.get(user__username="alice").time_zone == ""

    def test_is_anybodys(self, owner: Client) -> None:
        as_role(Role.READ_ONLY)
        assert "Your settings are saved." in save_own(owner, time_zone="UTC").content.decode()
        assert Membership.objects.get(user__username="alice").time_zone == "UTC"


class TestMails:
    def test_that_one_does_not_want_go_to_the_others(self, owner: Client, colleague: Client, acme: Customer) -> None:
        save_own(owner, ["invoice_finalized"])
        assert recipients_of(acme, Kind.ALERT_TRIGGERED) == ["bob@example.com"]
        assert recipients_of(acme, Kind.CREDIT_LOW) == ["bob@example.com"]
        assert recipients_of(acme, Kind.INVOICE_FINALIZED) == ["alice@example.com", "bob@example.com"]
        assert recipients_of(acme) == ["alice@example.com", "bob@example.com"]

    def test_of_invoices_are_sent_so(self, owner: Client, colleague: Client, october: Invoice) -> None:
        MailSetting.objects.create(kind=Kind.INVOICE_FINALIZED, enabled=True)
        save_own(owner, [])
        invoice_is_final(october, datetime(2026, 11, 18, tzinfo=UTC))
        assert list(Mail.objects.values_list("recipient", flat=True)) == ["bob@example.com"]

    def test_can_be_wanted_again(self, owner: Client, colleague: Client, acme: Customer) -> None:
        save_own(owner, [])
        save_own(owner, ALL)
        assert Membership.objects.get(user__username="alice").unwanted_mails == []

    def test_to_the_customers_own_address_are_not_given_up(self, owner: Client, acme: Customer) -> None:
        Customer.objects.update(email="alice@example.com")
        page = save_own(owner, [])
        assert "That is the e-mail address for bills, too" in page.content.decode()
        assert recipients_of(acme, Kind.INVOICE_FINALIZED) == ["alice@example.com"]

    def test_of_invoices_are_not_given_up_by_the_last_who_gets_them(
        self, owner: Client, colleague: Client, acme: Customer
    ) -> None:
        save_own(colleague, ["alert_triggered"])
        page = save_own(owner, ["alert_triggered"], time_zone="Asia/Tokyo")
        assert page.status_code == 422
        assert "You are the only one who gets the invoices" in page.content.decode()
        own = Membership.objects.get(user__username="alice")
        assert (own.unwanted_mails, own.time_zone) == ([], "")
        save_billing(owner, email="bills@acme.example")
        assert save_own(owner, ["alert_triggered"]).status_code == 200
        acme.refresh_from_db()
        assert recipients_of(acme, Kind.INVOICE_FINALIZED) == ["bills@acme.example"]

    def test_of_invoices_still_reach_somebody_where_the_last_who_wanted_them_is_gone(
        self, owner: Client, colleague: Client, acme: Customer
    ) -> None:
        save_own(owner, [])
        User.objects.filter(username="bob").delete()
        assert recipients_of(acme, Kind.INVOICE_FINALIZED) == ["alice@example.com"]
        assert recipients_of(acme, Kind.ALERT_TRIGGERED) == []

    def test_the_address_for_bills_stays_while_nobody_else_gets_the_invoices(
        self, owner: Client, acme: Customer
    ) -> None:
        save_billing(owner, email="bills@acme.example")
        save_own(owner, [])
        page = save_billing(owner, email="", tax_id="US 1")
        assert page.status_code == 422
        assert "they have to reach somebody" in page.content.decode()
        acme.refresh_from_db()
        assert acme.email == "bills@acme.example"
        assert not BillingProfile.objects.filter(customer=acme, tax_id="US 1").exists()

    def test_who_has_no_address_chooses_all_the_same(self, acme: Customer, sign_in: SignIn) -> None:
        client = sign_in("dora", acme)
        User.objects.update(email="")
        page = save_own(client, [])
        assert "Your settings are saved." in page.content.decode()
        assert "Your account has no mail address yet" in page.content.decode()

    def test_of_no_such_kind_are_refused(self, owner: Client) -> None:
        assert save_own(owner, ["invitation"]).status_code == 422

    def test_of_kinds_that_are_not_offered_are_left_as_they_are(self, owner: Client, colleague: Client) -> None:
        Membership.objects.filter(user__username="alice").update(unwanted_mails=["monthly"])
        save_own(owner, [])
        assert Membership.objects.get(user__username="alice").unwanted_mails == ["monthly", *ALL]

    def test_that_are_switched_off_say_so(self, owner: Client) -> None:
        MailSetting.objects.create(kind=Kind.CREDIT_LOW, enabled=True)
        assert owner.get("/settings/").content.decode().count("Not sent at present.") == 2

    @pytest.mark.django_db(transaction=True)
    def test_of_invoices_are_not_given_up_by_two_at_once(self) -> None:
        customer = make_customer("acme")
        people = [User.objects.create_user(name, f"{name}@example.com") for name in ("alice", "bob")]
        members = [Membership.objects.create(user=user, customer=customer) for user in people]
        raised = race(*(lambda one=one: change_own_settings(one, time_zone="", wanted=[]) for one in members))
        assert [type(error) for error in raised] == [ValidationError]
        assert len(recipients_of(customer, Kind.INVOICE_FINALIZED)) == 1
        assert Membership.objects.filter(unwanted_mails=[]).count() == 1


class TestWhoSees:
    def test_a_stranger_changes_only_its_own(self, stranger: Client, owner: Client, acme: Customer) -> None:
        assert "Acme" not in stranger.get("/settings/").content.decode()
        save_billing(stranger, tax_id="DE 1")
        save_own(stranger, time_zone="Asia/Tokyo")
        assert not BillingProfile.objects.filter(customer=acme).exists()
        assert Membership.objects.get(user__username="alice").time_zone == ""

    @pytest.mark.parametrize("page", ["", "billing/", "yours/"])
    def test_nobody_is_sent_to_sign_in(self, client: Client, acme: Customer, page: str) -> None:
        for answer in (client.get(f"/settings/{page}"), client.post(f"/settings/{page}", NEW)):
            if answer.status_code == 405:
                continue
            assert answer["Location"].startswith("/sign-in/?next=/settings/")
        assert not BillingProfile.objects.exists()

    @pytest.mark.parametrize("page", ["billing/", "yours/"])
    def test_nothing_is_changed_without_a_token(self, acme: Customer, page: str, sign_in: SignIn) -> None:
        sign_in("dora", acme)
        client = Client(enforce_csrf_checks=True)
        client.force_login(User.objects.get())
        assert client.post(f"/settings/{page}", NEW).status_code == 403
        assert not BillingProfile.objects.exists()

    @pytest.mark.parametrize("page", ["billing/", "yours/"])
    def test_who_had_to_sign_in_in_between_comes_back_to_the_page(self, owner: Client, page: str) -> None:
        assert owner.get(f"/settings/{page}")["Location"] == "/settings/"

    def test_the_page_asks_little(self, owner: Client, django_assert_max_num_queries: Any) -> None:
        owner.get("/settings/")
        with django_assert_max_num_queries(9):
            owner.get("/settings/")
