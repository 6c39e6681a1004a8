"""From when a new customer is charged, and that nobody who goes on in a private plan begins again."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine

from invoices.backtests.prices import prices_of, version_of
from invoices.pricing_of import frozen_version
from meters.models import Customer
from pricing.assignments import MAX_BACK, change_plan, onboard
from pricing.models import Assignment, Plan
from pricing.plans import activate, draft_version, set_fee, set_terms
from pricing.private_plans import make_private
from tests.factories import live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.invoices.plans import ONE_EACH, fee, plan_with

pytestmark = pytest.mark.django_db


def at(day: int, month: int = 11) -> datetime:
    return datetime(2026, month, day, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(at(1), tick=False) as traveller:
        yield traveller


def discovered(key: str, **fields: str) -> Customer:
    """As ingest stores a customer, which a worker takes in later."""
    (customer,) = Customer.objects.bulk_create([Customer(key=key, source=Customer.Source.EVENT, **fields)])
    return customer


class TestNewCustomers:
    @pytest.mark.parametrize("later", [timedelta(seconds=15), timedelta(days=9)])
    def test_what_was_used_before_a_worker_came_is_charged(self, clock: Any, later: timedelta) -> None:
        make_plan("Monthly", {make_meter(): ONE_EACH}, is_default=True)
        clock.move_to(datetime(2026, 11, 12, 23, 59, 50, tzinfo=UTC))
        send("fresh", "ApiCalls", 1000)
        clock.shift(later)
        run_sweep()
        run_sweep()
        assert Assignment.objects.get().starts_on == date(2026, 11, 12)
        assert live_invoice(Customer.objects.get(key="fresh")).total == 1000

    def test_the_day_is_the_customers_own(self, clock: Any) -> None:
        make_plan("Monthly", {make_meter(): ONE_EACH}, is_default=True)
        clock.move_to(datetime(2026, 11, 12, 23, 30, tzinfo=UTC))
        discovered("east", time_zone="Asia/Tokyo")
        discovered("west", time_zone="America/Lima")
        clock.move_to(at(14))
        run_sweep()
        starts = dict(Assignment.objects.values_list("customer__key", "starts_on"))
        assert starts == {"east": date(2026, 11, 13), "west": date(2026, 11, 12)}

    @pytest.mark.parametrize(
        ("came", "starts_on"),
        [(at(1) - timedelta(days=4000), (at(1) - MAX_BACK).date()), (at(5), date(2026, 11, 1))],
        ids=["long ago", "tomorrow"],
    )
    def test_it_is_within_bounds(self, clock: Any, came: datetime, starts_on: date) -> None:
        make_plan("Monthly", {make_meter(): ONE_EACH}, is_default=True)
        customer = discovered("fresh")
        Customer.objects.update(created_at=came)
        assignment = onboard(customer)
        assert assignment is not None
        assert assignment.starts_on == starts_on


class TestPrivatePlansAfterTheTrial:
    @pytest.fixture
    def base(self, clock: Any) -> Plan:
        return plan_with("Base", {make_meter(): ONE_EACH}, fee("setup", "500", kind="one_time"), trial_days=14)

    def bills(self, customer: Customer) -> dict[str, Decimal]:
        """What all bills come to by the name of the line."""
        run_sweep()
        run_sweep()
        found: dict[str, Decimal] = {}
        for bill in customer.invoices.exclude(status="void"):
            for line in bill.lines.all():
                found[line.name] = found.get(line.name, Decimal(0)) + line.amount
        return found

    @pytest.mark.parametrize(
        ("when", "setup", "usage"),
        [(10, 500, 0), (15, 500, 0), (16, 500, 1000), (20, 500, 1000)],
        ids=["in the trial", "at its end", "a day after it", "after it"],
    )
    def test_made_in_the_trial(self, base: Plan, clock: Any, when: int, setup: int, usage: int) -> None:
        customer = make_customer("acme")
        old = put_on(customer, base, date(2026, 11, 1))
        clock.move_to(at(9))
        private = make_private(base, customer=customer)
        activate(private)
        clock.move_to(at(when))
        assert change_plan(old, plan=Plan.objects.get(pk=private.pk), when="now").goes_on is (usage > 0)
        clock.move_to(at(5, month=12))
        send("acme", "ApiCalls", 1000, time=at(22))
        bills = self.bills(customer)
        assert (bills["Setup"], bills["ApiCalls"]) == (setup, usage)

    def test_planned_in_the_trial_for_after_it(self, base: Plan, clock: Any) -> None:
        customer = make_customer("acme")
        old = put_on(customer, base, date(2026, 11, 1))
        private = make_private(base, customer=customer)
        activate(private)
        assert change_plan(old, plan=Plan.objects.get(pk=private.pk), when=date(2026, 12, 1)).goes_on

    def test_what_is_the_customers_own_counts(self, base: Plan, clock: Any) -> None:
        customer = make_customer("acme")
        old = put_on(customer, base, date(2026, 11, 1))
        private = make_private(base, customer=customer)
        set_fee(draft_version(private), key="wiring", name="Wiring", kind="one_time", amount="70")
        set_terms(draft_version(private), trial_days=3)
        activate(private)
        clock.move_to(at(20))
        change_plan(old, plan=Plan.objects.get(pk=private.pk), when=date(2026, 11, 20))
        clock.move_to(at(28))
        send("acme", "ApiCalls", 10, time=at(22))
        send("acme", "ApiCalls", 100, time=at(24))
        assert self.bills(customer) == {"ApiCalls": 100, "Setup": 500, "Wiring": 70}

    def test_one_made_after_the_trial_says_itself_what_begins_again(self, base: Plan, clock: Any) -> None:
        customer = make_customer("acme")
        old = put_on(customer, base, date(2026, 11, 1))
        clock.move_to(at(20))
        private = make_private(base, customer=customer)
        set_fee(draft_version(private), key="setup", name="Setup", kind="one_time", amount="500")
        activate(private)
        assert not change_plan(old, plan=Plan.objects.get(pk=private.pk), when="now").goes_on
        assert self.bills(customer)["Setup"] == 1000

    def test_a_customer_that_was_never_on_the_base_begins(self, base: Plan, clock: Any) -> None:
        customer = make_customer("acme")
        private = make_private(base, customer=customer)
        activate(private)
        assert not put_on(customer, Plan.objects.get(pk=private.pk), date(2026, 11, 1)).goes_on

    def test_prices_that_are_tried_know_what_is_the_customers_own(self, base: Plan, clock: Any) -> None:
        private = make_private(base, customer=make_customer("acme"))
        set_fee(draft_version(private), key="wiring", name="Wiring", kind="one_time", amount="70")
        version = activate(private)
        tried = version_of(prices_of(frozen_version(version.pk)), version)
        assert {one.key: one.is_override for one in tried.fees} == {"setup": False, "wiring": True}
