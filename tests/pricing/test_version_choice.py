"""Which version counts for whom: those that move and those that leave customers where they are."""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from meters.models import Customer
from pricing.models import Assignment, Plan, PlanVersion
from pricing.plans import activate, draft_version, set_terms, version_for
from pricing.version_choice import periods_of, running_period, versions_of
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 10, 12, tzinfo=UTC)


def at(days: int) -> datetime:
    return START + timedelta(days=days)


def plan_at_start() -> Plan:
    with time_machine.travel(START, tick=False):
        return make_plan("Basic", {make_meter(): STORY_RATE})


def next_version(plan: Plan, days: int, *, moves: bool) -> PlanVersion:
    with time_machine.travel(at(days), tick=False):
        draft_version(plan)
        return activate(plan, moves_existing=moves)


def joined(plan: Plan, days: int, customer: Customer | None = None, starts_on: date | None = None) -> Assignment:
    with time_machine.travel(at(days), tick=False):
        return put_on(customer or make_customer(f"c{days}"), plan, starts_on or at(days).date())


def numbers(assignment: Assignment, *days: int) -> list[int]:
    found = [version_for(assignment, at(day)) for day in days]
    return [version.number for version in found if version is not None]


def test_a_version_moves_those_on_the_one_before_or_leaves_them() -> None:
    plan = plan_at_start()
    first = joined(plan, 10)
    next_version(plan, 20, moves=False)  # v2
    second = joined(plan, 30)
    next_version(plan, 40, moves=True)  # v3
    next_version(plan, 50, moves=False)  # v4
    third = joined(plan, 60)
    next_version(plan, 70, moves=False)  # v5

    assert numbers(first, 10, 19, 20, 39, 40, 55, 90) == [1, 1, 1, 1, 3, 3, 3]
    assert numbers(second, 30, 39, 40, 90) == [2, 2, 3, 3]
    assert numbers(third, 60, 90) == [4, 4]
    assert [version.number for version in versions_of(first)] == [1, 3]
    assert [version.number for version in versions_of(second)] == [2, 3]
    assert [version.number for version in versions_of(third)] == [4]


def test_periods_before_the_assignment_was_made_have_the_version_of_then() -> None:
    plan = plan_at_start()
    next_version(plan, 20, moves=True)
    backdated = joined(plan, 30, starts_on=date(2025, 6, 1))
    assert numbers(backdated, -200, 0, 10, 25, 40) == [2] * 5


def test_a_plan_without_any_activated_version_has_none() -> None:
    plan = Plan.objects.create(key="Basic")
    draft_version(plan)
    assignment = Assignment(customer=make_customer(), plan=plan, starts_on=date(2026, 1, 1), time_zone="UTC")
    assignment.created_at = START
    assert version_for(assignment, START) is None
    assert list(periods_of(assignment)) == []
    assert running_period(assignment, START) is None


def test_two_versions_of_one_instant_count_by_number() -> None:
    plan = plan_at_start()
    next_version(plan, 5, moves=True)
    next_version(plan, 5, moves=True)
    assert numbers(joined(plan, 5), 5) == [3]


def test_periods_follow_each_other_whatever_cycle_their_version_has() -> None:
    plan = plan_at_start()
    assignment = joined(plan, 0)  # 10 January
    with time_machine.travel(at(45), tick=False):  # 24 February
        set_terms(draft_version(plan), interval="week", alignment="anniversary")
        activate(plan)
    periods = periods_of(assignment)
    days = [next(periods)[0] for _ in range(5)]
    assert [(day.start.date().isoformat(), day.end.date().isoformat()) for day in days] == [
        ("2026-01-10", "2026-02-01"),
        ("2026-02-01", "2026-03-01"),
        # Weeks from the 10th of January: the first one is what is left of the one that March begins in.
        ("2026-03-01", "2026-03-07"),
        ("2026-03-07", "2026-03-14"),
        ("2026-03-14", "2026-03-21"),
    ]
    running = running_period(assignment, datetime(2026, 3, 1, tzinfo=UTC))
    assert running == days[2]
    assert running_period(assignment, datetime(2025, 12, 1, tzinfo=UTC)) == days[0]


def test_the_last_period_ends_with_the_assignment() -> None:
    plan = plan_at_start()
    with time_machine.travel(START, tick=False):
        assignment = put_on(make_customer(), plan, date(2026, 1, 10), date(2026, 2, 20))
    assert [period.end.date() for period, _ in periods_of(assignment)] == [date(2026, 2, 1), date(2026, 2, 20)]
    assert running_period(assignment, datetime(2026, 2, 20, tzinfo=UTC)) is None
