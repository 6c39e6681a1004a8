"""What the page of a plan asks before it does what no click takes back."""

import pytest
from django.test import Client

from invoices.models import Backtest
from pricing.models import AssignmentRule, Plan, PlanVersion
from pricing.plans import activate, draft_version, set_fee, set_rate
from pricing.private_plans import make_private
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan
from tests.pricing.pages import words

pytestmark = pytest.mark.django_db


def page(plan: Plan, action: str = "change") -> str:
    return f"/admin/pricing/plan/{plan.pk}/{action}/"


def test_retiring_names_what_breaks(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    AssignmentRule.objects.create(plan=plan, position=10)
    AssignmentRule.objects.create(plan=plan, position=20, enabled=False)
    make_customer("acme")
    shown = words(staff.get(page(plan, "retire")))
    assert "Retire Basic?" in shown
    assert "It is the default plan, and no longer will be: new customers that no rule matches get no plan" in shown
    assert "Rule 10 names it and is passed over from then on." in shown
    assert "1 customer is on it, stays and goes on being billed." in shown
    plan.refresh_from_db()
    assert plan.status == Plan.Status.ACTIVE
    assert "1 customer that is on it stays." in words(staff.post(page(plan, "retire"), follow=True))
    asked = words(staff.get(page(plan, "retire"), follow=True))
    assert "Only an active plan can be retired." in asked


def test_taking_a_plan_back_says_that_it_is_not_the_default(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    staff.post(page(plan, "retire"))
    shown = words(staff.get(page(plan, "activate")))
    assert "Take Basic back into use?" in shown
    assert "There is no active default plan" in shown
    done = words(staff.post(page(plan, "activate"), follow=True))
    assert "Basic v1 is active: Basic is back in use. It is not the default plan." in done
    staff.post(page(plan, "retire"))
    done = words(staff.post(page(plan, "activate"), {"default_plan": "on"}, follow=True))
    assert "It is the default plan." in done
    plan.refresh_from_db()
    assert plan.is_default


def test_discarding_names_the_backtests_that_go_with_the_draft(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    draft = draft_version(plan)
    set_fee(draft, key="seats", name="Seats", amount=5)
    Backtest.objects.create(plan=plan, version=draft, periods=3)
    shown = words(staff.get(page(plan, "discard")))
    assert "Discard the draft v2?" in shown
    assert "1 backtest of the draft goes with it, with all that it found." in shown
    assert "Seats: $5.00, every period" in shown
    assert PlanVersion.objects.filter(pk=draft.pk).exists()


def test_removing_says_what_is_left(staff: Client) -> None:
    meter = make_meter()
    plan = make_plan("Basic", {meter: STORY_RATE})
    draft = draft_version(plan)
    fee = set_fee(draft, key="seats", name="Seats", amount=5)
    rate = draft.rates.get()
    shown = words(staff.get(page(plan, f"rates/{rate.pk}/remove")))
    assert "Usage of ApiCalls has no price in v2 then, and costs nothing." in shown
    part = set_rate(draft, product_item=meter.product_item, parameters=STORY_RATE, where={"source": ["crm"]})
    shown = words(staff.get(page(plan, f"rates/{part.pk}/remove")))
    assert "The usage that it priced takes the price of ApiCalls that fits it then" in shown
    assert "$5.00, every period" in words(staff.get(page(plan, f"fees/{fee.pk}/remove")))
    assert (draft.rates.count(), draft.fees.count()) == (2, 1)


def test_activating_shows_what_changes_and_which_private_plans_follow(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    activate(make_private(plan, customer=make_customer("acme", name="Acme")))
    draft = draft_version(plan)
    same = words(staff.get(page(plan, "activate")))
    assert "v2 says what v1 says: no price changes." in same
    set_fee(draft, key="seats", name="Seats", amount=5)
    shown = words(staff.get(page(plan, "activate")))
    assert "Seats: $5.00, every period" in shown
    assert "1 private plan follows, and gets a new version too, with the same choice: of Acme." in shown
    assert draft_version(plan) == draft


def test_activating_what_says_the_same_is_told(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    draft_version(plan)
    done = words(staff.post(page(plan, "activate"), follow=True))
    assert "Basic v2 is active. It says what v1 said: no price changes." in done
    assert "Activated by staff." in done


def test_the_notice_of_a_missing_default_plan(staff: Client) -> None:
    notice = "There is no active default plan."
    for path in ("/admin/", "/admin/pricing/plan/"):
        assert notice not in words(staff.get(path))
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    for path in ("/admin/", "/admin/pricing/plan/", "/admin/pricing/assignmentrule/"):
        assert notice in words(staff.get(path))
    rule = AssignmentRule.objects.create(plan=plan, position=10)
    assert notice not in words(staff.get("/admin/"))
    rule.conditions.create(trait="tier", value="gold")
    assert notice in words(staff.get("/admin/"))
    staff.post(page(plan), {"name": "", "default_plan": "on"})
    assert notice not in words(staff.get("/admin/"))
    draft = Plan.objects.create(key="Pro")
    Plan.objects.filter(pk=plan.pk).update(is_default=False)
    Plan.objects.filter(pk=draft.pk).update(is_default=True)
    assert "Pro</a> is the default and is not active." in words(staff.get("/admin/pricing/plan/"))
