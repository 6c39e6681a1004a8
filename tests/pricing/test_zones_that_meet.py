"""Assignments that follow each other meet at one instant, also where the customer's time zone has changed."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError

from meters.customers import update_customer
from meters.models import Customer, Meter
from pricing.assignments import change_plan, end
from pricing.models import Plan
from tests.factories import make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.plans import ONE_EACH, plan_with

EAST, WEST = "Pacific/Kiritimati", "Pacific/Pago_Pago"
NOW = datetime(2026, 11, 22, 14, 30, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _november(db: None) -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def calls() -> Meter:
    return make_meter()


@pytest.fixture
def plan(calls: Meter) -> Plan:
    return plan_with("Daily", {calls: ONE_EACH}, interval="day")


def move(customer: Customer, zone: str) -> None:
    update_customer(customer, changes={"time_zone": zone})
    customer.refresh_from_db()


@pytest.fixture(params=[(EAST, WEST), (WEST, EAST)], ids=["east-west", "west-east"])
def zones(request: Any) -> tuple[str, str]:
    found: tuple[str, str] = request.param
    return found


def test_one_that_follows_has_the_zone_of_the_one_before(plan: Plan, zones: tuple[str, str]) -> None:
    customer = make_customer(time_zone=zones[0])
    first = put_on(customer, plan, date(2026, 9, 1), date(2026, 10, 1))
    move(customer, zones[1])
    put_on(customer, plan, date(2026, 12, 1))
    assert put_on(customer, plan, date(2026, 10, 1), date(2026, 11, 1)).starts_at == first.ends_at


def test_one_that_leads_up_to_another_has_its_zone(plan: Plan, zones: tuple[str, str]) -> None:
    customer = make_customer(time_zone=zones[0])
    later = put_on(customer, plan, date(2026, 11, 1))
    move(customer, zones[1])
    assert put_on(customer, plan, date(2026, 10, 1), date(2026, 11, 1)).ends_at == later.starts_at


def test_a_gap_between_two_zones_is_not_filled_to_its_last_day(plan: Plan, zones: tuple[str, str]) -> None:
    customer = make_customer(time_zone=zones[0])
    first = put_on(customer, plan, date(2026, 9, 1), date(2026, 10, 1))
    move(customer, zones[1])
    later = put_on(customer, plan, date(2026, 11, 1))
    with pytest.raises(ValidationError, match="midnights of") as error:
        put_on(customer, plan, date(2026, 10, 1), date(2026, 11, 1))
    assert list(error.value.message_dict) == ["plan"]
    between = put_on(customer, plan, date(2026, 10, 1), date(2026, 10, 30))
    assert between.starts_at == first.ends_at
    assert between.ends_at is not None
    assert between.ends_at < later.starts_at


def test_an_end_is_not_moved_to_where_another_zone_begins(plan: Plan, zones: tuple[str, str]) -> None:
    customer = make_customer(time_zone=zones[0])
    old = put_on(customer, plan, date(2026, 11, 1), date(2026, 11, 10))
    move(customer, zones[1])
    put_on(customer, plan, date(2026, 11, 20))
    with pytest.raises(ValidationError, match="midnights of") as error:
        end(old, ends_on=date(2026, 11, 20))
    assert list(error.value.message_dict) == ["ends_on"]
    assert end(old, ends_on=date(2026, 11, 18)).ends_on == date(2026, 11, 18)


def test_days_apart_that_overlap_as_instants_are_refused(plan: Plan) -> None:
    customer = make_customer(time_zone=WEST)
    old = put_on(customer, plan, date(2026, 11, 1), date(2026, 11, 10))
    move(customer, EAST)
    put_on(customer, plan, date(2026, 11, 20))  # begins on the 19th at 10:00 UTC
    with pytest.raises(ValidationError, match="already priced"):
        end(old, ends_on=date(2026, 11, 19))  # at 11:00 UTC


def test_zones_with_the_same_midnights_meet(plan: Plan) -> None:
    customer = make_customer(time_zone="Europe/Oslo")
    old = put_on(customer, plan, date(2026, 11, 1), date(2026, 11, 10))
    move(customer, "Europe/Berlin")
    new = put_on(customer, plan, date(2026, 11, 20))
    assert (old.time_zone, new.time_zone) == ("Europe/Oslo", "Europe/Berlin")
    assert end(old, ends_on=date(2026, 11, 20)).ends_at == new.starts_at


def test_other_product_items_may_end_where_they_like(plan: Plan, zones: tuple[str, str]) -> None:
    other = plan_with("Other", {make_meter("Storage"): ONE_EACH})
    customer = make_customer(time_zone=zones[0])
    put_on(customer, plan, date(2026, 9, 1), date(2026, 10, 1))
    move(customer, zones[1])
    put_on(customer, other, date(2026, 11, 1))
    assert put_on(customer, plan, date(2026, 10, 1), date(2026, 11, 1)).time_zone == zones[0]


def test_each_event_is_on_one_bill_over_a_change_of_plan(calls: Meter, plan: Plan, zones: tuple[str, str]) -> None:
    customer = make_customer("acme", time_zone=zones[0])
    old = put_on(customer, plan, date(2026, 11, 15))
    move(customer, zones[1])
    change_plan(old, plan=plan_with("Other", {calls: ONE_EACH}, interval="day"), when=date(2026, 11, 20))
    for hour in range(48):
        send("acme", "ApiCalls", 1, time=datetime(2026, 11, 19, tzinfo=UTC) + timedelta(hours=hour))
    for _ in range(4):
        run_sweep()
    bills = customer.invoices.exclude(status="void")
    assert sum(line.quantity or 0 for bill in bills for line in bill.lines.filter(kind="usage")) == 48
