"""The staff pages of pricing, through the forms that a browser posts."""

import re
from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from invoices.models import Invoice
from meters.admin.base import instant
from meters.models import Customer, Meter
from pricing.models import Assignment, AssignmentRule, Plan, PlanVersion, ProductItem, Rate
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


def text(response: Any) -> str:
    return str(response.content.decode())


def page(plan: Plan, action: str = "change") -> str:
    return f"/admin/pricing/plan/{plan.pk}/{action}/"


NO_TIERS = {"tiers-TOTAL_FORMS": "0", "tiers-INITIAL_FORMS": "0"}
BLOCKS = NO_TIERS | {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"}


def test_the_whole_story_by_clicking(staff: Client) -> None:
    staff.post(
        "/admin/meters/meter/add/",
        {"key": "ApiCalls", "aggregation": "sum", "unit": "calls", "used_for_billing": "on"},
    )
    item = ProductItem.objects.get(meter__key="ApiCalls")

    response = staff.post(
        "/admin/pricing/plan/add/", {"key": "AwesomeIntegrationApi", "default_plan": "on"}, follow=True
    )
    plan = Plan.objects.get()
    assert response.redirect_chain[-1][0] == page(plan)
    assert "Add product item" in text(response)
    assert plan.is_default

    response = staff.post(page(plan, "rates/add"), BLOCKS | {"product_item": str(item.pk)}, follow=True)
    assert "5,000 calls free, then $5.00 per started block of 1,000 calls" in text(response)

    response = staff.get(page(plan), {"item": item.pk, "quantity": "12300"})
    trial = response.context["trials"][0]
    assert trial.amount == "$40.00"
    assert [row.detail for row in trial.rows] == ["5,000 of 5,000 free", "7,300 calls = 8 blocks x $5.00"]

    response = staff.post(page(plan, "activate"), follow=True)
    assert 'aria-checked="true"' in text(response)
    plan.refresh_from_db()
    assert plan.status == Plan.Status.ACTIVE

    staff.post("/admin/meters/customer/add/", {"key": "acme", "name": "Acme"})
    send("acme", "ApiCalls", 12300)
    run_sweep()
    invoice = live_invoice(Customer.objects.get(key="acme"))
    assert "$40.00" in text(staff.get("/admin/meters/customer/"))
    detail = text(staff.get(f"/admin/invoices/invoice/{invoice.pk}/change/"))
    assert "5,000 of 5,000 free" in detail
    assert "7,300 calls = 8 blocks x $5.00" in detail


# --- Product items ---


def test_product_items_are_renamed_and_neither_added_nor_deleted(staff: Client) -> None:
    item = make_meter().product_item
    staff.post(f"/admin/pricing/productitem/{item.pk}/change/", {"name": "API calls"})
    item.refresh_from_db()
    assert item.name == "API calls"
    assert staff.get("/admin/pricing/productitem/add/").status_code == 403
    assert staff.get(f"/admin/pricing/productitem/{item.pk}/delete/").status_code == 403
    assert "This field is required." in text(staff.post(f"/admin/pricing/productitem/{item.pk}/change/", {"name": ""}))


def test_unticking_the_meter_retires_the_item_and_says_so(staff: Client) -> None:
    meter = make_meter()
    response = staff.post(
        f"/admin/meters/meter/{meter.pk}/change/",
        {"key": "ApiCalls", "aggregation": "sum", "unit": "calls"},
        follow=True,
    )
    assert "is retired: no plan can add it any more" in text(response)
    assert ProductItem.objects.get().retired_at is not None


# --- Plans ---


def test_a_new_plan_has_its_draft(staff: Client) -> None:
    staff.post("/admin/pricing/plan/add/", {"key": "Basic"})
    assert PlanVersion.objects.get().is_draft


def test_a_taken_key_is_refused_beside_the_field(staff: Client) -> None:
    Plan.objects.create(key="Basic")
    response = staff.post("/admin/pricing/plan/add/", {"key": "Basic"})
    assert response.context["adminform"].form.errors["key"] == ["Plan with this Key already exists."]


def test_one_plan_is_the_default(staff: Client) -> None:
    first = Plan.objects.create(key="First", is_default=True)
    second = Plan.objects.create(key="Second")
    staff.post(page(second), {"name": "Two", "default_plan": "on"})
    assert list(Plan.objects.filter(is_default=True)) == [second]
    staff.post(page(second), {"name": "Two"})
    assert not Plan.objects.filter(is_default=True).exists()
    staff.post("/admin/pricing/plan/add/", {"key": "Third", "default_plan": "on"})
    assert Plan.objects.get(is_default=True).key == "Third"
    first.refresh_from_db()
    assert not first.is_default


def test_a_plan_without_prices_is_not_activated(staff: Client) -> None:
    staff.post("/admin/pricing/plan/add/", {"key": "Basic"})
    plan = Plan.objects.get()
    assert "disabled" in text(staff.get(page(plan))).split('class="switch"')[1].split(">")[0]
    response = staff.post(page(plan, "activate"), follow=True)
    assert "Add at least one product item" in text(response)
    plan.refresh_from_db()
    assert plan.status == Plan.Status.DRAFT


def test_an_active_plan_is_retired_and_taken_back(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    staff.post(page(plan, "retire"))
    plan.refresh_from_db()
    assert plan.status == Plan.Status.RETIRED
    assert "Only an active plan can be retired." in text(staff.post(page(plan, "retire"), follow=True))
    staff.post(page(plan, "activate"))
    plan.refresh_from_db()
    assert plan.status == Plan.Status.ACTIVE


def test_switching_the_default_plan_off_says_what_that_leaves(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    assert "once it is off, new customers that no rule matches get no plan" in text(staff.get(page(plan)))
    response = staff.post(page(plan, "retire"), follow=True)
    assert "It was the default plan: new customers that no rule matches get no plan" in text(response)
    staff.post(page(plan, "activate"))
    assert "It was the default plan" not in text(staff.post(page(plan, "retire"), follow=True))


def test_an_earlier_version_shows_its_prices_and_when_they_were_active(staff: Client) -> None:
    meter = make_meter()
    plan = make_plan("Basic", {meter: STORY_RATE})
    staff.post(page(plan, "draft"))
    rate = Rate.objects.get(plan_version__status="draft")
    staff.post(page(plan, f"rates/{rate.pk}"), NO_TIERS | {"model": "per_unit", "unit_price": "0.01"})
    response = staff.post(page(plan, "activate"), follow=True)
    assert "Basic v2 is active. Customers stay on the prices of v1 until their next period." in text(response)
    earlier = text(response).split('<details class="earlier">')[1].split("</details>")[0]
    assert "5,000 calls free, then $5.00 per started block of 1,000 calls" in earlier
    first, second = plan.versions.order_by("number")
    assert f"active from {instant(first.activated_at)} to {instant(second.activated_at)}" in earlier


def test_prices_are_changed_in_a_new_version(staff: Client) -> None:
    meter = make_meter()
    plan = make_plan("Basic", {meter: STORY_RATE})
    frozen = Rate.objects.get()
    assert f"rates/{frozen.pk}/" not in text(staff.get(page(plan)))
    staff.post(page(plan, "draft"))
    draft = PlanVersion.objects.get(status="draft")
    rate = draft.rates.get()
    staff.post(page(plan, f"rates/{rate.pk}"), NO_TIERS | {"model": "per_unit", "unit_price": "0.01"})
    rate.refresh_from_db()
    frozen.refresh_from_db()
    assert rate.parameters == {"model": "per_unit", "unit_price": "0.01"}
    assert frozen.parameters == STORY_RATE
    response = staff.get(page(plan), {"item": meter.product_item.pk, "quantity": "6000"})
    assert [trial.amount for trial in response.context["trials"]] == ["$5.00", "$60.00"]
    staff.post(page(plan, "activate"))
    assert list(PlanVersion.objects.values_list("number", "status")) == [(1, "superseded"), (2, "active")]


def test_a_draft_is_discarded_beside_an_active_version_only(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    assert "There is no draft" in text(staff.post(page(plan, "discard"), follow=True))
    staff.post(page(plan, "draft"))
    staff.post(page(plan, "discard"))
    assert PlanVersion.objects.get().status == "active"


def test_a_price_is_taken_out_of_the_draft(staff: Client) -> None:
    item = make_meter().product_item
    staff.post("/admin/pricing/plan/add/", {"key": "Basic"})
    plan = Plan.objects.get()
    staff.post(page(plan, "rates/add"), BLOCKS | {"product_item": str(item.pk)})
    staff.post(page(plan, f"rates/{Rate.objects.get().pk}/remove"))
    assert not Rate.objects.exists()


@pytest.mark.parametrize(
    ("quantity", "error"),
    [("12,300", "Leave out thousands separators"), ("-1", "Must not be negative."), ("x", "number")],
)
def test_a_quantity_that_is_none_is_refused(staff: Client, quantity: str, error: str) -> None:
    meter = make_meter()
    plan = make_plan("Basic", {meter: STORY_RATE})
    response = staff.get(page(plan), {"item": meter.product_item.pk, "quantity": quantity})
    assert error in response.context["try_form"].errors["quantity"][0]
    assert response.context["trials"] == []


ACTIONS = ["activate", "retire", "draft", "discard", "rates/1/remove"]


@pytest.mark.parametrize("action", ACTIONS)
def test_changes_are_posted(staff: Client, action: str) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    assert staff.get(page(plan, action)).status_code == 405


@pytest.mark.parametrize("action", [*ACTIONS, "rates/add", "rates/1"])
def test_changes_need_permission(client: Client, action: str) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_plan"))
    client.force_login(user)
    assert client.get(page(plan)).status_code == 200
    assert client.post(page(plan, action)).status_code == 403
    client.logout()
    assert client.post(page(plan, action))["Location"].startswith("/admin/login/")


def test_changes_need_the_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("staff"))
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    assert client.post(page(plan, "retire")).status_code == 403


def test_the_plan_list_asks_as_often_for_many_plans_as_for_one(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    meter = make_meter()
    plans = [make_plan(f"Plan{number}", {meter: STORY_RATE}) for number in range(4)]
    put_on(make_customer("acme"), plans[0], timezone.localdate())
    with django_assert_max_num_queries(7):
        response = staff.get("/admin/pricing/plan/")
    assert [plan.customers for plan in response.context["cl"].result_list] == [1, 0, 0, 0]


# --- Assignment rules ---


def test_a_rule_gives_new_customers_their_plan(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    response = staff.post(
        "/admin/pricing/assignmentrule/add/",
        {
            "position": "10",
            "plan": str(plan.pk),
            "enabled": "on",
            "conditions-TOTAL_FORMS": "1",
            "conditions-INITIAL_FORMS": "0",
            "conditions-0-trait": "product",
            "conditions-0-value": "integration",
        },
    )
    assert response.status_code == 302
    staff.post("/admin/meters/customer/add/", {"key": "acme", "traits": "product=integration"})
    staff.post("/admin/meters/customer/add/", {"key": "globex", "traits": "product=other"})
    assignment = Assignment.objects.get()
    assert assignment.customer.key == "acme"
    assert assignment.rule == AssignmentRule.objects.get()
    assert "product = integration" in text(staff.get("/admin/pricing/assignmentrule/"))


def test_a_new_rule_comes_behind_the_others(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    AssignmentRule.objects.create(position=30, plan=plan)
    add = "/admin/pricing/assignmentrule/add/"
    assert 'name="position" value="40"' in text(staff.get(add))
    taken = {"position": "30", "plan": str(plan.pk), "conditions-TOTAL_FORMS": "0", "conditions-INITIAL_FORMS": "0"}
    assert "already exists" in staff.post(add, taken).context["adminform"].form.errors["position"][0]


# --- Customers ---


def test_a_new_customer_is_told_its_plan_and_why(staff: Client) -> None:
    def add(key: str, traits: str = "") -> str:
        return text(staff.post("/admin/meters/customer/add/", {"key": key, "traits": traits}, follow=True))

    assert "The plan of acme: none, because no rule matches" in add("acme")
    meter = make_meter()
    make_plan("Basic", {meter: STORY_RATE}, is_default=True)
    rule = AssignmentRule.objects.create(position=20, plan=make_plan("Special", {meter: STORY_RATE}))
    rule.conditions.create(trait="country", value="de")
    assert re.search(r"The plan of globex: Basic from [^,]+, as the default plan\.", add("globex"))
    assert re.search(r"The plan of initech: Special from [^,]+, by rule 20\.", add("initech", "country=de"))


def test_customers_are_found_by_whether_they_are_on_a_plan(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    today = timezone.localdate()
    put_on(make_customer("with"), plan, today)
    put_on(make_customer("ahead"), plan, today + timedelta(days=40))
    make_customer("without")
    for value, keys in (("with", ["with"]), ("without", ["ahead", "without"]), ("other", ["ahead", "with", "without"])):
        found = staff.get("/admin/meters/customer/", {"plan": value}).context["cl"].result_list
        assert [customer.key for customer in found] == keys


def test_the_customer_page_shows_the_plans(client: Client) -> None:
    customer = make_customer("acme")
    put_on(customer, make_plan("Basic", {make_meter(): STORY_RATE}), timezone.localdate())
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_customer"))
    client.force_login(user)
    detail = f"/admin/meters/customer/{customer.pk}/change/"
    assert "Basic" not in text(client.get(detail))
    user.user_permissions.add(Permission.objects.get(codename="view_assignment"))
    shown = text(client.get(detail))
    assert f"/admin/pricing/assignment/{Assignment.objects.get().pk}/change/" in shown
    assert "Assign a plan" not in shown


# --- Assignments ---


def test_staff_assign_a_plan_and_end_it(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    customer = make_customer("acme")
    today = timezone.localdate()
    staff.post(
        "/admin/pricing/assignment/add/",
        {"customer": customer.pk, "plan": plan.pk, "starts_on": f"{today}", "ends_on": ""},
    )
    assignment = Assignment.objects.get()
    assert assignment.source == Assignment.Source.STAFF
    assert live_invoice(customer).assignment == assignment

    detail = f"/admin/pricing/assignment/{assignment.pk}/change/"
    response = staff.post(detail, {"ends_on": f"{today}"})
    assert response.context["adminform"].form.errors["ends_on"] == ["The end is after the start."]
    ends_on = today + timedelta(days=1)
    staff.post(detail, {"ends_on": f"{ends_on}", "plan": "99"})
    assignment.refresh_from_db()
    assert (assignment.plan, assignment.ends_on) == (plan, ends_on)
    response = staff.post(detail, {"ends_on": ""})
    assert "not taken back" in response.context["adminform"].form.errors["ends_on"][0]
    assert staff.get(f"/admin/pricing/assignment/{assignment.pk}/delete/").status_code == 403


def test_a_conflicting_assignment_is_refused_beside_the_plan(staff: Client) -> None:
    meter = make_meter()
    first, second = make_plan("First", {meter: STORY_RATE}), make_plan("Second", {meter: STORY_RATE})
    customer = make_customer("acme")
    put_on(customer, first, date(2026, 7, 1))
    response = staff.post(
        "/admin/pricing/assignment/add/", {"customer": customer.pk, "plan": second.pk, "starts_on": "2026-07-10"}
    )
    assert "already priced by First" in response.context["adminform"].form.errors["plan"][0]
    assert Assignment.objects.count() == 1


def test_customers_can_be_searched_for_an_assignment(staff: Client) -> None:
    make_customer("acme")
    query = {"app_label": "pricing", "model_name": "assignment", "field_name": "customer", "term": "acm"}
    assert [row["text"] for row in staff.get("/admin/autocomplete/", query).json()["results"]] == ["acme"]


# --- The action ---


def assign(staff: Client, customers: list[Customer], **fields: str) -> Any:
    data = {"action": "assign_plan", "_selected_action": [customer.pk for customer in customers], **fields}
    return staff.post("/admin/meters/customer/", data, follow=True)


def test_the_action_asks_and_then_assigns_whom_it_can(staff: Client) -> None:
    meter = make_meter()
    plan, other = make_plan("Basic", {meter: STORY_RATE}), make_plan("Other", {meter: STORY_RATE})
    customers = [make_customer(key) for key in ("acme", "globex", "initech")]
    put_on(customers[1], other, date(2026, 7, 1))

    asked = assign(staff, customers)
    assert "3 customers: acme, globex, initech" in text(asked)
    assert Assignment.objects.count() == 1

    empty = assign(staff, customers, apply="1", starts_on="soon")
    assert list(empty.context["form"].errors) == ["plan", "starts_on"]

    done = assign(staff, customers, apply="1", plan=str(plan.pk), starts_on=f"{timezone.localdate()}")
    assert "2 customers are on Basic" in text(done)
    assert "Not assigned: globex: ApiCalls is already priced by Other" in text(done)
    assert done.context["customers"] == [customers[1]]
    assert done.context["form"]["plan"].value() == str(plan.pk)
    assert Assignment.objects.filter(plan=plan).count() == 2
    assert Invoice.objects.filter(assignment__plan=plan).count() == 2


def test_the_action_takes_all_pages(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    customers = [make_customer(f"c{number}") for number in range(3)]
    everybody = {"select_across": "1", "apply": "1", "plan": str(plan.pk), "starts_on": f"{timezone.localdate()}"}
    assign(staff, customers[:1], **everybody)
    assert Assignment.objects.count() == 3


def test_the_action_needs_permission(client: Client) -> None:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_customer"))
    client.force_login(user)
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    assign(client, [make_customer("acme")], apply="1", plan=str(plan.pk), starts_on="2026-07-01")
    assert not Assignment.objects.exists()
    assert "assign_plan" not in text(client.get("/admin/meters/customer/"))


def test_the_customer_list_asks_as_often_for_many_as_for_one(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    for number in range(5):
        make_customer(f"c{number}")
    assert Meter.objects.count() == 1
    with django_assert_max_num_queries(7):
        response = staff.get("/admin/meters/customer/")
    assert text(response).count("Basic") == 5
