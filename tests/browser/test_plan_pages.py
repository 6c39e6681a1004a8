"""The pages of plans in a browser: fees and terms in a draft, activation by choice, a private plan."""

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from pricing.models import Plan
from pricing.plans import draft_version, set_fee, set_terms
from tests.browser.conftest import NewPage
from tests.browser.test_story import PASSWORD, sign_in
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan

pytestmark = pytest.mark.django_db(transaction=True)


def test_fees_terms_and_a_version_that_leaves_customers_where_they_are(new_page: NewPage) -> None:
    User.objects.create_superuser("staff", password=PASSWORD)
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    staff = new_page()
    sign_in(staff, f"/admin/pricing/plan/{plan.pk}/change/", "staff")
    staff.get_by_role("button", name="Change prices").click()

    staff.get_by_role("link", name="Add a fee").click()
    for kind, shown in (
        ("percent", {"percent"}),
        ("one_time", {"amount", "quantity", "unit"}),
        ("recurring", {"amount", "quantity", "unit", "prorated"}),
    ):
        staff.locator(f"[name=kind][value={kind}]").check()
        fields = ("amount", "percent", "quantity", "unit", "prorated")
        assert {name for name in fields if staff.locator(f"#id_{name}").is_visible()} == shown, kind
    staff.locator("#id_name").fill("Seats")
    staff.locator("#id_amount").fill("12,50")
    staff.get_by_role("button", name="Save fee").click()
    expect(staff.locator(".field-amount .errorlist")).to_be_visible()
    staff.locator("#id_amount").fill("12.50")
    staff.get_by_role("button", name="Save fee").click()
    expect(staff.locator("#draft .fees")).to_contain_text("$12.50")

    staff.get_by_role("link", name="Change the terms").click()
    expect(staff.locator("#id_minimum")).to_be_hidden()
    staff.locator("[name=floor][value=minimum]").check()
    staff.locator("#id_minimum").fill("49")
    staff.get_by_role("button", name="Save terms").click()
    expect(staff.locator("#draft .changes")).to_contain_text("$49.00 a period")

    staff.get_by_role("link", name="Activate v2").click()
    expect(staff.locator(".changes")).to_contain_text("$49.00 a period")
    staff.get_by_label("Stay on the version they have").check()
    staff.get_by_role("button", name="Activate v2").click()
    expect(staff.locator(".messagelist")).to_contain_text("Basic v2 is active for new customers.")
    staff.get_by_role("link", name="What v2 changed").click()
    expect(staff.locator(".changes")).to_contain_text("Fee Seats")


def test_a_private_plan_without_javascript_but_for_the_choice_of_the_customer(new_page: NewPage) -> None:
    User.objects.create_superuser("staff", password=PASSWORD)
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    make_customer("acme", name="Acme Retail")
    staff = new_page()
    sign_in(staff, f"/admin/pricing/plan/{plan.pk}/change/", "staff")
    staff.get_by_role("link", name="Make a private plan").click()
    staff.locator(".select2-selection").click()
    staff.locator(".select2-search__field").fill("acme")
    staff.locator(".select2-results__option", has_text="Acme Retail").click()
    staff.get_by_role("button", name="Make the plan").click()
    expect(staff.locator(".messagelist")).to_contain_text("Basic.acme is there")

    plain = new_page(java_script_enabled=False)
    sign_in(plain, f"/admin/pricing/plan/{Plan.objects.get(base=plan).pk}/change/", "staff")
    plain.get_by_role("link", name=re.compile("Edit ApiCalls")).click()
    plain.locator("[name=block_price]").fill("4")
    plain.get_by_role("button", name="Save price").click()
    expect(plain.locator("#draft .prices")).to_contain_text("Own")
    plain.get_by_role("switch").click()
    plain.get_by_role("button", name="Activate v1").click()
    plain.get_by_role("link", name="Put Acme Retail on it").click()
    expect(plain.locator("#id_plan option:checked")).to_have_text("Basic (Acme Retail)")
    plain.get_by_role("button", name="Save", exact=True).click()
    assert Plan.objects.get(base=plan).assignments.get().customer.key == "acme"


def test_every_page_fits_a_phone(new_page: NewPage) -> None:
    User.objects.create_superuser("staff", password=PASSWORD)
    meter = make_meter(dimensions=["region"])
    plan = make_plan("Basic", {meter: STORY_RATE})
    draft = draft_version(plan)
    set_fee(draft, key="seats", name="Seats", amount="12.5", quantity="5", unit="seats")
    set_terms(draft, commitment="100", overage_factor="1.25", trial_days=14, interval_count=3, alignment="anniversary")
    staff = new_page(viewport={"width": 390, "height": 844})
    sign_in(staff, "/admin/", "staff")
    own = ("change/", "fees/add/", f"fees/{draft.fees.get().pk}/", "terms/", "private/", "versions/1/", "versions/2/")
    paths = [f"plan/{plan.pk}/{path}" for path in own]
    for path in (*paths, "plan/", "plan/add/", "plan/apply/", f"productitem/{meter.product_item.pk}/change/"):
        answer = staff.goto(f"/admin/pricing/{path}")
        assert answer is not None
        assert answer.status == 200, path
        assert staff.evaluate("document.documentElement.scrollWidth") <= 390, path
