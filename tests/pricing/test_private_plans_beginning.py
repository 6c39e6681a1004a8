"""A customer that goes on in a private plan of its plan does not begin again, whatever its base plan gets later."""

from datetime import UTC, datetime, timedelta

import pytest

from pricing.models import Plan, PlanVersion
from pricing.plans import activate, active_version, draft_version, set_fee, set_terms
from pricing.private_plans import drop_override, make_private
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on

pytestmark = pytest.mark.django_db
TODAY = datetime.now(UTC).date()


def base_plan() -> Plan:
    """Without a trial, and with nothing to pay for the set-up."""
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    set_one_time(plan, "setup", "0")
    activate(plan)
    return plan


def set_one_time(plan: Plan, key: str, amount: str) -> None:
    set_fee(draft_version(plan), key=key, name=key.capitalize(), kind="one_time", amount=amount)


def newest(plan: Plan) -> PlanVersion:
    version = plan.versions.order_by("number").last()
    assert version is not None
    return version


@pytest.mark.parametrize("drafted", [True, False])
def test_a_base_that_gets_a_beginning_gives_it_to_others_only(drafted: bool) -> None:
    base, customer = base_plan(), make_customer("acme")
    put_on(customer, base, TODAY - timedelta(days=40))
    plan = make_private(base, customer=customer)
    # What a form or a document says again is no change.
    assert set_terms(draft_version(plan), trial_days=0).overridden_terms == ["trial_days"]
    if not drafted:
        activate(plan)
    set_one_time(base, "setup", "99")
    set_one_time(base, "training", "99")
    set_fee(draft_version(base), key="support", name="Support", amount="5")
    set_terms(draft_version(base), trial_days=14)
    activate(base)
    version = newest(plan)
    assert (version.is_draft, version.trial_days, version.fees.get(key="support").amount) == (drafted, 0, 5)
    one_time = {fee.key: (fee.amount, fee.is_override) for fee in version.fees.filter(kind="one_time")}
    assert one_time == {"setup": (0, True), "training": (0, True)}


@pytest.mark.parametrize("drafted", [True, False])
def test_a_fee_that_staff_charge_all_the_same_stays(drafted: bool) -> None:
    base, customer = base_plan(), make_customer("acme")
    put_on(customer, base, TODAY - timedelta(days=40))
    set_one_time(base, "training", "99")
    activate(base)
    plan = make_private(base, customer=customer)
    drop_override(draft_version(plan).fees.get(key="training"))
    if not drafted:
        activate(plan)
    set_fee(draft_version(base), key="support", name="Support", amount="5")
    activate(base)
    assert {fee.key: fee.amount for fee in newest(plan).fees.all()} == {"setup": 0, "training": 99, "support": 5}


def test_no_trial_that_was_agreed_with_a_new_customer_leaves_the_fees_of_its_beginning() -> None:
    base = base_plan()
    set_terms(draft_version(base), trial_days=7)
    activate(base)
    plan = make_private(base, customer=make_customer("acme"))
    set_terms(draft_version(plan), trial_days=0)
    activate(plan)
    set_one_time(base, "training", "99")
    activate(base)
    version = active_version(plan)
    assert version is not None
    assert (version.trial_days, version.fees.get(key="training").amount) == (0, 99)
