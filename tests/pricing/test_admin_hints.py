"""What the pages of plans say beside what is asked: hints, marks, and what was done where the page lands."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from pricing.models import AssignmentRule, Plan, ProductItem
from pricing.plans import draft_version, set_fee, set_terms
from pricing.private_plans import make_private
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on
from tests.pricing.pages import words

pytestmark = pytest.mark.django_db

NO_ROWS = {f"{rows}-{kind}_FORMS": "0" for rows in ("tiers", "where") for kind in ("TOTAL", "INITIAL")}


def page(plan: Plan, action: str = "change") -> str:
    return f"/admin/pricing/plan/{plan.pk}/{action}/"


def price(staff: Client, plan: Plan, item: ProductItem, **typed: str) -> str:
    return words(staff.post(page(plan, "rates/add"), NO_ROWS | {"product_item": str(item.pk)} | typed, follow=True))


def test_what_was_saved_is_told_at_the_draft(staff: Client) -> None:
    plan = Plan.objects.create(key="Basic")
    draft_version(plan)
    shown = price(staff, plan, make_meter().product_item, model="per_unit", unit_price="1")
    told = shown.split('id="draft"')[1]
    assert '<p class="told" role="status">ApiCalls in Basic v1: $1.00 per call.</p>' in told.replace("calls", "call")
    assert "messagelist" not in told


def test_a_percentage_of_what_is_no_money_is_hinted_at(staff: Client) -> None:
    plan = Plan.objects.create(key="Basic")
    draft_version(plan)
    shown = price(staff, plan, make_meter().product_item, model="percentage", rate_percent="2")
    assert "A percentage is taken of an amount of money, and ApiCalls is measured in calls: each unit counts" in shown
    shown = price(staff, plan, make_meter("Volume", unit="usd").product_item, model="percentage", rate_percent="2")
    assert "A percentage is taken of" not in shown


def test_the_price_form_says_whose_the_dimensions_are(staff: Client) -> None:
    plan = Plan.objects.create(key="Basic")
    draft_version(plan)
    make_meter()
    assert "Dimensions of" not in words(staff.get(page(plan, "rates/add")))
    make_meter("Storage", dimensions=["region"])
    shown = words(staff.get(page(plan, "rates/add")))
    assert "Dimensions of <strong>ApiCalls</strong>: source, target; <strong>Storage</strong>: region." in shown


def test_an_empty_second_tier_begins_nowhere_yet(staff: Client) -> None:
    plan = Plan.objects.create(key="Basic")
    draft_version(plan)
    make_meter()
    lower = [lower for lower, _ in staff.get(page(plan, "rates/add")).context["tiers"]]
    assert lower == ["0", ""]


def test_a_private_plan_is_told_from_its_base(staff: Client) -> None:
    base = make_plan("Basic", {make_meter(): STORY_RATE}, name="Story plan")
    private = make_private(base, customer=make_customer("nora", name="Nora Networks"))
    assert (str(private), private.public_name) == ("Story plan (Nora Networks)", "Story plan")
    assert "<h1>Change plan</h1> <h2>Story plan, private plan of Nora Networks</h2>" in words(staff.get(page(private)))


def test_what_is_left_out_of_a_beginning_says_why(staff: Client) -> None:
    plan = Plan.objects.create(key="Basic")
    draft = draft_version(plan)
    set_fee(draft, key="setup", name="Setup", kind="one_time", amount=99)
    set_terms(draft, trial_days=3)
    staff.post(page(plan, "activate"))
    acme, new = make_customer("acme"), make_customer("new")
    put_on(acme, plan, timezone.localdate() - timedelta(days=30))
    left_out = words(staff.get(page(make_private(plan, customer=acme))))
    assert left_out.count("left out: the customer is past its beginning") == 2
    assert "left out" not in words(staff.get(page(make_private(plan, customer=new))))


def test_the_lists_say_which_plan_counts(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    draft = Plan.objects.create(key="Later")
    AssignmentRule.objects.create(plan=plan, position=10)
    AssignmentRule.objects.create(plan=draft, position=20)
    listed = words(staff.get("/admin/pricing/assignmentrule/"))
    assert listed.count("the rule is passed over") == 1
    assert "draft: the rule is passed over" in listed
    listed = words(staff.get("/admin/pricing/plan/"))
    assert '<td class="field-default_words">Yes</td>' in listed
    assert '<td class="field-default_words">No</td>' in listed
    assert "icon-no" not in listed
