"""The staff pages of pricing, through the forms that a browser posts."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from meters.admin.base import instant
from meters.models import Customer
from pricing.models import Plan, PlanVersion, ProductItem, Rate
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, run_sweep, send
from tests.pricing.pages import text

pytestmark = pytest.mark.django_db


def page(plan: Plan, action: str = "change") -> str:
    return f"/admin/pricing/plan/{plan.pk}/{action}/"


NO_TIERS = {"tiers-TOTAL_FORMS": "0", "tiers-INITIAL_FORMS": "0", "where-TOTAL_FORMS": "0", "where-INITIAL_FORMS": "0"}
BLOCKS = NO_TIERS | {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"}


def test_the_whole_story_by_clicking(staff: Client) -> None:
    staff.post(
        "/admin/meters/meter/add/",
        {"key": "ApiCalls", "aggregation": "sum", "unit": "calls", "used_for_billing": "on"},
    )
    item = ProductItem.objects.get(meter__key="ApiCalls")

    response = staff.post("/admin/pricing/plan/add/", {"key": "AwesomeIntegrationApi"}, follow=True)
    plan = Plan.objects.get()
    assert response.redirect_chain[-1][0] == page(plan)
    assert "Add product item" in text(response)

    response = staff.post(page(plan, "rates/add"), BLOCKS | {"product_item": str(item.pk)}, follow=True)
    assert "5,000 calls free, then $5.00 per started block of 1,000 calls" in text(response)

    response = staff.get(page(plan), {f"q{item.pk}": "12300"})
    (draft,) = response.context["try_panel"].tried[0].sides
    assert draft.total == "$40.00"
    assert [row.detail for row in draft.lines[0].steps] == ["5,000 of 5,000 free", "7,300 calls = 8 blocks x $5.00"]

    assert "There is no active default plan" in text(staff.get(page(plan, "activate")))
    response = staff.post(page(plan, "activate"), {"default_plan": "on"}, follow=True)
    assert 'aria-checked="true"' in text(response)
    plan.refresh_from_db()
    assert (plan.status, plan.is_default) == (Plan.Status.ACTIVE, True)

    staff.post("/admin/meters/customer/add/", {"key": "acme", "name": "Acme"})
    send("acme", "ApiCalls", 12300)
    run_sweep()
    invoice = live_invoice(Customer.objects.get(key="acme"))
    assert "$40.00" in text(staff.get("/admin/meters/customer/"))
    detail = text(staff.get(f"/admin/invoices/invoice/{invoice.pk}/change/"))
    assert "5,000 of 5,000 free" in detail
    assert "7,300 calls = 8 blocks x $5.00" in detail


# --- Plans ---


def test_a_new_plan_has_its_draft(staff: Client) -> None:
    staff.post("/admin/pricing/plan/add/", {"key": "Basic"})
    assert PlanVersion.objects.get().is_draft


def test_a_taken_key_is_refused_beside_the_field(staff: Client) -> None:
    Plan.objects.create(key="Basic")
    response = staff.post("/admin/pricing/plan/add/", {"key": "Basic"})
    assert response.context["adminform"].form.errors["key"] == ["Another plan has this key."]


def test_one_plan_is_the_default(staff: Client) -> None:
    meter = make_meter()
    first, second = make_plan("First", {meter: STORY_RATE}, is_default=True), make_plan("Second", {meter: STORY_RATE})
    staff.post(page(second), {"name": "Two", "default_plan": "on"})
    assert list(Plan.objects.filter(is_default=True)) == [second]
    told = text(staff.post(page(second), {"name": "Two"}, follow=True))
    assert "Two is no longer the default plan: new customers that no rule matches get no plan" in told
    assert not Plan.objects.filter(is_default=True).exists()
    first.refresh_from_db()
    assert not first.is_default


def test_a_draft_takes_the_default_from_no_plan(staff: Client) -> None:
    first = make_plan("First", {make_meter(): STORY_RATE}, is_default=True)
    assert 'name="default_plan"' not in text(staff.get("/admin/pricing/plan/add/"))
    staff.post("/admin/pricing/plan/add/", {"key": "Second", "default_plan": "on"})
    second = Plan.objects.get(key="Second")
    assert 'name="default_plan"' not in text(staff.get(page(second)))
    staff.post(page(second), {"name": "Two", "default_plan": "on"})
    assert list(Plan.objects.filter(is_default=True)) == [first]


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
    first, second = plan.versions.order_by("number")
    (earlier,) = response.context["older"]
    assert (earlier.active_from, earlier.active_to) == (instant(first.activated_at), instant(second.activated_at))
    assert page(plan, "versions/1") in text(response)
    shown = text(staff.get(page(plan, "versions/1")))
    assert "5,000 calls free, then $5.00 per started block of 1,000 calls" in shown
    assert f"active from {instant(first.activated_at)} to {instant(second.activated_at)}" in shown


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
    response = staff.get(page(plan), {f"q{meter.product_item.pk}": "6000"})
    assert [side.total for side in response.context["try_panel"].tried[0].sides] == ["$5.00", "$60.00"]
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


ACTIONS = ["activate", "retire", "draft", "discard", "rates/1/remove"]


@pytest.mark.parametrize("action", ["draft", "follow", "rates/1/take-back", "terms/take-back"])
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
    assert client.get(page(plan, action)).status_code == 403
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
    for number in range(4):
        make_plan(f"Plan{number}", {meter: STORY_RATE}, is_default=number == 0)
    make_customer("acme")
    with django_assert_max_num_queries(8):
        response = staff.get("/admin/pricing/plan/")
    assert [plan.customers for plan in response.context["cl"].result_list] == [1, 0, 0, 0]
