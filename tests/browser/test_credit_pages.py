"""Prepaid credits by clicking: granted and voided by staff, seen by the customer."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from invoices.models import CreditGrant, Invoice
from meters.models import Customer
from tests.browser.conftest import NewPage
from tests.browser.test_story import PASSWORD, member_of, sign_in
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.invoices.prepaid import prepaid

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme(transactional_db: None) -> Customer:
    """$40 so far; its owner is alice."""
    customer = make_customer("acme", name="Acme Retail")
    put_on(customer, make_plan("Basic", {make_meter(): STORY_RATE}), customer.created_at.date())
    send("acme", "ApiCalls", 12300)
    run_sweep()
    User.objects.create_superuser("staff", password=PASSWORD)
    member_of(customer, "alice@example.com")
    return customer


@pytest.fixture
def two(acme: Customer) -> list[CreditGrant]:
    item = acme.invoices.get().lines.get().product_item
    assert item is not None
    return [
        prepaid(acme, "25", name="Starter pack", expires_at=timezone.now() + timedelta(days=100)),
        prepaid(acme, "500", name="Calls of the year", product_items=[item]),
        prepaid(acme, "30", name="For the other office", currency="EUR"),
    ]


def test_granted_seen_and_voided(new_page: NewPage, acme: Customer) -> None:
    staff, alice = new_page(), new_page()
    sign_in(staff, f"/admin/meters/customer/{acme.pk}/change/", "staff")
    staff.get_by_role("link", name="Grant credit").click()
    staff.get_by_label("Name:").fill("Starter pack")
    staff.get_by_label("Amount:").fill("25")
    staff.get_by_role("button", name="Grant credit").click()
    expect(staff.locator(".messagelist")).to_contain_text("Granted to Acme Retail: Starter pack, $25.00.")
    expect(staff.locator("#credits")).to_contain_text("Starter pack")
    sign_in(alice, "/", "alice@example.com")
    expect(alice.locator(".credits")).to_contain_text("$25.00")
    alice.goto(f"/invoices/{Invoice.objects.get().pk}/")
    expect(alice.locator(".document .items > tfoot")).to_contain_text("Would be paid by credits")
    staff.locator("#credits").get_by_role("link", name="Starter pack").click()
    staff.get_by_role("link", name="Void…").click()
    expect(staff.locator("#content")).to_contain_text("$25.00 of Starter pack is left")
    staff.get_by_label("Reason:").fill("A mistake")
    staff.get_by_role("button", name="Void, taking back $25.00").click()
    expect(staff.locator("#content")).to_contain_text("A mistake")
    alice.goto("/")
    expect(alice.locator(".summary")).to_be_visible()
    expect(alice.locator(".credits")).to_have_count(0)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_phone_shows_the_pages_without_scrolling_sideways(
    new_page: NewPage, acme: Customer, two: list[CreditGrant], scripts: bool
) -> None:
    staff = new_page(viewport={"width": 390, "height": 844}, java_script_enabled=scripts)
    sign_in(staff, "/admin/", "staff")
    grants = "/admin/invoices/creditgrant"
    alice = new_page(viewport={"width": 390, "height": 844}, java_script_enabled=scripts)
    sign_in(alice, "/", "alice@example.com")
    for page, path in (
        *((staff, f"{grants}/{path}") for path in ("", f"{two[0].pk}/change/", f"{two[0].pk}/void/")),
        *((staff, f"{grants}/{path}/{acme.pk}/") for path in ("grant", "rule")),
        (staff, f"/admin/meters/customer/{acme.pk}/change/"),
        (staff, f"/admin/invoices/invoice/{Invoice.objects.get().pk}/change/"),
        (alice, "/"),
        (alice, f"/invoices/{Invoice.objects.get().pk}/"),
    ):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
