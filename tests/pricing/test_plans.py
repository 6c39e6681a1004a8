"""Plans: drafts are edited, activating freezes; product items follow meters."""

from datetime import date
from functools import partial

import pytest
from django.core.exceptions import ValidationError

from pricing.models import Assignment, Plan, PlanVersion, ProductItem
from pricing.plans import (
    activate,
    active_version,
    discard_draft,
    draft_version,
    remove_rate,
    retire,
    set_default,
    set_rate,
)
from pricing.private_plans import make_private
from pricing.rates import RateError
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on
from tests.racing import race

pytestmark = pytest.mark.django_db


class TestProductItems:
    def test_appear_once_with_a_billed_meter(self) -> None:
        meter = make_meter("ApiCalls", name="API calls")
        assert meter.product_item.name == "API calls"
        meter.save()
        assert ProductItem.objects.count() == 1

    def test_do_not_appear_with_another_meter(self) -> None:
        make_meter("Debug", used_for_billing=False)
        assert not ProductItem.objects.exists()

    def test_keep_the_name_they_were_given(self) -> None:
        meter = make_meter("ApiCalls")
        ProductItem.objects.update(name="Calls of our API")
        meter.save()
        assert ProductItem.objects.get().name == "Calls of our API"

    def test_are_retired_and_come_back(self) -> None:
        meter = make_meter("ApiCalls")
        item = meter.product_item
        for billed in (False, True):
            meter.used_for_billing = billed
            meter.save()
            assert (ProductItem.objects.get().retired_at is None) == billed
        assert ProductItem.objects.get() == item

    def test_a_retired_one_takes_no_new_price(self) -> None:
        meter = make_meter("ApiCalls")
        meter.used_for_billing = False
        meter.save()
        draft = draft_version(Plan.objects.create(key="Basic"))
        with pytest.raises(ValidationError, match="retired"):
            set_rate(draft, product_item=ProductItem.objects.get(), parameters=STORY_RATE)


class TestVersions:
    def test_activating_freezes(self) -> None:
        meter = make_meter()
        plan = make_plan("Basic", {meter: STORY_RATE})
        version = active_version(plan)
        assert version is not None
        assert version.activated_at is not None
        with pytest.raises(ValidationError, match="frozen"):
            set_rate(version, product_item=meter.product_item, parameters=STORY_RATE)
        with pytest.raises(ValidationError, match="frozen"):
            remove_rate(version.rates.get())
        assert version.rates.get().parameters == STORY_RATE

    def test_a_new_draft_begins_with_the_prices_there_are(self) -> None:
        meter = make_meter()
        plan = make_plan("Basic", {meter: STORY_RATE})
        draft = draft_version(plan)
        assert (draft.number, draft.rates.get().parameters) == (2, STORY_RATE)
        assert draft_version(plan) == draft

        set_rate(draft, product_item=meter.product_item, parameters={"model": "per_unit", "unit_price": "0.01"})
        first = active_version(plan)
        activate(plan)
        assert active_version(plan) == draft
        first.refresh_from_db()
        assert (first.status, first.rates.get().parameters) == (PlanVersion.Status.SUPERSEDED, STORY_RATE)

    def test_a_version_cannot_add_what_another_plan_of_a_customer_prices(self) -> None:
        calls, storage = make_meter("ApiCalls"), make_meter("Storage")
        first, second = make_plan("First", {calls: STORY_RATE}), make_plan("Second", {storage: STORY_RATE})
        customer = make_customer("acme")
        today = date(2026, 11, 22)
        put_on(customer, first, today)
        other = put_on(customer, second, today)
        set_rate(draft_version(first), product_item=storage.product_item, parameters=STORY_RATE)
        with pytest.raises(ValidationError, match="acme is on Second too"):
            activate(first)
        Assignment.objects.filter(pk=other.pk).update(starts_on=date(2026, 11, 1), ends_on=today)
        assert activate(first).number == 2

    def test_an_empty_plan_cannot_be_activated(self) -> None:
        plan = Plan.objects.create(key="Basic")
        for _ in range(2):
            with pytest.raises(ValidationError):
                activate(plan)
            draft_version(plan)
        plan.refresh_from_db()
        assert plan.status == Plan.Status.DRAFT

    def test_an_empty_draft_takes_no_ones_place(self) -> None:
        plan = make_plan("Basic", {make_meter(): STORY_RATE})
        draft = draft_version(plan)
        remove_rate(draft.rates.get())
        with pytest.raises(ValidationError, match="at least one product item or fee") as error:
            activate(plan)
        assert list(error.value.message_dict) == ["plan"]
        version = active_version(plan)
        assert version is not None
        assert version.number == 1
        discard_draft(plan)
        with pytest.raises(ValidationError) as error:
            discard_draft(plan)
        assert list(error.value.message_dict) == ["version"]

    def test_a_draft_leaves_out_what_is_retired_meanwhile(self) -> None:
        calls, storage = make_meter("ApiCalls"), make_meter("Storage")
        plan = make_plan("Basic", {calls: STORY_RATE, storage: STORY_RATE})
        storage.used_for_billing = False
        storage.save()
        assert draft_version(plan).rates.get().product_item.meter == calls
        version = active_version(plan)
        assert version is not None
        assert version.rates.count() == 2

    def test_a_retired_plan_comes_back_with_its_draft(self) -> None:
        plan = make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
        draft_version(plan)
        retire(plan)
        plan.refresh_from_db()
        assert (plan.status, plan.is_default) == (Plan.Status.RETIRED, False)
        assert activate(plan).number == 2
        plan.refresh_from_db()
        assert plan.status == Plan.Status.ACTIVE

    def test_one_plan_is_the_default(self) -> None:
        meter = make_meter()
        first, second = make_plan("First", {meter: STORY_RATE}), make_plan("Second", {meter: STORY_RATE})
        for plan in (first, second, second):
            set_default(plan, is_default=True)
            assert Plan.objects.get(is_default=True) == plan
        set_default(first, is_default=False)
        assert Plan.objects.get(is_default=True) == second
        set_default(second, is_default=False)
        assert not Plan.objects.filter(is_default=True).exists()

    def test_only_an_active_plan_takes_the_default(self) -> None:
        meter = make_meter()
        first, gone = make_plan("First", {meter: STORY_RATE}, is_default=True), make_plan("Gone", {meter: STORY_RATE})
        retire(gone)
        for plan in (Plan.objects.create(key="Draft"), gone):
            with pytest.raises(ValidationError, match="activate it first"):
                set_default(plan, is_default=True)
        assert Plan.objects.get(is_default=True) == first
        assert make_customer("acme").assignments.get().plan == first

    def test_who_activated_it_is_kept_also_with_the_private_plans_that_follow(self) -> None:
        base = make_plan("Basic", {make_meter(): STORY_RATE})
        private = make_private(base, customer=make_customer("acme"))
        assert activate(private, actor="anna").activated_by == "anna"
        draft_version(base)
        assert activate(base, actor="API key billing").activated_by == "API key billing"
        version = active_version(private)
        assert version is not None
        assert (version.number, version.activated_by) == (2, "API key billing")

    def test_a_retired_plan_comes_back_as_it_was(self) -> None:
        plan = make_plan("Basic", {make_meter(): STORY_RATE})
        version = active_version(plan)
        retire(plan)
        with pytest.raises(ValidationError):
            retire(plan)
        assert activate(plan) == version

    def test_a_bad_rate_is_refused_by_path_and_changes_nothing(self) -> None:
        meter = make_meter()
        draft = draft_version(Plan.objects.create(key="Basic"))
        with pytest.raises(RateError) as refused:
            set_rate(draft, product_item=meter.product_item, parameters={"model": "block", "block_size": "0"})
        assert refused.value.path.startswith("block_")
        assert not draft.rates.exists()


@pytest.mark.django_db(transaction=True)
def test_many_requests_at_once_activate_one_version_and_begin_one_draft() -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    assert race(*[partial(draft_version, plan)] * 3) == []
    assert plan.versions.count() == 2
    assert race(*[partial(activate, plan)] * 3) == []
    assert list(plan.versions.order_by("number").values_list("status", flat=True)) == ["superseded", "active"]


@pytest.mark.django_db(transaction=True)
def test_plans_that_become_the_default_at_once() -> None:
    meter = make_meter()
    plans = [make_plan(f"Plan{number}", {meter: STORY_RATE}) for number in range(3)]
    set_default(plans[0], is_default=True)
    for _ in range(10):
        assert race(*(partial(set_default, plan, is_default=True) for plan in plans * 2)) == []
        assert Plan.objects.filter(is_default=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_first_default_plans_at_once() -> None:
    meter = make_meter()
    plans = [make_plan(f"Plan{number}", {meter: STORY_RATE}) for number in range(6)]
    assert race(*(partial(set_default, plan, is_default=True) for plan in plans)) == []
    assert Plan.objects.filter(is_default=True).count() == 1
