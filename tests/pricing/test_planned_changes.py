"""Quantities that are said while a change of plan is planned are those that the next plan begins with."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from pricing.assignments import change_plan, end, set_quantity
from pricing.models import Assignment, AssignmentLog, Plan
from tests.factories import make_customer, make_meter, put_on, run_sweep
from tests.invoices.plans import FREE, fee, plan_with

pytestmark = pytest.mark.django_db
DECEMBER = date(2026, 12, 1)


@pytest.fixture
def clock(db: None) -> Any:
    with time_machine.travel(datetime(2026, 11, 2, 12, tzinfo=UTC), tick=False) as traveller:
        yield traveller


@pytest.fixture
def plans(clock: Any) -> list[Plan]:
    meter = make_meter()
    return [plan_with(key, {meter: FREE}, fee("seats", "10", unit="seats")) for key in ("One", "Two", "Three")]


@pytest.fixture
def old(plans: list[Plan]) -> Assignment:
    assignment = put_on(make_customer("acme"), plans[0], date(2026, 11, 1))
    seats(assignment, 5, date(2026, 11, 1))
    return assignment


def seats(assignment: Assignment, quantity: int, starts_on: date) -> None:
    set_quantity(assignment, fee_key="seats", quantity=quantity, starts_on=starts_on)


def said(assignment: Assignment) -> dict[date, Decimal]:
    return dict(assignment.quantities.order_by("starts_on").values_list("starts_on", "quantity"))


def test_they_are_on_the_first_bill_of_the_next_plan(old: Assignment, plans: list[Plan], clock: Any) -> None:
    change_plan(old, plan=plans[1], when="period_end")
    clock.move_to(datetime(2026, 11, 20, 12, tzinfo=UTC))
    seats(old, 50, date(2026, 11, 20))
    clock.move_to(datetime(2026, 12, 1, 12, tzinfo=UTC))
    run_sweep()
    run_sweep()
    bill = old.customer.invoices.get(period_start__date=DECEMBER)
    assert [(line.quantity, line.amount) for line in bill.lines.filter(kind="fee")] == [(50, 500)]
    details = (
        AssignmentLog.objects.filter(kind="quantity").order_by("id").values_list("assignment__plan__key", "detail")
    )
    assert list(details)[1:] == [
        ("One", "Seats: 50 seats from 20 Nov 2026"),
        ("Two", "Seats: 50 seats from 1 Dec 2026"),
    ]


def test_the_last_one_before_the_change_counts(old: Assignment, plans: list[Plan]) -> None:
    new = change_plan(old, plan=plans[1], when=DECEMBER)
    seats(old, 50, date(2026, 11, 20))
    seats(old, 40, date(2026, 11, 10))
    assert said(new) == {DECEMBER: 50}
    seats(old, 60, date(2026, 11, 30))
    assert said(new) == {DECEMBER: 60}


def test_what_is_said_of_the_next_plan_itself_stays(old: Assignment, plans: list[Plan]) -> None:
    new = change_plan(old, plan=plans[1], when=DECEMBER)
    seats(new, 100, date(2026, 12, 15))
    seats(old, 50, date(2026, 11, 20))
    assert said(new) == {DECEMBER: 50, date(2026, 12, 15): 100}
    seats(new, 50, DECEMBER)  # as it was taken over, and now said
    seats(old, 60, date(2026, 11, 21))
    assert said(new) == {DECEMBER: 50, date(2026, 12, 15): 100}


def test_one_that_has_begun_keeps_what_it_has(old: Assignment, plans: list[Plan], clock: Any) -> None:
    new = change_plan(old, plan=plans[1], when=DECEMBER)
    clock.move_to(datetime(2026, 12, 1, 12, tzinfo=UTC))
    seats(old, 50, date(2026, 11, 20))
    assert said(new) == {DECEMBER: 5}


def test_a_change_that_was_taken_back_takes_nothing(old: Assignment, plans: list[Plan]) -> None:
    new = change_plan(old, plan=plans[1], when=DECEMBER)
    end(new, ends_on=DECEMBER)
    end(old, ends_on=None)
    seats(old, 50, date(2026, 11, 20))
    assert said(new) == {DECEMBER: 5}
    again = change_plan(old, plan=plans[2], when=DECEMBER)
    seats(old, 60, date(2026, 11, 21))
    assert (said(again), said(new)) == ({DECEMBER: 60}, {DECEMBER: 60})


def test_they_go_through_several_planned_changes(old: Assignment, plans: list[Plan]) -> None:
    new = change_plan(old, plan=plans[1], when=DECEMBER)
    last = change_plan(new, plan=plans[2], when=date(2027, 1, 1))
    instead = change_plan(new, plan=plans[2], when=date(2026, 12, 10))
    seats(old, 50, date(2026, 11, 20))
    assert [said(one) for one in (new, instead, last)] == [
        {DECEMBER: 50},
        {date(2026, 12, 10): 50},
        {date(2027, 1, 1): 50},
    ]


def test_a_change_before_a_planned_one_comes_in_between(old: Assignment, plans: list[Plan]) -> None:
    last = change_plan(old, plan=plans[1], when=DECEMBER)
    between = change_plan(old, plan=plans[2], when=date(2026, 11, 20))
    seats(between, 50, date(2026, 11, 25))
    assert said(last) == {DECEMBER: 50}


def test_a_plan_that_takes_the_place_of_a_planned_one(old: Assignment, plans: list[Plan]) -> None:
    new = change_plan(old, plan=plans[1], when=DECEMBER)
    instead = change_plan(new, plan=plans[2], when=DECEMBER)
    seats(old, 50, date(2026, 11, 20))
    assert said(instead) == {DECEMBER: 50}
