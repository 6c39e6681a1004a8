"""Staff and prepaid credits: who sees, grants and voids them, and what the pages say."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from invoices.models import CreditGrant, CreditRule
from meters.models import Customer
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.november import NOW
from tests.invoices.plans import ONE_EACH, plan_with
from tests.invoices.prepaid import finalized, prepaid
from tests.kept import kept

pytestmark = pytest.mark.django_db
GRANT = {"name": "Starter pack", "amount": "100", "currency": "usd", "priority": "50"}


@pytest.fixture
@kept(at=NOW)
def acme(november: object, db: None) -> Customer:
    """It owes $40 so far."""
    customer = make_customer("acme", name="Acme Corp")
    put_on(customer, plan_with("Basic", {make_meter(): ONE_EACH}), date(2026, 11, 1))
    send("acme", "ApiCalls", 40)
    run_sweep()
    return customer


@pytest.fixture
def staff(acme: Customer) -> Client:
    return signed_in(User.objects.create_superuser("anna", password="x"))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def with_permissions(*names: str) -> Client:
    user = User.objects.create_user("bob", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    return signed_in(user)


def text(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.content
    return " ".join(answer.content.decode().split())


def customer_page(client: Client, customer: Customer) -> str:
    return text(client.get(f"/admin/meters/customer/{customer.pk}/change/"))


class TestGranting:
    def test_a_grant_of_the_form(self, staff: Client, acme: Customer) -> None:
        page = text(staff.get(f"/admin/invoices/creditgrant/grant/{acme.pk}/"))
        assert 'value="USD"' in page
        sent = GRANT | {
            "price_paid": "80",
            "starts_on": "2026-11-22",
            "expires_on": "2027-11-01",
            "product_items": [acme.invoices.get().lines.get().product_item_id],
            "reference": "order-17",
        }
        answer = staff.post(f"/admin/invoices/creditgrant/grant/{acme.pk}/", sent)
        assert answer["Location"] == f"/admin/meters/customer/{acme.pk}/change/#credits"
        grant = CreditGrant.objects.get()
        assert (grant.name, grant.amount, grant.price_paid, grant.currency) == ("Starter pack", 100, 80, "USD")
        assert grant.starts_at == NOW, "today is now"
        assert grant.expires_at == datetime(2027, 11, 1, tzinfo=UTC)
        assert (grant.source, grant.actor, grant.reference) == ("staff", "anna", "order-17")
        page = customer_page(staff, acme)
        assert "Granted to Acme Corp: Starter pack, $100.00." in page
        assert "<strong>$100.00</strong>, $100.00 of it for some product items only; $100.00 expires 1 Nov 2027" in page
        assert "For ApiCalls only" in page

    def test_days_are_midnights_of_the_account(self, staff: Client, acme: Customer, settings: Any) -> None:
        settings.ACCOUNT_TIME_ZONE = "Asia/Kolkata"
        sent = GRANT | {"starts_on": "2026-11-24", "expires_on": "2026-12-01"}
        staff.post(f"/admin/invoices/creditgrant/grant/{acme.pk}/", sent)
        grant = CreditGrant.objects.get()
        assert grant.starts_at == datetime(2026, 11, 23, 18, 30, tzinfo=UTC)
        assert grant.expires_at == datetime(2026, 11, 30, 18, 30, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"amount": "0"}, "Give an amount above zero."),
            ({"amount": "1.005"}, "USD has 2 decimals."),
            ({"amount": ""}, "This field is required."),
            ({"currency": "XXX"}, "This is no currency of ISO 4217"),
            ({"expires_on": "2026-11-01"}, "It expires after it begins."),
            ({"starts_on": "2026-01-01", "expires_on": "2026-11-01"}, "This is over already."),
            ({"priority": "-1"}, "greater than or equal to 0"),
        ],
    )
    def test_what_is_refused_stands_beside_the_field(
        self, staff: Client, acme: Customer, changes: Any, said: str
    ) -> None:
        assert said in text(staff.post(f"/admin/invoices/creditgrant/grant/{acme.pk}/", GRANT | changes))
        assert not CreditGrant.objects.exists()

    def test_a_reference_is_granted_once(self, staff: Client, acme: Customer) -> None:
        for _ in range(2):
            staff.post(f"/admin/invoices/creditgrant/grant/{acme.pk}/", GRANT | {"reference": "order-17"})
        assert CreditGrant.objects.count() == 1
        assert "nothing was granted again" in customer_page(staff, acme)


class TestLooking:
    def test_the_page_of_a_grant_has_its_ledger(self, staff: Client, acme: Customer) -> None:
        grant = prepaid(acme, "100", actor="anna")
        invoice = finalized(acme)
        page = text(staff.get(f"/admin/invoices/creditgrant/{grant.pk}/change/"))
        for said in ("+$100.00", "-$40.00", "$60.00", f"Paid to invoice {invoice.number}", "Everything"):
            assert said in page
        listed = text(staff.get("/admin/invoices/creditgrant/"))
        assert "$60.00" in listed
        assert "Acme Corp" in listed

    def test_an_invoice_says_what_credits_pay(self, staff: Client, acme: Customer) -> None:
        prepaid(acme, "15")
        page = text(staff.get(f"/admin/invoices/invoice/{live_invoice(acme).pk}/change/"))
        assert "Would be paid by credits" in page
        invoice = finalized(acme)
        page = text(staff.get(f"/admin/invoices/invoice/{invoice.pk}/change/"))
        assert 'Paid by credits</span> <strong class="number">$15.00' in page
        assert "Would be paid" not in page

    def test_states(self, staff: Client, acme: Customer) -> None:
        prepaid(acme, "40", priority=1)
        prepaid(acme, "5", expires_at=NOW + timedelta(days=1))
        prepaid(acme, "5", starts_at=NOW + timedelta(days=99))
        finalized(acme)
        page = customer_page(staff, acme)
        for state in ("Used up", "Later", "Good"):
            assert f">{state}</span>" in page

    def test_a_customer_without_credits(self, staff: Client, acme: Customer) -> None:
        page = customer_page(staff, acme)
        assert "Grant credit" in page
        assert "Nobody is told when it is low." in page


class TestVoiding:
    def test_it_asks_first(self, staff: Client, acme: Customer) -> None:
        grant = prepaid(acme, "100")
        url = f"/admin/invoices/creditgrant/{grant.pk}/void/"
        assert url in text(staff.get(f"/admin/invoices/creditgrant/{grant.pk}/change/"))
        page = text(staff.get(url))
        assert "$100.00 of Prepaid is left" in page
        assert "Void, taking back $100.00" in page
        grant.refresh_from_db()
        assert grant.voided_at is None
        assert staff.post(url, {"reason": "Paid back"}).status_code == 302
        grant.refresh_from_db()
        assert grant.voided_at == NOW
        page = text(staff.get(f"/admin/invoices/creditgrant/{grant.pk}/change/"))
        assert "Paid back" in page
        assert url not in page
        assert "is void already" in text(staff.post(url, {"reason": ""}))


class TestRule:
    def test_set_and_dropped(self, staff: Client, acme: Customer) -> None:
        prepaid(acme, "100")
        url = f"/admin/invoices/creditgrant/rule/{acme.pk}/"
        staff.get(url)
        assert "Say below which amount it is low." in text(staff.post(url, {"enabled": "on", "currency": "USD"}))
        staff.post(url, {"enabled": "on", "currency": "usd", "low_below": "20", "top_up": "50"})
        rule = CreditRule.objects.get()
        assert (rule.currency, rule.low_below, rule.top_up, rule.told_at) == ("USD", 20, 50, None)
        assert "Told when less than $20.00 is left, asking for $50.00." in customer_page(staff, acme)
        assert 'value="20' in text(staff.get(url))
        staff.post(url, {"currency": "USD"})
        assert not CreditRule.objects.exists()


class TestWhoMay:
    def test_without_permissions_nothing_is_seen_or_done(self, acme: Customer) -> None:
        grant = prepaid(acme, "100")
        client = with_permissions("view_customer")
        assert 'id="credits"' not in customer_page(client, acme)
        for path in (f"{grant.pk}/change", f"{grant.pk}/void", f"grant/{acme.pk}", f"rule/{acme.pk}"):
            assert client.get(f"/admin/invoices/creditgrant/{path}/").status_code == 403
            assert client.post(f"/admin/invoices/creditgrant/{path}/", GRANT).status_code == 403
        assert CreditGrant.objects.filter(voided_at=None).count() == 1

    def test_looking_is_not_granting(self, acme: Customer) -> None:
        grant = prepaid(acme, "100")
        client = with_permissions("view_customer", "view_creditgrant")
        page = customer_page(client, acme)
        assert "$100.00" in page
        assert "Grant credit" not in page
        assert "Void…" not in text(client.get(f"/admin/invoices/creditgrant/{grant.pk}/change/"))

    def test_nobody_adds_changes_or_deletes_by_hand(self, staff: Client, acme: Customer) -> None:
        grant = prepaid(acme, "100")
        assert staff.get("/admin/invoices/creditgrant/add/").status_code == 403
        assert staff.get(f"/admin/invoices/creditgrant/{grant.pk}/delete/").status_code == 403

    def test_strangers_are_sent_to_sign_in(self, acme: Customer) -> None:
        assert Client().get(f"/admin/invoices/creditgrant/grant/{acme.pk}/").status_code == 302
