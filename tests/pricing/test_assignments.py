"""Assignments: rules, the default plan, one price for a product item at a time."""

import threading
import time
from datetime import UTC, date, datetime
from functools import partial

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import transaction

from meters.customers import update_customer
from meters.models import Customer
from pricing.assignments import assign, end, onboard
from pricing.models import Assignment, AssignmentRule, Plan
from pricing.plans import activate, draft_version, retire, set_rate
from pricing.rules import save_rule
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, send
from tests.racing import race

TODAY = date(2026, 11, 22)


def rule(plan: Plan, position: int | None = None, **traits: str) -> AssignmentRule:
    made = AssignmentRule.objects.create(plan=plan, **({} if position is None else {"position": position}))
    for trait, value in traits.items():
        made.conditions.create(trait=trait, value=value)
    return made


@pytest.mark.django_db
class TestOnboarding:
    def test_the_first_matching_rule_decides(self) -> None:
        meter = make_meter()
        gold, silver, basic = (
            make_plan("Gold", {meter: STORY_RATE}),
            make_plan("Silver", {meter: STORY_RATE}),
            make_plan("Basic", {meter: STORY_RATE}, is_default=True),
        )
        rule(silver, 20, region="eu")
        decisive = rule(gold, 10, region="eu", tier="gold")
        customers = {
            "a": ({"region": "eu", "tier": "gold"}, gold),
            "b": ({"region": "eu"}, silver),
            "c": ({"region": "us", "tier": "gold"}, basic),
            "d": ({}, basic),
        }
        for key, (traits, plan) in customers.items():
            assert make_customer(key, traits=traits).assignments.get().plan == plan
        assert Assignment.objects.get(customer__key="a").rule == decisive
        assert Assignment.objects.get(customer__key="d").source == Assignment.Source.DEFAULT

    def test_the_log_keeps_the_rule_as_it_was(self) -> None:
        decisive = rule(make_plan("Gold", {make_meter(): STORY_RATE}), 10)
        customer = make_customer("a")
        save_rule(decisive, changes={"position": 30})
        assert customer.assignment_log.get().rule_words == "Rule 10: Gold"
        decisive.delete()
        assert customer.assignment_log.get().rule_words == "Rule 10: Gold"

    def test_disabled_rules_and_plans_that_are_not_active_are_passed_over(self) -> None:
        meter = make_meter()
        old, basic = make_plan("Old", {meter: STORY_RATE}), make_plan("Basic", {meter: STORY_RATE}, is_default=True)
        retire(old)
        rule(old)
        AssignmentRule.objects.create(plan=basic, enabled=False)
        assert make_customer("a").assignments.get().source == Assignment.Source.DEFAULT

    def test_without_a_plan_there_is_none(self) -> None:
        customer = make_customer("a")
        assert not customer.assignments.exists()
        assert customer.onboarded_at is not None

    def test_counts_from_the_start_of_the_customers_own_day(self) -> None:
        make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
        with time_machine.travel("2026-11-22T23:30:00Z", tick=False):
            assert make_customer("utc").assignments.get().starts_on == date(2026, 11, 22)
            assert make_customer("auckland", time_zone="Pacific/Auckland").assignments.get().starts_on == date(
                2026, 11, 23
            )

    def test_of_a_customer_that_its_first_event_discovered(self) -> None:
        plan = make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
        send("newcomer", "ApiCalls")
        customer = Customer.objects.get(key="newcomer")
        assert onboard(customer) is not None
        assert onboard(customer) is None  # once
        assert customer.assignments.get().plan == plan


@pytest.mark.django_db
def test_a_customer_that_staff_put_on_a_plan_first_is_left_there() -> None:
    meter = make_meter()
    make_plan("Basic", {meter: STORY_RATE}, is_default=True)
    send("newcomer", "ApiCalls")
    customer = Customer.objects.get(key="newcomer")
    by_staff = put_on(customer, make_plan("Special", {meter: STORY_RATE}), datetime.now(UTC).date())
    assert onboard(customer) is None
    customer.refresh_from_db()
    assert customer.onboarded_at is not None
    assert customer.assignments.get() == by_staff


@pytest.mark.django_db
class TestOnePriceAtATime:
    def test_a_second_plan_for_the_same_item_is_refused(self) -> None:
        meter, customer = make_meter(), make_customer()
        put_on(customer, make_plan("Basic", {meter: STORY_RATE}), TODAY)
        other = make_plan("Other", {meter: STORY_RATE})
        with pytest.raises(ValidationError, match="already priced by Basic"):
            put_on(customer, other, date(2027, 5, 1))

    def test_plans_for_different_items_run_side_by_side(self) -> None:
        customer = make_customer()
        for key in ("A", "B"):
            put_on(customer, make_plan(f"Plan{key}", {make_meter(key): STORY_RATE}), TODAY)
        assert customer.assignments.count() == 2

    def test_one_ends_and_the_next_begins(self) -> None:
        meter, customer = make_meter(), make_customer()
        first = put_on(customer, make_plan("Basic", {meter: STORY_RATE}), TODAY)
        end(first, ends_on=date(2026, 12, 1))
        put_on(customer, make_plan("Other", {meter: STORY_RATE}), date(2026, 12, 1))
        with pytest.raises(ValidationError, match="not before the start"):
            end(first, ends_on=date(2026, 11, 21))
        with pytest.raises(ValidationError, match="already priced by Other"):
            end(first, ends_on=date(2026, 12, 2))

    @pytest.mark.parametrize("starts_on", [date(1, 1, 1), date(1990, 1, 1), date(2060, 1, 1)], ids=str)
    def test_a_start_that_is_a_slip_is_refused(self, starts_on: date) -> None:
        customer, plan = make_customer(), make_plan("Basic", {make_meter(): STORY_RATE})
        with pytest.raises(ValidationError, match="The start is from"):
            put_on(customer, plan, starts_on)

    def test_the_zone_is_settled_by_the_first_and_kept_by_its_neighbours(self) -> None:
        meter, customer = make_meter(), make_customer(time_zone="Asia/Tokyo")
        first = put_on(customer, make_plan("Basic", {meter: STORY_RATE}), TODAY)
        end(first, ends_on=date(2026, 12, 1))
        update_customer(customer, changes={"time_zone": "America/New_York"})
        plan = make_plan("Other", {meter: STORY_RATE})
        assert put_on(customer, plan, date(2026, 12, 1), date(2026, 12, 5)).time_zone == "Asia/Tokyo"
        assert put_on(customer, plan, date(2027, 2, 1)).time_zone == "America/New_York"

    def test_a_plan_that_is_not_active_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="not active"):
            put_on(make_customer(), Plan.objects.create(key="Draft"), TODAY)


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_assign_one_plan() -> None:
    meter, customer = make_meter(), make_customer()
    plans = [make_plan(f"Plan{number}", {meter: STORY_RATE}) for number in range(4)]
    today = datetime.now(UTC).date()
    refused = race(*(partial(assign, customer=customer, plan=plan, starts_on=today) for plan in plans))
    assert {type(error) for error in refused} == {ValidationError}
    assert (customer.assignments.count(), len(refused)) == (1, 3)


@pytest.mark.django_db(transaction=True)
def test_a_version_is_not_activated_while_a_customer_is_put_on_the_plan() -> None:
    calls, storage = make_meter("ApiCalls"), make_meter("Storage")
    first, second = make_plan("First", {calls: STORY_RATE}), make_plan("Second", {storage: STORY_RATE})
    customer = make_customer()
    today = datetime.now(UTC).date()
    put_on(customer, first, today)
    set_rate(draft_version(second), product_item=calls.product_item, parameters=STORY_RATE)
    assigned = threading.Event()

    def assign_slowly() -> None:
        with transaction.atomic():
            put_on(customer, second, today)
            assigned.set()
            time.sleep(0.5)

    def activate_meanwhile() -> None:
        assigned.wait(10)
        activate(second)

    (refused,) = race(assign_slowly, activate_meanwhile)
    assert "which already prices an item" in str(refused)
