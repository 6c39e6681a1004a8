"""What changes between two versions of a plan, in words."""

import pytest

from pricing.differences import Difference, differences
from pricing.models import Plan, PlanVersion
from pricing.plan_words import describe_cycle, describe_fee, describe_terms, rate_name
from pricing.plans import activate, draft_version, remove_fee, remove_rate, set_fee, set_rate, set_terms
from tests.factories import STORY_RATE, make_meter

pytestmark = pytest.mark.django_db

CENT = {"model": "per_unit", "unit_price": "0.01"}


@pytest.fixture
def active() -> PlanVersion:
    plan = Plan.objects.create(key="Basic")
    draft = draft_version(plan)
    calls, storage = make_meter("ApiCalls", name="API calls", dimensions=["region"]), make_meter("Storage", unit="GB")
    set_rate(draft, product_item=calls.product_item, parameters=STORY_RATE)
    set_rate(draft, product_item=storage.product_item, parameters=CENT)
    set_fee(draft, key="seats", name="Seats", amount="10", quantity=3, unit="seats")
    set_terms(draft, minimum="20")
    return activate(plan)


def test_without_a_change_there_is_none(active: PlanVersion) -> None:
    draft = draft_version(active.plan)
    assert differences(active, draft) == []
    # Another way to write the same price.
    item = draft.rates.get(product_item__name="Storage").product_item
    set_rate(draft, product_item=item, parameters={"model": "per_unit", "unit_price": "0.010"})
    set_terms(draft, minimum="20.00")
    assert differences(active, draft) == []


def test_a_first_version_is_all_new(active: PlanVersion) -> None:
    found = differences(None, active)
    assert {difference.kind for difference in found} == {"added"}
    assert [difference.subject for difference in found] == [
        *("Currency", "Billing period", "Minimum", "API calls", "Storage", "Fee Seats")
    ]
    assert found[-1].after == ["Seats: $10.00 each for 3 seats, every period"]


def test_each_change_is_told_once(active: PlanVersion) -> None:
    draft = draft_version(active.plan)
    calls = draft.rates.get(product_item__name="API calls").product_item
    remove_rate(draft.rates.get(product_item__name="Storage"))
    set_rate(draft, product_item=calls, parameters=CENT, prorated=True)
    set_rate(draft, product_item=calls, parameters=CENT, where={"region": ["us", "eu"]})
    remove_fee(draft.fees.get())
    set_fee(draft, key="support", name="Support", kind="percent", percent="7.5")
    set_terms(draft, minimum="0", trial_days=14, interval="year", alignment="anniversary")
    assert differences(active, draft) == [
        Difference(
            "changed",
            "Billing period",
            ["every month, by the calendar"],
            ["every year, from the day that the customer began"],
        ),
        Difference("removed", "Minimum", ["$20.00 a period"], []),
        Difference("added", "Trial", [], ["14 days"]),
        Difference(
            "changed",
            "API calls",
            ["5,000 calls free, then $5.00 per started block of 1,000 calls"],
            ["$0.01 per call", "Included units and tiers shrink with a shorter period"],
        ),
        Difference("added", "API calls where region is eu or us", [], ["$0.01 per call"]),
        Difference("removed", "Storage", ["$0.01 per GB"], []),
        Difference("removed", "Fee Seats", ["Seats: $10.00 each for 3 seats, every period"], []),
        Difference("added", "Fee Support", [], ["Support: 7.5% of usage and other fees"]),
    ]


def test_another_currency_changes_every_amount(active: PlanVersion) -> None:
    draft = set_terms(draft_version(active.plan), currency="JPY")
    found = {difference.subject: difference for difference in differences(active, draft)}
    assert set(found) == {"Currency", "Minimum", "API calls", "Storage", "Fee Seats"}
    assert (found["Storage"].before, found["Storage"].after) == (["$0.01 per GB"], ["¥0.01 per GB"])


def test_terms_and_fees_in_words(active: PlanVersion) -> None:
    draft = draft_version(active.plan)
    draft = set_terms(
        draft, minimum=0, commitment="1000", overage_factor="1.25", interval="week", interval_count=2, trial_days=1
    )
    assert describe_cycle(draft) == "every 2 weeks, by the calendar"
    assert dict(describe_terms(draft)) == {
        "Currency": "USD",
        "Billing period": "every 2 weeks, by the calendar",
        "Trial": "1 day",
        "Commitment": "$1,000.00 a period",
        "Beyond the commitment": "charged times 1.25",
    }
    setup = set_fee(draft, key="setup", name="Setup", kind="one_time", amount="99")
    whole = set_fee(draft, key="whole", name="Base", amount="0.5", prorated=False)
    assert describe_fee(setup, "EUR") == "€99.00, once"
    assert describe_fee(whole, "EUR") == "€0.50, every period, whole also in a shorter one"
    item = draft.rates.get(product_item__name="API calls").product_item
    rate = set_rate(draft, product_item=item, parameters=CENT, where={"region": ["eu"]})
    assert rate_name(rate) == "API calls where region is eu"
