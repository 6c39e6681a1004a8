"""One price for a product item at a time, across versions that move and versions that leave customers."""

import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import transaction

from meters.models import Meter
from pricing.assignments import assign, change_plan, end
from pricing.models import Assignment, Plan
from pricing.plans import activate, draft_version, remove_rate, set_rate, set_terms
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on
from tests.racing import race

TODAY = datetime.now(UTC).date()


def add_item(plan: Plan, meter: Meter) -> None:
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=STORY_RATE)


def drop_item(plan: Plan, meter: Meter) -> None:
    remove_rate(draft_version(plan).rates.get(product_item__meter=meter))


@pytest.fixture
def calls(db: None) -> Meter:
    return make_meter("ApiCalls")


@pytest.fixture
def storage(db: None) -> Meter:
    return make_meter("Storage")


class TestVersionsThatStay:
    def test_what_a_customer_does_not_get_may_be_priced_elsewhere(self, calls: Meter, storage: Meter) -> None:
        first, second = make_plan("First", {calls: STORY_RATE}), make_plan("Second", {storage: STORY_RATE})
        customer = make_customer()
        put_on(customer, first, TODAY)
        add_item(first, storage)
        activate(first, moves_existing=False)
        put_on(customer, second, TODAY)
        # A later version that moves the customer would price it twice.
        set_terms(draft_version(first), trial_days=7)
        with pytest.raises(ValidationError, match="is on Second too") as error:
            activate(first)
        assert list(error.value.message_dict) == ["product_item"]
        assert activate(first, moves_existing=False).number == 3

    def test_what_a_customer_keeps_is_still_priced(self, calls: Meter, storage: Meter) -> None:
        first = make_plan("First", {calls: STORY_RATE, storage: STORY_RATE})
        second = make_plan("Second", {storage: STORY_RATE})
        customer, newcomer = make_customer("acme"), make_customer("newcomer")
        put_on(customer, first, TODAY)
        drop_item(first, storage)
        activate(first, moves_existing=False)
        put_on(newcomer, first, TODAY)
        with pytest.raises(ValidationError, match="Storage is already priced by First"):
            put_on(customer, second, TODAY + timedelta(days=800))
        assert put_on(newcomer, second, TODAY).plan == second


class TestVersionsThatMove:
    def test_the_running_period_still_has_the_item(self, calls: Meter, storage: Meter) -> None:
        with time_machine.travel("2026-03-10T12:00:00Z", tick=False):
            first = make_plan("First", {calls: STORY_RATE, storage: STORY_RATE})
            second = make_plan("Second", {storage: STORY_RATE})
            customer = make_customer()
            put_on(customer, first, date(2026, 3, 10))
        with time_machine.travel("2026-03-12T12:00:00Z", tick=False):
            drop_item(first, storage)
            activate(first)
            with pytest.raises(ValidationError, match="Storage is already priced by First"):
                put_on(customer, second, date(2026, 3, 31))
            assert put_on(customer, second, date(2026, 4, 1)).plan == second

    def test_a_long_period_has_it_for_long(self, calls: Meter, storage: Meter) -> None:
        with time_machine.travel("2026-03-10T12:00:00Z", tick=False):
            first = make_plan("First", {calls: STORY_RATE})
            add_item(first, storage)
            set_terms(draft_version(first), interval="year", alignment="anniversary")
            activate(first)
            second = make_plan("Second", {storage: STORY_RATE})
            customer = make_customer()
            put_on(customer, first, date(2026, 1, 20))
        with time_machine.travel("2026-12-10T12:00:00Z", tick=False):
            drop_item(first, storage)
            activate(first)
            with pytest.raises(ValidationError, match="Storage is already priced by First"):
                put_on(customer, second, date(2027, 1, 19))
            assert put_on(customer, second, date(2027, 1, 20)).plan == second

    def test_a_version_that_came_before_the_first_day_never_counted(self, calls: Meter, storage: Meter) -> None:
        first = make_plan("First", {calls: STORY_RATE, storage: STORY_RATE})
        customer = make_customer()
        put_on(customer, first, TODAY + timedelta(days=60))
        drop_item(first, storage)
        activate(first)
        assert put_on(customer, make_plan("Second", {storage: STORY_RATE}), TODAY)

    @pytest.mark.parametrize("own_ends", [True, False])
    def test_assignments_that_do_not_meet_are_no_hindrance(self, calls: Meter, storage: Meter, own_ends: bool) -> None:
        first, second = make_plan("First", {calls: STORY_RATE}), make_plan("Second", {storage: STORY_RATE})
        customer = make_customer()
        soon = TODAY + timedelta(days=40)
        one, other = (first, second) if own_ends else (second, first)
        put_on(customer, one, TODAY, soon)
        put_on(customer, other, soon)
        add_item(first, storage)
        assert activate(first).number == 2
        Assignment.objects.filter(plan=one).update(ends_on=soon + timedelta(days=1))
        set_terms(draft_version(first), trial_days=3)
        with pytest.raises(ValidationError, match="is on Second too"):
            activate(first)


def test_an_end_is_not_moved_into_what_another_plan_prices(calls: Meter) -> None:
    customer = make_customer()
    first = put_on(customer, make_plan("First", {calls: STORY_RATE}), TODAY, TODAY + timedelta(days=10))
    put_on(customer, make_plan("Second", {calls: STORY_RATE}), TODAY + timedelta(days=10))
    for ends_on in (TODAY + timedelta(days=11), None):
        with pytest.raises(ValidationError) as error:
            end(first, ends_on=ends_on)
        assert list(error.value.message_dict) == ["ends_on"]
    assert end(first, ends_on=TODAY + timedelta(days=5)).ends_on == TODAY + timedelta(days=5)


def priced_twice(customer_key: str = "acme") -> bool:
    """Whether some day has two prices for the item that all of these plans have."""
    days: set[date] = set()
    for assignment in Assignment.objects.filter(customer__key=customer_key):
        last = assignment.ends_on or assignment.starts_on + timedelta(days=100)
        own = {assignment.starts_on + timedelta(days=n) for n in range((last - assignment.starts_on).days)}
        if own & days:
            return True
        days |= own
    return False


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_two_versions_that_add_the_same_item(self) -> None:
        calls, storage, mails = make_meter("ApiCalls"), make_meter("Storage"), make_meter("Mails")
        first, second = make_plan("First", {calls: STORY_RATE}), make_plan("Second", {storage: STORY_RATE})
        customer = make_customer()
        for plan in (first, second):
            put_on(customer, plan, TODAY)
            add_item(plan, mails)
        (refused,) = race(partial(activate, first), partial(activate, second))
        assert "which already prices an item" in str(refused)

    def test_a_version_that_adds_what_a_customer_is_getting_elsewhere(self) -> None:
        calls, storage = make_meter("ApiCalls"), make_meter("Storage")
        first, second = make_plan("First", {calls: STORY_RATE}), make_plan("Second", {storage: STORY_RATE})
        customer = make_customer()
        put_on(customer, first, TODAY)
        add_item(first, storage)
        refused = race(partial(activate, first), partial(assign, customer=customer, plan=second, starts_on=TODAY))
        assert [type(error) for error in refused] == [ValidationError]

    def test_many_changes_of_plan(self) -> None:
        calls, customer = make_meter(), make_customer()
        plans = [make_plan(f"Plan{number}", {calls: STORY_RATE}) for number in range(4)]
        assignment = put_on(customer, plans[0], TODAY - timedelta(days=3))
        jobs: list[Callable[[], object]] = [
            partial(change_plan, assignment, plan=plan, when=when)
            for plan, when in zip(plans[1:], ["now", TODAY + timedelta(days=5), "period_end"], strict=True)
        ]
        refused = race(*jobs, partial(assign, customer=customer, plan=plans[1], starts_on=TODAY))
        assert {type(error) for error in refused} == {ValidationError}
        assert not priced_twice()

    def test_an_end_that_moves_while_the_next_plan_begins(self) -> None:
        calls, customer = make_meter(), make_customer()
        first, second = (make_plan(key, {calls: STORY_RATE}) for key in ("First", "Second"))
        soon = TODAY + timedelta(days=10)
        assignment = put_on(customer, first, TODAY, soon)
        refused = race(
            partial(end, assignment, ends_on=None), partial(assign, customer=customer, plan=second, starts_on=soon)
        )
        assert [type(error) for error in refused] == [ValidationError]
        assert not priced_twice()

    def test_editing_a_draft_waits_for_its_activation(self) -> None:
        calls = make_meter()
        plan = make_plan("First", {calls: STORY_RATE})
        draft = draft_version(plan)
        activated = threading.Event()
        cheaper = {"model": "per_unit", "unit_price": "0"}

        def activate_slowly() -> None:
            with transaction.atomic():
                activate(plan)
                activated.set()

        def edit() -> None:
            activated.wait(10)
            set_rate(draft, product_item=calls.product_item, parameters=cheaper)

        (refused,) = race(activate_slowly, edit)
        assert "frozen" in str(refused)
        assert draft.rates.get().parameters == STORY_RATE
