"""Private plans on the staff pages: made of a plan, changed, put to use, following or not."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from meters.models import Customer
from pricing.models import Fee, Plan, Rate
from pricing.plans import activate, active_version, draft_version, set_fee, set_rate, set_terms
from pricing.private_plans import make_private
from tests.factories import STORY_RATE, make_customer, make_meter, put_on
from tests.pricing.pages import faults, text, words

pytestmark = pytest.mark.django_db

CHEAPER = STORY_RATE | {"block_price": "4"}


@pytest.fixture
def base() -> Plan:
    plan = Plan.objects.create(key="Basic")
    draft = draft_version(plan)
    set_rate(draft, product_item=make_meter().product_item, parameters=STORY_RATE)
    set_fee(draft, key="seats", name="Seats", amount="10")
    set_terms(draft, trial_days=14)
    activate(plan)
    return Plan.objects.get()


@pytest.fixture
def acme() -> Customer:
    return make_customer("acme", name="Acme")


@pytest.fixture
def private(base: Plan, acme: Customer) -> Plan:
    return make_private(base, customer=acme)


def page(plan: Plan, action: str = "change") -> str:
    return f"/admin/pricing/plan/{plan.pk}/{action}/"


def draft_row(plan: Plan, kind: type[Rate] | type[Fee]) -> Any:
    return kind.objects.get(plan_version__plan=plan, plan_version__status="draft")


def test_a_private_plan_is_made_of_a_plan(staff: Client, base: Plan, acme: Customer) -> None:
    shown = words(staff.get(page(base)))
    assert "Private plans <span" in shown
    assert page(base, "private") in shown
    response = staff.post(page(base, "private"), {"customer": str(acme.pk), "follows_base": "on"}, follow=True)
    private = Plan.objects.get(base=base)
    assert response.redirect_chain[-1][0] == page(private)
    assert (private.customer, private.follows_base, private.status) == (acme, True, Plan.Status.DRAFT)
    assert "Basic.acme is there: give it the prices that only Acme has, then activate it." in words(response)
    assert "Basic, private plan of Acme" in words(response)
    assert "5,000 calls free, then $5.00" in words(response)
    assert 'name="default_plan"' not in text(response)

    listed = words(staff.get(page(base)))
    assert page(private) in listed
    again = staff.post(page(base, "private"), {"customer": str(acme.pk)})
    assert "has a private plan of Basic already" in faults(again)["customer"][0]
    assert "required" in faults(staff.post(page(base, "private"), {}))["customer"][0]


def test_without_the_tick_it_does_not_follow(staff: Client, base: Plan, acme: Customer) -> None:
    staff.post(page(base, "private"), {"customer": str(acme.pk)})
    private = Plan.objects.get(base=base)
    assert not private.follows_base
    assert "It stays as it is," in words(staff.get(page(private)))


def test_a_plan_that_cannot_have_one_says_why(staff: Client, acme: Customer, private: Plan) -> None:
    fresh = Plan.objects.create(key="Fresh")
    assert "Private plans" not in words(staff.get(page(fresh)))
    asked = staff.post(page(fresh, "private"), {"customer": str(acme.pk)})
    assert "Fresh is not active." in words(asked)
    assert "Make a private plan" not in words(staff.get(page(private)))
    assert "is private itself" in words(staff.post(page(private, "private"), {"customer": str(acme.pk)}))


def test_what_is_changed_is_marked_and_can_be_taken_back(staff: Client, private: Plan) -> None:
    shown = words(staff.get(page(private)))
    assert "Own</span>" not in shown
    assert "Remove<" not in shown  # what the base plan has is priced otherwise here, not removed
    draft = draft_version(private)
    rate, fee = draft_row(private, Rate), draft_row(private, Fee)
    set_rate(draft, product_item=rate.product_item, parameters=CHEAPER)
    staff.post(page(private, f"fees/{fee.pk}"), {"name": "Seats", "kind": "recurring", "amount": "8"})
    staff.post(
        page(private, "terms"),
        {"interval_count": "1", "interval": "month", "alignment": "calendar", "trial_days": "0", "floor": "none"},
    )
    shown = words(staff.get(page(private)))
    assert shown.count("Own</span>") == 3
    assert "<dd>none <span" in shown  # the trial that the base plan has and this one has not

    rate, fee = draft_row(private, Rate), draft_row(private, Fee)
    done = words(staff.post(page(private, f"rates/{rate.pk}/take-back"), follow=True))
    assert "ApiCalls costs in Basic.acme what it costs in Basic." in done
    assert "Seats in Basic.acme is that of Basic." in words(
        staff.post(page(private, f"fees/{fee.pk}/take-back"), follow=True)
    )
    done = words(staff.post(page(private, "terms/take-back"), {"term": ["trial_days"]}, follow=True))
    assert "These terms of Basic.acme are those of Basic." in done
    assert "Own</span>" not in done
    assert draft_row(private, Rate).parameters == STORY_RATE
    assert draft_row(private, Fee).amount == Decimal(10)
    assert draft_version(private).trial_days == 14


def test_what_the_base_plan_lacks_goes_when_it_is_taken_back(staff: Client, private: Plan) -> None:
    set_fee(draft_version(private), key="support", name="Support", amount="5")
    fee = Fee.objects.get(key="support")
    done = words(staff.post(page(private, f"fees/{fee.pk}/take-back"), follow=True))
    assert "Support is no longer in Basic.acme, as in Basic." in done
    assert not Fee.objects.filter(key="support").exists()


def test_what_is_no_own_price_is_not_taken_back(staff: Client, private: Plan, base: Plan) -> None:
    rate = draft_row(private, Rate)
    said = words(staff.post(page(private, f"rates/{rate.pk}/take-back"), follow=True))
    assert "is no price of the customer&#x27;s own" in said
    assert staff.post(page(base, "terms/take-back"), {"term": ["trial_days"]}).status_code == 404  # it has no draft


def test_the_customer_is_put_on_it_by_a_change_of_plan(
    staff: Client, private: Plan, base: Plan, acme: Customer
) -> None:
    assert "Put Acme on it" not in words(staff.get(page(private)))  # a draft
    staff.post(page(private, "activate"))
    anew = f"/admin/pricing/assignment/add/?customer={acme.pk}&amp;plan={private.pk}"
    assert anew in text(staff.get(page(private)))
    assert staff.get(anew.replace("&amp;", "&")).context["adminform"].form.initial["plan"] == str(private.pk)
    assignment = put_on(acme, base, timezone.localdate())
    assert f"/admin/pricing/assignment/{assignment.pk}/change-plan/" in text(staff.get(page(private)))
    other = make_customer("globex")
    staff.post(page(base, "private"), {"customer": str(other.pk)})
    theirs = Plan.objects.get(customer=other)
    staff.post(page(theirs, "activate"))
    put_on(other, theirs, timezone.localdate())
    shown = words(staff.get(page(theirs)))
    assert "Put globex on it" not in shown
    assert "globex is on this plan." in shown


def test_those_who_may_not_assign_are_not_sent_to(colleague: Callable[..., Client], private: Plan) -> None:
    activate(private)
    assert "Put Acme on it" not in words(colleague("view_plan", "change_plan").get(page(private)))


def test_a_new_version_of_the_base_is_told_of_and_made_for_followers(staff: Client, private: Plan, base: Plan) -> None:
    activate(private)
    set_terms(draft_version(base), trial_days=30)
    assert "1 private plan follows and gets a new version too" in words(staff.get(page(base)))
    staff.post(page(base, "activate"), {"existing": "move"})
    assert "30 days" in words(staff.get(page(private)))


def test_following_is_switched_off_and_on(staff: Client, private: Plan, base: Plan) -> None:
    activate(private)
    said = words(staff.post(page(private, "follow"), {"follows": "0"}, follow=True))
    assert "Basic.acme stays as it is, whatever becomes of Basic." in said
    set_terms(draft_version(base), trial_days=30)
    activate(base)
    active = active_version(private)
    assert active is not None
    assert active.trial_days == 14
    said = words(staff.post(page(private, "follow"), {"follows": "1"}, follow=True))
    assert "is brought up to date: v2 counts from the next period" in said
    assert "Basic.acme follows Basic: a new version there" in words(
        staff.post(page(private, "follow"), {"follows": "1"}, follow=True)
    )
    assert "is not a private plan" in words(staff.post(page(base, "follow"), {"follows": "1"}, follow=True))


def test_a_private_plan_keeps_the_currency_of_its_base(staff: Client, private: Plan) -> None:
    assert "currency" not in staff.get(page(private, "terms")).context["form"].fields


def test_plans_are_found_by_whom_they_are_for(staff: Client, private: Plan, base: Plan) -> None:
    for value, found in (("everybody", [base]), ("one", [private]), ("", [base, private])):
        response = staff.get("/admin/pricing/plan/", {"for": value} if value else {})
        assert list(response.context["cl"].result_list) == found
    assert list(staff.get("/admin/pricing/plan/", {"q": "acme"}).context["cl"].result_list) == [private]
    of_base = staff.get("/admin/pricing/plan/", {"base__id__exact": base.pk})
    assert list(of_base.context["cl"].result_list) == [private]
