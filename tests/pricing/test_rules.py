"""Assignment rules: saving them, and trying them on customers that are there already."""

from datetime import date
from functools import partial
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from pytest_django.fixtures import DjangoAssertNumQueries

from meters.customers import create_customer
from meters.models import Customer, Meter
from pricing.models import Assignment, AssignmentLog, AssignmentRule, Plan
from pricing.plans import retire
from pricing.rules import save_rule, try_rules
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on
from tests.kept import kept
from tests.racing import race

pytestmark = pytest.mark.django_db


@pytest.fixture
@kept()
def basic_plan(db: None) -> Plan:
    return make_plan("Basic", {make_meter(): STORY_RATE})


@pytest.fixture
@kept()
def gold_plan(basic_plan: Plan) -> Plan:
    return make_plan("Gold", {Meter.objects.get(): STORY_RATE})


@pytest.fixture
def plans(basic_plan: Plan, gold_plan: Plan) -> tuple[Plan, Plan]:
    return basic_plan, gold_plan


def test_rules_are_tried_without_any_effect(plans: tuple[Plan, Plan]) -> None:
    basic, gold = plans
    customers = [make_customer(key, traits={"tier": key[:4]}) for key in ("gold1", "gold2", "rest")]
    put_on(customers[1], basic, date(2026, 1, 1))
    save_rule(changes={"plan": gold, "conditions": {"tier": "gold"}})
    before = AssignmentLog.objects.count(), Assignment.objects.count()

    tried = try_rules(customers)
    assert [(one.customer, one.plan, one.current) for one in tried] == [
        (customers[0], gold, []),
        (customers[1], gold, [basic]),
        (customers[2], None, []),
    ]
    Plan.objects.filter(pk=basic.pk).update(is_default=True)
    assert [(one.rule is None, one.plan) for one in try_rules(customers)][2] == (True, basic)
    assert before == (AssignmentLog.objects.count(), Assignment.objects.count())


def test_trying_takes_as_many_queries_for_many_customers(
    plans: tuple[Plan, Plan], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    basic, gold = plans
    for number in range(12):
        put_on(make_customer(f"c{number}", traits={"tier": "gold"}), basic, date(2026, 1, 1))
    save_rule(changes={"plan": gold, "conditions": {"tier": "gold"}})
    customers = list(Customer.objects.all())
    with django_assert_num_queries(4):
        assert {one.plan for one in try_rules(customers)} == {gold}


def test_current_plans_are_those_of_the_customers_own_day(plans: tuple[Plan, Plan]) -> None:
    basic, gold = plans
    with time_machine.travel("2026-03-31T23:30:00Z", tick=False):
        customers = [make_customer("utc"), make_customer("tokyo", time_zone="Asia/Tokyo")]
        for customer in customers:
            put_on(customer, basic, date(2026, 3, 1), date(2026, 4, 1))
            put_on(customer, gold, date(2026, 4, 1))
        assert [one.current for one in try_rules(customers)] == [[basic], [gold]]


@pytest.mark.parametrize(
    ("source", "matches"), [(Customer.Source.API, True), (Customer.Source.ADMIN, False), ("", True)], ids=str
)
def test_a_rule_can_ask_how_a_customer_came(plans: tuple[Plan, Plan], source: str, matches: bool) -> None:
    save_rule(changes={"plan": plans[1], "customer_source": source})
    customer = create_customer(key="acme", source=Customer.Source.API)
    assert customer.assignments.exists() == matches


def test_a_rule_is_saved_with_its_conditions_and_changed(plans: tuple[Plan, Plan]) -> None:
    first = save_rule(changes={"plan": plans[0], "conditions": {" tier ": "gold ", "region": "eu"}})
    second = save_rule(changes={"plan": plans[1]})
    assert (first.position, second.position) == (10, 20)
    assert {row.trait: row.value for row in first.conditions.all()} == {"tier": "gold", "region": "eu"}
    save_rule(first, changes={"enabled": False})
    assert first.conditions.count() == 2
    save_rule(first, changes={"conditions": {"region": "us"}, "position": 30})
    first.refresh_from_db()
    assert (first.position, first.enabled, first.conditions.get().value) == (30, False, "us")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("plan", {"plan": None}),
        ("position", {"position": 10}),
        ("position", {"position": -1}),
        ("customer_source", {"customer_source": "post"}),
        ("conditions", {"conditions": ["tier"]}),
        ("conditions", {"conditions": {"tier": 7}}),
        ("conditions", {"conditions": {"": "x"}}),
        ("conditions", {"conditions": {"tier": "a\0b"}}),
        ("conditions", {"conditions": {"tier": "x" * 201}}),
        ("conditions", {"conditions": {str(number): "x" for number in range(101)}}),
        ("colour", {"colour": "red"}),
    ],
    ids=str,
)
def test_a_bad_one_is_refused_by_field(plans: tuple[Plan, Plan], field: str, changes: dict[str, Any]) -> None:
    save_rule(changes={"plan": plans[0], "position": 10})
    with pytest.raises(ValidationError) as error:
        save_rule(changes={"plan": plans[1]} | changes)
    assert list(error.value.message_dict) == [field]
    assert AssignmentRule.objects.count() == 1


def test_rules_for_retired_and_private_plans_are_passed_over(plans: tuple[Plan, Plan]) -> None:
    basic, gold = plans
    save_rule(changes={"plan": gold})
    save_rule(changes={"plan": basic})
    retire(gold)
    assert [one.plan for one in try_rules([make_customer()])] == [basic]


@pytest.mark.django_db(transaction=True)
def test_rules_that_are_made_at_once_each_have_a_place() -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    assert race(*[partial(save_rule, changes={"plan": plan, "conditions": {"tier": "gold"}})] * 5) == []
    assert sorted(AssignmentRule.objects.values_list("position", flat=True)) == [10, 20, 30, 40, 50]
    (refused,) = race(*[partial(save_rule, changes={"plan": plan, "position": 60})] * 2)
    assert isinstance(refused, ValidationError)
    assert list(refused.message_dict) == ["position"]
