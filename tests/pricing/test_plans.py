"""Plans: drafts are edited, activating freezes; product items follow meters."""

from datetime import date

import pytest
from django.core.exceptions import ValidationError

from pricing.models import Assignment, Plan, PlanVersion, ProductItem
from pricing.plans import activate, active_version, draft_version, remove_rate, retire, set_rate
from pricing.rates import RateError
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on

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
