"""The staff pages of assignment rules: their order, and trying them on the customers there are."""

from typing import Any

import pytest
from django.test import Client

from meters.models import Customer
from pricing.models import Assignment, AssignmentLog, AssignmentRule, Plan
from pricing.plans import activate
from pricing.private_plans import make_private
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan
from tests.pricing.pages import faults, text, words

pytestmark = pytest.mark.django_db

LIST = "/admin/pricing/assignmentrule/"
ADD = f"{LIST}add/"
TRY = f"{LIST}try/"
NO_CONDITIONS = {"conditions-TOTAL_FORMS": "0", "conditions-INITIAL_FORMS": "0"}


@pytest.fixture
def plan(db: None) -> Plan:
    return make_plan("Basic", {make_meter(): STORY_RATE})


def rule(plan: Plan, position: int, source: str = "", **traits: str) -> AssignmentRule:
    made = AssignmentRule.objects.create(plan=plan, position=position, customer_source=source)
    for trait, value in traits.items():
        made.conditions.create(trait=trait, value=value)
    return made


def test_a_rule_gives_new_customers_their_plan(staff: Client, plan: Plan) -> None:
    response = staff.post(
        ADD,
        {
            "position": "10",
            "plan": str(plan.pk),
            "customer_source": "admin",
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
    make_customer("initech", traits={"product": "integration"})  # by API
    assignment = Assignment.objects.get()
    assert assignment.customer.key == "acme"
    assert assignment.rule == AssignmentRule.objects.get()
    assert "signed up by Admin and product = integration" in text(staff.get(LIST))


def test_a_new_rule_comes_behind_the_others(staff: Client, plan: Plan) -> None:
    rule(plan, 30)
    assert 'name="position" value="40"' in text(staff.get(ADD))
    response = staff.post(ADD, {"position": "30", "plan": str(plan.pk)} | NO_CONDITIONS)
    assert "already exists" in faults(response, "adminform")["position"][0]


def test_a_private_plan_is_no_plan_of_a_rule(staff: Client, plan: Plan) -> None:
    private = make_private(plan, customer=make_customer("acme"))
    activate(private)
    response = staff.post(ADD, {"position": "10", "plan": str(private.pk)} | NO_CONDITIONS)
    assert list(faults(response, "adminform")) == ["plan"]


def test_the_same_trait_twice_is_refused(staff: Client, plan: Plan) -> None:
    twice = {"conditions-TOTAL_FORMS": "2", "conditions-INITIAL_FORMS": "0"}
    for row, value in enumerate(("de", "fr")):
        twice |= {f"conditions-{row}-trait": "country", f"conditions-{row}-value": value}
    response = staff.post(ADD, {"position": "10", "plan": str(plan.pk)} | twice)
    assert "Please correct the duplicate" in text(response)
    assert not AssignmentRule.objects.exists()


# --- Their order ---


def positions() -> dict[str, int]:
    return {str(rule.conditions.get()): rule.position for rule in AssignmentRule.objects.all()}


def test_rules_change_places(staff: Client, plan: Plan) -> None:
    first, second = rule(plan, 10, a="1"), rule(plan, 20, b="2")
    rule(plan, 25, c="3")
    response = staff.post(f"{LIST}{second.pk}/move/up/", follow=True)
    assert response.redirect_chain == [(LIST, 302)]
    assert positions() == {"b is 2": 10, "a is 1": 20, "c is 3": 25}
    staff.post(f"{LIST}{first.pk}/move/down/")
    assert positions() == {"b is 2": 10, "c is 3": 20, "a is 1": 25}
    staff.post(f"{LIST}{first.pk}/move/down/")  # it is the last one
    assert positions() == {"b is 2": 10, "c is 3": 20, "a is 1": 25}


def test_moves_are_posted_by_who_may_change(staff: Client, colleague: Any, plan: Plan) -> None:
    made = rule(plan, 10, a="1")
    shown = text(staff.get(LIST))
    assert "Later: Rule 10: Basic" not in shown  # there is nothing to move among
    rule(plan, 20, a="2")
    shown = text(staff.get(LIST))
    assert "Later: Rule 10: Basic" in shown
    assert "Earlier: Rule 10: Basic" not in shown
    assert "Earlier: Rule 20: Basic" in shown
    assert "Later: Rule 20: Basic" not in shown
    assert staff.get(f"{LIST}{made.pk}/move/up/").status_code == 405
    assert staff.post(f"{LIST}{made.pk}/move/sideways/").status_code == 405
    assert staff.post(f"{LIST}999999/move/up/").status_code == 404
    viewer = colleague("view_assignmentrule")
    assert "Later: Rule 10: Basic" not in text(viewer.get(LIST))
    assert viewer.post(f"{LIST}{made.pk}/move/up/").status_code == 403


# --- Trying them ---


@pytest.fixture
def customers(plan: Plan) -> list[Customer]:
    """Two that have what the rules give them now, one that has another plan and one that has none."""
    made = [make_customer("none"), make_customer("other", traits={"country": "de"})]
    other = make_plan("Other", {make_meter("Storage"): STORY_RATE})
    Assignment.objects.create(customer=made[1], plan=other, time_zone="UTC", starts_on="2026-01-01")
    rule(plan, 20, country="de")
    return [*made, make_customer("same", traits={"country": "de"}), make_customer("nothing", traits={"country": "fr"})]


def test_rules_are_tried_without_effect(staff: Client, plan: Plan, customers: list[Customer]) -> None:
    rule(plan, 10, "event")
    before = list(Assignment.objects.values()), list(AssignmentLog.objects.values())
    response = staff.get(TRY)
    shown = words(response)
    assert [(row.customer.key, row.by, row.is_different) for row in response.context["rows"]] == [
        ("nothing", "Nothing fits", False),
        ("same", "Rule 20", False),
        ("other", "Rule 20", True),
        ("none", "Nothing fits", False),
    ]
    assert [(outcome.name, outcome.count) for outcome in response.context["outcomes"]] == [
        ("Rule 10: signed up by First event", 0),
        ("Rule 20: country = de", 2),
        ("No rule and no default plan", 2),
    ]
    assert "1 would get another plan than it has." in shown
    assert (list(Assignment.objects.values()), list(AssignmentLog.objects.values())) == before


def test_rules_are_tried_on_who_is_searched_for(staff: Client, customers: list[Customer]) -> None:
    def keys(**query: str) -> list[str]:
        return [row.customer.key for row in staff.get(TRY, query).context["rows"]]

    assert keys(customer="OTHER") == ["other"]
    assert keys(show="different") == ["other"]
    assert keys(customer="no", show="different") == []
    assert "Nobody would get another plan." in text(staff.get(TRY, {"customer": "no", "show": "different"}))
    assert "No customer matches." in text(staff.get(TRY, {"customer": "nobody"}))
    assert staff.get(TRY, {"customer": "a\0b", "show": "some"}).status_code == 200


def test_a_rule_is_tried_before_it_is_switched_on(staff: Client, plan: Plan, customers: list[Customer]) -> None:
    AssignmentRule.objects.update(enabled=False)
    off = staff.get(TRY)
    assert {row.by for row in off.context["rows"]} == {"Nothing fits"}
    on = staff.get(TRY, {"off": "on"})
    assert [row.customer.key for row in on.context["rows"] if row.by == "Rule 20"] == ["same", "other"]
    assert [(outcome.name, outcome.count) for outcome in on.context["outcomes"]] == [
        ("Rule 20: country = de", 2),
        ("No rule and no default plan", 2),
    ]
    assert not AssignmentRule.objects.filter(enabled=True).exists()


def test_who_has_a_private_plan_of_the_plan_has_it(staff: Client, plan: Plan) -> None:
    rule(plan, 10)
    customer = make_customer("acme")
    private = make_private(plan, customer=customer)
    Assignment.objects.filter(customer=customer).update(plan=private)
    assert not staff.get(TRY).context["rows"][0].is_different


def test_trying_asks_as_often_for_many_as_for_one(
    staff: Client, plan: Plan, django_assert_max_num_queries: Any
) -> None:
    rule(plan, 10, country="de")
    for number in range(12):
        make_customer(f"c{number}", traits={"country": "de"})
    with django_assert_max_num_queries(12):
        response = staff.get(TRY)
    assert len(response.context["rows"]) == 12


def test_trying_needs_permission_to_see_customers(colleague: Any) -> None:
    assert colleague("view_assignmentrule").get(TRY).status_code == 403
    seeing = colleague("view_assignmentrule", "view_customer", "view_assignment")
    assert seeing.get(TRY).status_code == 200
