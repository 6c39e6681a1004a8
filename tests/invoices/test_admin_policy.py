"""The staff pages of the billing policy, of a plan's, and of invoices that are held or wait for approval."""

import html
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client

from invoices.models import BillingPolicy, Invoice, PlanPolicy
from invoices.papers.parties import seller_party
from invoices.seller import Seller, seller_now
from meters.models import Customer
from pricing.models import Plan
from tests.factories import live_invoice, make_customer, run_sweep, send
from tests.invoices.november import MONTH_END

pytestmark = pytest.mark.usefixtures("november", "db")

POLICY = "/admin/invoices/billingpolicy/"
FORM = {
    "grace_hours": "", "payment_days": "30", "invoice_numbers": "INV-{year}-{number:05}",
    "credit_note_numbers": "CN-{year}-{number:04}", "late_usage": "next", "late_ignored_below": "0",
}  # fmt: skip


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


@pytest.fixture
def viewer(client: Client) -> Client:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    return client


@pytest.fixture
def after(november: Any) -> Iterator[None]:
    """In the grace time of November's invoices."""
    with time_machine.travel(MONTH_END + timedelta(hours=1), tick=False):
        yield


def text(response: Any) -> str:
    content = re.sub(r"<[^>]+>", " ", response.content.decode())
    return " ".join(html.unescape(content).split())


def change(invoice: Invoice, action: str = "change") -> str:
    return f"/admin/invoices/invoice/{invoice.pk}/{action}/"


class TestThePolicy:
    def test_is_one_form_that_shows_the_next_numbers(self, staff: Client) -> None:
        page = text(staff.get(POLICY))
        assert "Next numbers: 2026-0001, CN-2026-0001" in page
        assert "Empty: 24, as this installation is set up" in page
        saved = staff.post(POLICY, FORM, follow=True)
        assert "Saved. The next invoice is INV-2026-00001." in text(saved)
        policy = BillingPolicy.objects.get()
        assert (policy.payment_days, policy.grace_hours, policy.needs_approval) == (30, None, False)

    def test_says_who_sends_invoices(self, staff: Client) -> None:
        seller = {
            "seller_name": "Sellers GmbH", "seller_address": "Hauptstr. 1\r\n10115 Berlin", "seller_tax_id": "DE1",
            "paper_footer": "IBAN DE02",
        }  # fmt: skip
        staff.post(POLICY, FORM | seller)
        assert seller_now() == Seller("Sellers GmbH", "Hauptstr. 1\r\n10115 Berlin", "DE1", "IBAN DE02")
        assert seller_party(seller_now()).lines == ["Hauptstr. 1", "10115 Berlin", "Tax ID DE1"]
        refused = staff.post(POLICY, FORM | {"paper_footer": "x" * 501})
        assert "at most 500 characters" in text(refused)
        staff.post(POLICY, FORM)
        assert seller_now() == Seller("AwesomeIntegration")

    def test_numbers_can_be_tried(self, staff: Client) -> None:
        tried = staff.post(POLICY, FORM | {"_preview": "1"})
        assert "Next numbers: INV-2026-00001, CN-2026-0001" in text(tried)
        assert not BillingPolicy.objects.exists()

    @pytest.mark.parametrize("button", [{}, {"_preview": "1"}])
    def test_what_makes_no_numbers_is_told_beside_the_field(self, staff: Client, button: dict[str, str]) -> None:
        answer = staff.post(POLICY, FORM | button | {"invoice_numbers": "{year}-{n}"})
        assert set(answer.context["form"].errors) == {"invoice_numbers"}
        assert "Next numbers: 2026-0001" in text(answer)
        assert not BillingPolicy.objects.exists()

    @pytest.mark.parametrize(("name", "value"), [("payment_days", "-1"), ("grace_hours", "9999"), ("late_usage", "x")])
    def test_bad_input(self, staff: Client, name: str, value: str) -> None:
        assert set(staff.post(POLICY, FORM | {name: value}).context["form"].errors) == {name}

    def test_who_may_only_look(self, viewer: Client) -> None:
        assert 'name="_preview"' not in viewer.get(POLICY).content.decode()
        assert viewer.post(POLICY, FORM).status_code == 403

    def test_has_no_other_pages(self, staff: Client) -> None:
        assert staff.get(f"{POLICY}add/").status_code == 403
        assert staff.get(f"{POLICY}1/change/").headers["Location"] == POLICY
        assert staff.post(f"{POLICY}1/delete/", {"post": "yes"}).status_code in (403, 404)


class TestAPlans:
    def test_is_on_its_page(self, staff: Client, acme: Customer) -> None:
        plan = Plan.objects.get()
        page = f"/admin/pricing/plan/{plan.pk}/change/"
        assert "Grace time 24 hours As the account Days of payment 14 As the account" in text(staff.get(page))
        form = {"grace_hours": "72", "payment_days": "", "needs_approval": "yes"}
        staff.post(f"{POLICY}plans/{plan.pk}/", form)
        policy = PlanPolicy.objects.get()
        assert (policy.grace_hours, policy.payment_days, policy.needs_approval) == (72, None, True)
        shown = text(staff.get(page))
        assert "Grace time 72 hours This plan's own Days of payment 14 As the account" in shown
        assert "Approve invoices Yes This plan's own" in shown
        assert 'value="72"' in staff.get(f"{POLICY}plans/{plan.pk}/").content.decode()

    def test_is_refused_by_field(self, staff: Client, acme: Customer) -> None:
        answer = staff.post(f"{POLICY}plans/{Plan.objects.get().pk}/", {"grace_hours": "9999"})
        assert set(answer.context["form"].errors) == {"grace_hours"}

    def test_who_may_only_look(self, viewer: Client, acme: Customer) -> None:
        assert viewer.get(f"{POLICY}plans/{Plan.objects.get().pk}/").status_code == 403


class TestAnInvoice:
    @pytest.fixture
    def invoice(self, acme: Customer) -> Invoice:
        send("acme", "ApiCalls", 12300)
        run_sweep()
        return live_invoice(acme)

    def test_is_held_and_released(self, staff: Client, invoice: Invoice) -> None:
        assert "It becomes final by itself when its grace time is over." in text(staff.get(change(invoice)))
        held = text(staff.post(change(invoice, "hold"), {"reason": "Price <disputed>"}, follow=True))
        assert "Held since 22 Nov 2026, 14:30 UTC: Price <disputed>" in held
        assert "Held Ada" not in held
        assert "by itself" not in held
        assert "late usage counts until it is final" in held
        released = text(staff.post(change(invoice, "release"), follow=True))
        assert "Released: it becomes final at the end of its grace time, 2 Dec 2026, 00:00 UTC." in released
        assert list(invoice.events.values_list("kind", "actor"))[1:] == [("held", "ada"), ("released", "ada")]

    def test_is_approved_and_made_final(self, staff: Client, invoice: Invoice, after: None) -> None:
        BillingPolicy.objects.create(needs_approval=True)
        page = text(staff.get(change(invoice)))
        assert "It waits for approval." in page
        assert "Make final now" not in page
        assert "Approved: it becomes final at the end" in text(staff.post(change(invoice, "approve"), follow=True))
        final = text(staff.post(change(invoice, "finalize"), follow=True))
        assert "Invoice 2026-0001 is final: $40.00." in final
        assert "Becoming final" not in final

    def test_what_cannot_be_done_is_told(self, staff: Client, invoice: Invoice) -> None:
        assert "Make final now" not in text(staff.get(change(invoice)))
        assert "Its period is not over" in text(staff.post(change(invoice, "finalize"), follow=True))
        assert "Say why" in text(staff.post(change(invoice, "hold"), follow=True))
        assert "is not held" in text(staff.post(change(invoice, "release"), follow=True))

    @pytest.mark.parametrize("action", ["hold", "release", "approve", "finalize"])
    def test_is_changed_by_post_and_with_permission(self, viewer: Client, invoice: Invoice, action: str) -> None:
        page = viewer.get(change(invoice))
        assert "Becoming final" in text(page)
        assert "hold-reason" not in page.content.decode()
        assert viewer.post(change(invoice, action), {"reason": "x"}).status_code == 403
        assert viewer.get(change(invoice, action)).status_code == 403

    def test_that_waits_is_listed(self, staff: Client, invoice: Invoice, after: None) -> None:
        other = live_invoice(make_customer("globex"))

        def listed(waits: str) -> list[Invoice]:
            return list(staff.get("/admin/invoices/invoice/", {"waits": waits}).context["cl"].result_list)

        assert (listed("release"), listed("approval")) == ([], [])
        staff.post(change(other, "hold"), {"reason": "Disputed"})
        BillingPolicy.objects.create(needs_approval=True)
        assert (listed("release"), listed("approval")) == ([other], [invoice])
        assert "To approve" in text(staff.get("/admin/invoices/invoice/"))

    def test_says_up_to_which_usage_it_is_exact(self, staff: Client, invoice: Invoice) -> None:
        assert "exact up to usage version 1" in text(staff.get(change(invoice)))
        send("acme", "ApiCalls", 1)
        assert "exact up to usage version 1. Newer usage, or another change, waits" in text(staff.get(change(invoice)))
