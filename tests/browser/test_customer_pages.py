"""Customers' plans, promotions, rules and the import of assignments, by clicking."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from meters.models import Customer
from pricing.models import Assignment, AssignmentRule, Promotion, TaxRate
from pricing.promotions import apply_promotion
from tests.browser.conftest import NewPage
from tests.browser.test_story import PASSWORD, sign_in
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def acme(transactional_db: None) -> Customer:
    """On a plan of two, with a promotion, a tax rate and a rule beside it."""
    meter = make_meter()
    basic = make_plan("Basic", {meter: STORY_RATE})
    make_plan("Pro", {meter: STORY_RATE})
    customer = make_customer("acme", name="Acme Retail", traits={"country": "de"})
    put_on(customer, basic, customer.created_at.date())
    promotion = Promotion.objects.create(key="welcome", name="Welcome", percent=20)
    Promotion.objects.create(key="later", name="Later", percent=5, position=20)
    apply_promotion(customer=customer, promotion=promotion)
    TaxRate.objects.create(key="vat", name="VAT", percent=19, is_default=True)
    for position, country in ((10, "de"), (20, "fr")):
        rule = AssignmentRule.objects.create(plan=basic, position=position)
        rule.conditions.create(trait="country", value=country)
    User.objects.create_superuser("staff", password=PASSWORD)
    return customer


def paths(customer: Customer) -> list[str]:
    assignment, applied = customer.assignments.get(), customer.promotions.get()
    return [
        *("pricing/assignment/", f"pricing/assignment/{assignment.pk}/change/", "pricing/assignment/import/"),
        *(f"pricing/assignment/{assignment.pk}/change-plan/", "pricing/assignmentlog/"),
        *("pricing/assignmentrule/", "pricing/assignmentrule/add/", "pricing/assignmentrule/try/"),
        *("pricing/promotion/", "pricing/promotion/add/", f"pricing/promotion/{applied.promotion_id}/change/"),
        *(f"pricing/promotion/apply/{customer.pk}/", f"pricing/promotion/applied/{applied.pk}/end/"),
        *("pricing/taxrate/", "pricing/taxrate/add/", f"pricing/taxrate/{TaxRate.objects.get().pk}/change/"),
        *(f"meters/customer/{customer.pk}/change/", f"meters/customer/{customer.pk}/billing/"),
    ]


def test_a_customer_changes_its_plan(new_page: NewPage, acme: Customer) -> None:
    staff = new_page()
    sign_in(staff, f"/admin/meters/customer/{acme.pk}/change/", "staff")
    expect(staff.locator("#promotions")).to_contain_text("20% off the whole invoice")
    expect(staff.locator("#billing")).to_contain_text("VAT 19%")
    staff.get_by_role("link", name="Change plan…").click()
    staff.get_by_label("New plan").select_option(label="Pro")
    staff.get_by_label("When the running period ends").check()
    staff.get_by_role("button", name="Change plan").click()
    expect(staff.locator(".messagelist")).to_contain_text("changes from Basic to Pro")
    expect(staff.locator("#plans tbody tr")).to_have_count(2)
    expect(staff.locator("#content")).to_contain_text("What was done with plans")


def test_rules_change_places_in_their_list(new_page: NewPage, acme: Customer) -> None:
    staff = new_page()
    sign_in(staff, "/admin/pricing/assignmentrule/", "staff")
    conditions = staff.locator("#result_list .field-conditions_text")
    expect(conditions).to_have_text(["country = de", "country = fr"])
    staff.get_by_role("button", name="Later: Rule 10").click()
    expect(conditions).to_have_text(["country = fr", "country = de"])
    staff.get_by_role("link", name="Try on existing customers").click()
    expect(staff.locator("#content")).to_contain_text("All have the plan that they would get.")


def test_a_promotion_shows_the_field_of_its_kind(new_page: NewPage, acme: Customer) -> None:
    staff = new_page()
    sign_in(staff, "/admin/pricing/promotion/add/", "staff")
    expect(staff.locator("#id_percent")).to_be_visible()
    expect(staff.locator("#id_amount")).to_be_hidden()
    staff.get_by_label("Kind").select_option("amount")
    expect(staff.locator("#id_percent")).to_be_hidden()
    expect(staff.locator("#id_amount")).to_be_visible()


def test_a_file_is_shown_row_by_row_before_it_is_stored(new_page: NewPage, acme: Customer) -> None:
    make_customer("globex")
    make_plan("Storage", {make_meter("Storage"): STORY_RATE})
    staff = new_page()
    sign_in(staff, "/admin/pricing/assignment/import/", "staff")

    def upload(text: str) -> None:
        file = {"name": "assignments.csv", "mimeType": "text/csv", "buffer": text.encode()}
        staff.get_by_label("CSV file").set_input_files(file)  # type: ignore[arg-type]
        staff.get_by_role("button", name="Check").click()

    today = acme.created_at.date()
    upload(f"customer;plan;starts_on\r\nglobex;Storage;{today}\r\nnobody;Storage;{today}\r\n")
    expect(staff.locator("#preview")).to_have_text("1 of 2 rows cannot be imported")
    expect(staff.locator(".import-rows tr", has_text="nobody").locator("td.wrong")).to_contain_text("There is no")
    field = staff.get_by_label("Or its text")
    field.fill(field.input_value().replace("nobody", "acme"))
    staff.get_by_role("button", name="Check again").click()
    expect(staff.locator("#preview")).to_have_text("2 rows can be imported")
    assert Assignment.objects.filter(plan__key="Storage").count() == 0
    staff.get_by_role("button", name="Import 2 assignments").click()
    expect(staff.locator(".messagelist")).to_contain_text("2 assignments imported.")
    assert Assignment.objects.filter(plan__key="Storage", source="import").count() == 2


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
def test_a_phone_shows_the_pages_without_scrolling_sideways(new_page: NewPage, acme: Customer, scripts: bool) -> None:
    staff: Page = new_page(viewport={"width": 390, "height": 844}, java_script_enabled=scripts)
    sign_in(staff, "/admin/", "staff")
    for path in paths(acme):
        answer = staff.goto(f"/admin/{path}")
        assert answer is not None
        assert answer.status == 200, path
        assert staff.evaluate("document.documentElement.scrollWidth") <= 390, path
