"""The story by clicking: staff make the meter and the plan, the customer sees the bill and why."""

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from meters.models import Customer
from portal.models import Membership
from tests.browser.conftest import NewPage
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, send
from tests.scenarios.live import Live, wait_for

PASSWORD = "a long enough password"

pytestmark = pytest.mark.django_db(transaction=True)


def sign_in(page: Page, path: str, name: str) -> None:
    page.goto(path)
    page.locator("input[name=username]").fill(name)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(lambda url: "sign-in" not in url and "login" not in url)


def member_of(customer: Customer, name: str) -> User:
    user = User.objects.create_user(name, name, PASSWORD)
    Membership.objects.create(user=user, customer=customer)
    return user


def add(page: Page, what: str, **fields: str | bool) -> None:
    """Clicks from the admin's front page to the form of a new `what`, fills it and saves."""
    page.goto("/admin/")
    page.locator("#content-main").get_by_role("row", name=re.compile(f"^{what}")).get_by_role(
        "link", name="Add"
    ).click()
    for name, value in fields.items():
        field = page.locator(f"#id_{name}")
        if value is True:
            field.check()
        else:
            field.fill(str(value))
    page.get_by_role("button", name="Save", exact=True).click()


def test_staff_set_up_and_the_customer_sees_the_bill(live: Live, new_page: NewPage) -> None:
    User.objects.create_superuser("staff", password=PASSWORD)
    staff = new_page()
    sign_in(staff, "/admin/", "staff")

    add(staff, "Meters", key="ApiCalls", unit="calls", dimensions="source, target", used_for_billing=True)
    expect(staff.locator(".messagelist")).to_contain_text("ApiCalls")

    add(staff, "Plans", key="AwesomeIntegrationApi")
    staff.get_by_role("link", name="Add product item").click()
    staff.get_by_label("Product item").select_option(label="ApiCalls")
    staff.locator("[name=model][value=block]").check()
    expect(staff.locator("[name=unit_price]")).to_be_hidden()  # only the chosen model's own fields show
    staff.locator("[name=block_size]").fill("0")
    staff.locator("[name=block_price]").fill("5")
    staff.locator("[name=included_units]").fill("5000")
    staff.get_by_role("button", name="Save price").click()
    expect(staff.locator("#content")).to_contain_text(re.compile("greater than 0"))  # beside the field
    staff.locator("[name=block_size]").fill("1000")
    staff.get_by_role("button", name="Save price").click()
    expect(staff.locator("#content")).to_contain_text("5,000 calls free, then $5.00 per started block of 1,000 calls")
    staff.get_by_role("switch").click()
    expect(staff.get_by_label("Make it the default plan")).to_be_checked()  # as there is none yet
    staff.get_by_role("button", name="Activate v1").click()
    expect(staff.locator("#content")).to_contain_text("active since")

    add(staff, "Customers", key="acme", name="Acme Retail")
    acme = Customer.objects.get(key="acme")
    assert acme.assignments.get().plan.key == "AwesomeIntegrationApi"

    send("acme", "ApiCalls", 12300, source="crm", target="shop")
    member_of(acme, "anna@acme.example")
    anna = new_page()
    sign_in(anna, "/", "anna@acme.example")
    charges = anna.locator("main")
    wait_for(lambda: "$40.00" in charges.inner_text(), 20)
    why = anna.locator("details").filter(has_text="Free tier").first
    why.locator("summary").click()
    expect(why).to_contain_text("5,000 of 5,000 free")
    expect(why).to_contain_text("8 blocks x $5.00")

    # The bill follows while one watches, and the explanation stays open.
    send("acme", "ApiCalls", 1000)
    expect(charges).to_contain_text("$45.00", timeout=20_000)
    expect(why).to_contain_text("9 blocks x $5.00")

    # And staff read the same words on the invoice.
    staff.goto("/admin/invoices/invoice/")
    staff.get_by_role("link", name="Estimate").click()
    expect(staff.locator("#content")).to_contain_text("9 blocks x $5.00")


def test_every_page_keeps_to_the_policy(new_page: NewPage, complaints: list[str]) -> None:
    meter = make_meter()
    plan = make_plan("AwesomeIntegrationApi", {meter: STORY_RATE}, is_default=True)
    customer = make_customer("acme", name="Acme <script>alert(1)</script>")
    send("acme", "ApiCalls", 12300, source="<img src=x onerror=alert(1)>")
    User.objects.create_superuser("staff", password=PASSWORD)
    member_of(customer, "anna@acme.example")

    anna = new_page()
    sign_in(anna, "/", "anna@acme.example")
    invoice = f"/invoices/{customer.invoices.get().pk}/"
    for path in (
        "/",
        "/usage/?group_by=source",
        "/invoices/",
        "/statement/",
        "/alerts/",
        invoice,
        f"{invoice}lines/1/",
    ):
        answer = anna.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy

    staff = new_page()
    sign_in(staff, "/admin/", "staff")
    paths = [
        *("", "meters/meter/", "meters/meter/add/", f"meters/meter/{meter.pk}/change/", "meters/rejectedevent/"),
        *(f"meters/meter/{meter.pk}/usage/", f"meters/meter/{meter.pk}/test-event/"),
        *("meters/customer/", "meters/customer/add/", f"meters/customer/{customer.pk}/change/"),
        *(f"meters/customer/{customer.pk}/usage/", "meters/event/", "meters/apikey/", "meters/apikey/add/"),
        *("pricing/plan/", "pricing/plan/add/", f"pricing/plan/{plan.pk}/change/?item=1&quantity=5001"),
        *("pricing/productitem/", "pricing/assignmentrule/", "pricing/assignmentrule/add/"),
        *("pricing/assignment/", "pricing/assignment/add/", "invoices/invoice/", "invoices/export/"),
        f"meters/customer/{customer.pk}/statement/",
        f"invoices/invoice/{customer.invoices.get().pk}/lines/1/",
        *(f"invoices/invoice/{customer.invoices.get().pk}/change/", "portal/membership/", "portal/membership/add/"),
        *("auth/user/", "auth/user/add/", "auth/group/add/"),
    ]
    for path in paths:
        answer = staff.goto(f"/admin/{path}")
        assert answer is not None
        assert answer.status == 200, path
    assert complaints == []


def test_a_phone_shows_it_without_scrolling_sideways(new_page: NewPage) -> None:
    make_plan("AwesomeIntegrationApi", {make_meter(): STORY_RATE}, is_default=True)
    customer = make_customer("acme")
    send("acme", "ApiCalls", 12300)
    member_of(customer, "anna@acme.example")
    anna = new_page(viewport={"width": 320, "height": 640})
    sign_in(anna, "/", "anna@acme.example")
    invoice = f"/invoices/{customer.invoices.get().pk}/"
    for path in ("/", "/usage/", "/invoices/", "/statement/", "/alerts/", invoice, f"{invoice}lines/1/"):
        anna.goto(path)
        assert anna.evaluate("document.documentElement.scrollWidth") <= 320, path


def test_it_works_without_javascript(new_page: NewPage) -> None:
    make_plan("AwesomeIntegrationApi", {make_meter(): STORY_RATE}, is_default=True)
    customer = make_customer("acme")
    send("acme", "ApiCalls", 12300)
    member_of(customer, "anna@acme.example")
    anna = new_page(java_script_enabled=False)
    sign_in(anna, "/", "anna@acme.example")

    def is_billed() -> bool:
        anna.goto("/")
        return "$40.00" in anna.locator("main").inner_text()

    wait_for(is_billed, 20)
    anna.goto("/usage/")
    anna.get_by_label("Group by").select_option("source")
    anna.get_by_role("button", name="Apply").click()
    assert "source" in anna.url
    expect(anna.locator("main")).to_contain_text("12,300")
