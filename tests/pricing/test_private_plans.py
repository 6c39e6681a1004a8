"""Private plans: one customer's own prices, in step with the base plan or pinned."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.core.exceptions import ValidationError
from django.db import transaction

from meters.models import Customer
from pricing.assignments import assign, change_plan
from pricing.models import AssignmentRule, Plan, PlanVersion
from pricing.plans import (
    activate,
    active_version,
    draft_version,
    remove_fee,
    remove_rate,
    retire,
    set_default,
    set_fee,
    set_rate,
    set_terms,
    version_for,
)
from pricing.private_plans import drop_override, drop_own_terms, make_private, set_follows_base
from pricing.rules import save_rule
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on
from tests.racing import race

TODAY = datetime.now(UTC).date()


def price(amount: str) -> dict[str, str]:
    return {"model": "per_unit", "unit_price": amount}


def base_plan() -> Plan:
    """Two product items, a fee and a minimum."""
    calls, storage = make_meter("ApiCalls", dimensions=["region"]), make_meter("Storage")
    plan = Plan.objects.create(key="Basic", name="Basic plan")
    draft = draft_version(plan)
    set_rate(draft, product_item=calls.product_item, parameters=price("0.01"))
    set_rate(draft, product_item=storage.product_item, parameters=price("0.1"))
    set_fee(draft, key="seats", name="Seats", amount="10", unit="seats")
    set_terms(draft, minimum="20", trial_days=7)
    activate(plan)
    plan.refresh_from_db()
    return plan


def special(base: Plan, *, follows_base: bool = True, customer: Customer | None = None) -> Plan:
    """acme's own: calls are cheaper, and there is no minimum."""
    plan = make_private(base, customer=customer or make_customer("acme"), follows_base=follows_base)
    draft = draft_version(plan)
    item = draft.rates.get(product_item__meter__key="ApiCalls").product_item
    set_rate(draft, product_item=item, parameters=price("0.005"))
    set_terms(draft, minimum=0)
    activate(plan)
    return Plan.objects.get(pk=plan.pk)


def prices(version: PlanVersion | None) -> dict[str, str]:
    assert version is not None
    return {rate.product_item.meter.key: rate.parameters["unit_price"] for rate in version.rates.all()}


def change_base(base: Plan, *, moves_existing: bool = True, calls: str = "0.02", storage: str = "0.2") -> PlanVersion:
    draft = draft_version(base)
    for rate in draft.rates.select_related("product_item__meter"):
        amount = calls if rate.product_item.meter.key == "ApiCalls" else storage
        set_rate(draft, product_item=rate.product_item, parameters=price(amount))
    return activate(base, moves_existing=moves_existing)


@pytest.mark.django_db
class TestMaking:
    def test_it_has_all_that_the_base_says_and_nothing_is_its_own(self) -> None:
        base = base_plan()
        plan = make_private(base, customer=make_customer("acme inc/7"))
        draft = draft_version(plan)
        assert (plan.key, plan.name, plan.status, plan.follows_base) == (
            "Basic.acme-inc-7",
            "Basic plan",
            "draft",
            True,
        )
        assert prices(draft) == {"ApiCalls": "0.01", "Storage": "0.1"}
        assert (draft.fees.get().amount, draft.minimum, draft.trial_days) == (10, 20, 7)
        assert not draft.rates.filter(is_override=True).exists()
        assert (draft.fees.get().is_override, draft.overridden_terms) == (False, [])

    def test_a_customer_has_one_of_a_plan(self) -> None:
        base, customer = base_plan(), make_customer("acme")
        make_private(base, customer=customer)
        with pytest.raises(ValidationError) as error:
            make_private(base, customer=customer)
        assert list(error.value.message_dict) == ["customer"]

    @pytest.mark.parametrize(("on_it_for", "again"), [(8, False), (7, False), (6, True), (-3, True)])
    def test_a_customer_does_not_begin_again(self, on_it_for: int, again: bool) -> None:
        base, customer = base_plan(), make_customer("acme")
        set_fee(draft_version(base), key="setup", name="Setup", kind="one_time", amount="99")
        activate(base)
        put_on(customer, base, TODAY - timedelta(days=on_it_for))
        draft = draft_version(make_private(base, customer=customer))
        setup = draft.fees.get(key="setup")
        if again:
            assert (draft.trial_days, draft.overridden_terms) == (7, [])
            assert (setup.amount, setup.is_override) == (99, False)
        else:
            assert (draft.trial_days, draft.overridden_terms) == (0, ["trial_days"])
            assert (setup.amount, setup.is_override) == (0, True)
        assert (draft.fees.get(key="seats").amount, draft.minimum) == (10, 20)

    def test_of_a_plan_in_use_that_is_not_private(self) -> None:
        customer = make_customer("acme")
        with pytest.raises(ValidationError, match="not active"):
            make_private(Plan.objects.create(key="Draft"), customer=customer)
        plan = special(base_plan(), customer=customer)
        with pytest.raises(ValidationError, match="private itself"):
            make_private(plan, customer=make_customer("other"))

    def test_keys_that_are_taken_or_too_long_are_avoided(self) -> None:
        base = base_plan()
        Plan.objects.create(key="Basic.acme")
        assert make_private(base, customer=make_customer("acme")).key == "Basic.acme-2"
        long = make_private(base, customer=make_customer("k" * 150))
        longer = make_private(base, customer=make_customer("k" * 151))
        assert len(long.key) == 100
        assert long.key != longer.key
        with pytest.raises(ValidationError) as error:
            make_private(base, customer=make_customer("other"), key="two words")
        assert list(error.value.message_dict) == ["key"]


@pytest.mark.django_db
class TestOverrides:
    def test_what_differs_from_the_base_is_the_customers_own(self) -> None:
        plan = special(base_plan())
        version = active_version(plan)
        assert version is not None
        own = {rate.product_item.meter.key for rate in version.rates.filter(is_override=True)}
        assert own == {"ApiCalls"}
        assert version.overridden_terms == ["minimum", "commitment", "overage_factor"]
        draft = draft_version(plan)
        assert draft.overridden_terms == version.overridden_terms
        item = draft.rates.get(product_item__meter__key="ApiCalls").product_item
        assert not set_rate(draft, product_item=item, parameters=price("0.01")).is_override
        assert set_terms(draft, minimum="20").overridden_terms == []
        assert set_fee(draft, key="seats", name="Seats", amount="9", unit="seats").is_override
        assert not set_fee(draft, key="seats", name="Seats", amount="10", unit="seats").is_override

    def test_they_are_dropped_for_those_of_the_base(self) -> None:
        plan = special(base_plan())
        draft = draft_version(plan)
        restored = drop_override(draft.rates.get(is_override=True))
        assert restored is not None
        assert prices(draft) == {"ApiCalls": "0.01", "Storage": "0.1"}
        assert not draft.rates.filter(is_override=True).exists()
        with pytest.raises(ValidationError, match="no price of the customer's own"):
            drop_override(draft.rates.get(product_item__meter__key="Storage"))
        assert drop_own_terms(draft, "commitment").minimum == 20
        own = set_fee(draft, key="manager", name="Account manager", amount="100")
        assert drop_override(own) is None
        assert [fee.key for fee in draft.fees.all()] == ["seats"]

    def test_removing_one_brings_the_base_back_and_those_of_the_base_stay(self) -> None:
        plan = special(base_plan())
        draft = draft_version(plan)
        remove_rate(draft.rates.get(is_override=True))
        assert prices(draft)["ApiCalls"] == "0.01"
        for remove, row in ((remove_rate, draft.rates.first()), (remove_fee, draft.fees.get())):
            with pytest.raises(ValidationError, match="give it a price of 0"):
                remove(row)  # type: ignore[operator]
        item = draft.rates.get(product_item__meter__key="ApiCalls").product_item
        europe = set_rate(draft, product_item=item, parameters=price("0.001"), where={"region": ["eu"]})
        assert europe.is_override
        remove_rate(europe)
        assert prices(draft) == {"ApiCalls": "0.01", "Storage": "0.1"}

    def test_the_currency_is_that_of_the_base(self) -> None:
        draft = draft_version(special(base_plan()))
        with pytest.raises(ValidationError) as error:
            set_terms(draft, currency="EUR")
        assert list(error.value.message_dict) == ["currency"]
        with pytest.raises(ValidationError, match="not a private plan"):
            drop_own_terms(draft_version(Plan.objects.get(key="Basic")))


@pytest.mark.django_db
class TestFollowing:
    @pytest.mark.parametrize("moves_existing", [True, False])
    def test_a_new_version_of_the_base_makes_one_with_the_own_prices_kept(self, moves_existing: bool) -> None:
        base = base_plan()
        plan = special(base)
        change_base(base, moves_existing=moves_existing)
        version = active_version(plan)
        assert version is not None
        assert (version.number, version.moves_existing) == (2, moves_existing)
        assert prices(version) == {"ApiCalls": "0.005", "Storage": "0.2"}
        assert (version.minimum, version.trial_days) == (0, 7)
        assert version.rates.get(is_override=True).product_item.meter.key == "ApiCalls"
        assert plan.versions.get(number=1).status == PlanVersion.Status.SUPERSEDED

    def test_a_customer_on_it_moves_or_stays_as_the_others_do(self) -> None:
        base = base_plan()
        plan = special(base)
        assignment = put_on(Customer.objects.get(key="acme"), plan, TODAY)
        stays = change_base(base, moves_existing=False)
        later = datetime(2099, 1, 1, tzinfo=UTC)
        counts = version_for(assignment, later)
        assert counts is not None
        assert counts.number == 1
        moved = change_base(base, storage="0.3")
        assert (stays.number, moved.number) == (2, 3)
        assert prices(version_for(assignment, later)) == {"ApiCalls": "0.005", "Storage": "0.3"}

    def test_what_the_base_adds_and_removes_comes_and_goes(self) -> None:
        base = base_plan()
        plan = special(base)
        draft = draft_version(base)
        remove_rate(draft.rates.get(product_item__meter__key="Storage"))
        remove_rate(draft.rates.get(product_item__meter__key="ApiCalls"))
        set_rate(draft, product_item=make_meter("Mails").product_item, parameters=price("1"))
        set_fee(draft, key="base", name="Base fee", amount="5")
        set_terms(draft, trial_days=30, minimum="500")
        activate(base)
        version = active_version(plan)
        assert version is not None
        assert prices(version) == {"ApiCalls": "0.005", "Mails": "1"}
        assert {fee.key: fee.amount for fee in version.fees.all()} == {"seats": Decimal(10), "base": Decimal(5)}
        assert (version.trial_days, version.minimum) == (30, 0)

    def test_a_pinned_plan_stays_and_catches_up_when_it_follows_again(self) -> None:
        base = base_plan()
        plan = special(base, follows_base=False)
        change_base(base)
        assert prices(active_version(plan)) == {"ApiCalls": "0.005", "Storage": "0.1"}
        caught_up = set_follows_base(plan, follows=True)
        assert prices(caught_up) == {"ApiCalls": "0.005", "Storage": "0.2"}
        assert caught_up == active_version(plan)
        assert set_follows_base(plan, follows=False) is None
        # Nothing has changed meanwhile.
        assert set_follows_base(plan, follows=True) is None
        assert plan.versions.count() == 2
        with pytest.raises(ValidationError, match="not a private plan"):
            set_follows_base(base, follows=True)

    def test_a_draft_in_work_is_brought_up_to_date_and_stays_a_draft(self) -> None:
        base = base_plan()
        plan = special(base)
        draft = draft_version(plan)
        set_fee(draft, key="seats", name="Seats", amount="7", unit="seats")
        change_base(base)
        draft.refresh_from_db()
        active = active_version(plan)
        assert active is not None
        assert (draft.is_draft, draft.number, active.number) == (True, 3, 2)
        assert prices(draft) == prices(active) == {"ApiCalls": "0.005", "Storage": "0.2"}
        assert (draft.fees.get().amount, active.fees.get().amount) == (7, 10)
        assert activate(plan).number == 3

    def test_one_that_was_never_activated_is_brought_up_to_date_only(self) -> None:
        base = base_plan()
        plan = make_private(base, customer=make_customer("acme"))
        change_base(base)
        plan.refresh_from_db()
        assert (plan.status, active_version(plan)) == (Plan.Status.DRAFT, None)
        assert prices(draft_version(plan)) == {"ApiCalls": "0.02", "Storage": "0.2"}

    def test_a_retired_one_keeps_up_for_the_customer_that_is_on_it(self) -> None:
        base = base_plan()
        plan = special(base)
        retire(plan)
        change_base(base)
        plan.refresh_from_db()
        assert plan.status == Plan.Status.RETIRED
        assert prices(active_version(plan))["Storage"] == "0.2"

    def test_the_base_cannot_change_the_currency_of_own_amounts(self) -> None:
        base = base_plan()
        plan = special(base)
        set_terms(draft_version(base), currency="EUR")
        with pytest.raises(ValidationError, match=f"private plan {plan.key} follows") as error:
            activate(base)
        assert list(error.value.message_dict) == ["currency"]
        assert (draft_version(base).is_draft, plan.versions.count()) == (True, 1)
        set_follows_base(plan, follows=False)
        assert activate(base).currency == "EUR"
        current = active_version(plan)
        assert current is not None
        assert current.currency == "USD"

    def test_a_version_that_would_price_an_item_twice_for_its_customer_is_refused(self) -> None:
        base = base_plan()
        plan = special(base)
        customer = Customer.objects.get(key="acme")
        mails = make_meter("Mails")
        put_on(customer, plan, TODAY)
        put_on(customer, make_plan("Mail", {mails: STORY_RATE}), TODAY)
        set_rate(draft_version(base), product_item=mails.product_item, parameters=price("1"))
        with pytest.raises(ValidationError, match="acme is on Mail too"):
            activate(base)
        assert activate(base, moves_existing=False).number == 2


@pytest.mark.django_db
class TestOneCustomersOnly:
    def test_nobody_else_is_put_on_it(self) -> None:
        plan = special(base_plan())
        with pytest.raises(ValidationError) as error:
            assign(customer=make_customer("other"), plan=plan, starts_on=TODAY)
        assert list(error.value.message_dict) == ["plan"]
        with pytest.raises(ValidationError, match="of acme only"):
            set_default(plan, is_default=True)
        with pytest.raises(ValidationError, match="of acme only"):
            save_rule(changes={"plan": plan})
        assert not AssignmentRule.objects.exists()

    def test_its_customer_changes_to_it(self) -> None:
        base = base_plan()
        plan = special(base)
        customer = Customer.objects.get(key="acme")
        assignment = put_on(customer, base, TODAY)
        changed = change_plan(assignment, plan=plan, when="period_end")
        assignment.refresh_from_db()
        assert changed.plan == plan
        assert assignment.ends_on == changed.starts_on
        assert changed.starts_on > TODAY


@pytest.mark.django_db(transaction=True)
def test_the_base_moves_on_while_its_private_plan_is_edited_and_activated() -> None:
    base = base_plan()
    plan = special(base)
    draft = draft_version(plan)
    item = draft.rates.get(product_item__meter__key="ApiCalls").product_item

    def edit() -> None:
        with transaction.atomic():
            set_rate(draft, product_item=item, parameters=price("0.004"))
            activate(plan)

    set_terms(draft_version(base), trial_days=30)
    assert race(edit, partial(activate, base)) == []
    numbers = list(plan.versions.order_by("number").values_list("number", "status"))
    assert numbers == [(1, "superseded"), (2, "superseded"), (3, "active")]
    version = active_version(plan)
    assert version is not None
    # Whichever came first, the other one came on top of it.
    assert (prices(version)["ApiCalls"], version.trial_days) == ("0.004", 30)


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_make_one_private_plan() -> None:
    base, customer = base_plan(), make_customer("acme")
    (refused,) = race(*[partial(make_private, base, customer=customer)] * 2)
    assert isinstance(refused, ValidationError)
    assert base.private_plans.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_own_price_that_is_dropped_twice_at_once_gives_way_once() -> None:
    draft = draft_version(special(base_plan()))
    own = draft.rates.get(is_override=True)
    raised = race(partial(drop_override, own), partial(drop_override, own), partial(remove_rate, own))
    assert {type(error) for error in raised} == {ValidationError}
    assert len(raised) == 2
    assert prices(draft) == {"ApiCalls": "0.01", "Storage": "0.1"}
