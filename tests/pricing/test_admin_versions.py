"""Versions on the pages of a plan: what a draft changes, the choice on activation, versions beside each other."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from pricing.admin.fee_form import FeeForm
from pricing.models import Fee, Plan, PlanVersion
from pricing.plans import activate, active_version, draft_version, set_fee, set_rate, set_terms, version_for
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on
from tests.pricing.pages import text, words

pytestmark = pytest.mark.django_db

DEARER = STORY_RATE | {"block_price": "6"}


@pytest.fixture
def plan() -> Plan:
    """An active plan with a draft that has a dearer price, a fee and a minimum."""
    made = make_plan("Basic", {make_meter(): STORY_RATE})
    draft = draft_version(made)
    set_rate(draft, product_item=draft.rates.get().product_item, parameters=DEARER)
    set_fee(draft, key="seats", name="Seats", amount="12.5", quantity="5", unit="seats")
    set_terms(draft, minimum="49")
    return made


def page(plan: Plan, action: str = "change") -> str:
    return f"/admin/pricing/plan/{plan.pk}/{action}/"


def section(shown: str, title: str) -> str:
    return shown.split(f"<h3>{title}</h3>")[1].split("</table>")[0]


def test_a_draft_is_shown_as_what_it_changes(staff: Client, plan: Plan) -> None:
    response = staff.get(page(plan))
    assert [(change.kind, change.subject) for change in response.context["changes"]] == [
        ("added", "Minimum"),
        ("changed", "ApiCalls"),
        ("added", "Fee Seats"),
    ]
    changes = section(words(response), "What v2 changes")
    assert "then $5.00 per started block" in changes
    assert "then $6.00 per started block" in changes
    assert "$12.50 each for 5 seats, every period" in changes
    assert "$49.00 a period" in changes


def test_a_draft_that_changes_nothing_says_so(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    draft_version(plan)
    assert "Nothing: v2 says what v1 says." in words(staff.get(page(plan)))


def test_a_first_draft_has_nothing_to_be_compared_to_and_no_choice(staff: Client) -> None:
    plan = Plan.objects.create(key="Basic")
    set_rate(draft_version(plan), product_item=make_meter().product_item, parameters=STORY_RATE)
    response = staff.get(page(plan))
    assert response.context["changes"] is None
    assert 'name="existing"' not in text(response)
    assert "Fees" in text(response)
    assert "every month, by the calendar" in text(response)


@pytest.mark.parametrize(
    ("choice", "number", "said"),
    [
        ({}, 2, "Customers stay on the prices of v1 until their next period."),
        ({"existing": "move"}, 2, "Customers stay on the prices of v1 until their next period."),
        ({"existing": "stay"}, 1, "Those on the plan stay on the version they have."),
    ],
)
def test_staff_choose_whether_existing_customers_move(
    staff: Client, plan: Plan, choice: dict[str, str], number: int, said: str
) -> None:
    assignment = put_on(make_customer("acme"), plan, timezone.localdate())
    assert "1 customer on the plan" in words(staff.get(page(plan)))
    shown = words(staff.get(page(plan, "activate")))
    assert 'value="move" ' in shown.split("Move to it at their next period")[0].split('name="existing"')[-1]
    assert "checked" in shown.split("Move to it at their next period")[0].split('name="existing"')[-1]
    assert said in words(staff.post(page(plan, "activate"), choice, follow=True))
    found = version_for(assignment, timezone.now())
    assert found is not None
    assert found.number == number
    newcomer = version_for(put_on(make_customer("globex"), plan, timezone.localdate()), timezone.now())
    assert newcomer is not None
    assert newcomer.number == 2


def test_a_choice_that_is_none_activates_nothing(staff: Client, plan: Plan) -> None:
    shown = words(staff.post(page(plan, "activate"), {"existing": "leave"}, follow=True))
    assert "Say whether the customers on the plan move to the new version or stay." in shown
    active = active_version(plan)
    assert active is not None
    assert active.number == 1


def test_the_page_tells_of_a_version_that_only_new_customers_got(staff: Client, plan: Plan) -> None:
    told = "those who were on the plan before it stayed on the version they had"
    staff.post(page(plan, "activate"), {"existing": "stay"})
    assert told in words(staff.get(page(plan)))
    assert "stayed on the version they had" in words(staff.get(page(plan, "versions/2")))
    assert told not in words(staff.get(page(plan, "versions/1")))


def test_a_version_stands_beside_the_one_before_or_another(staff: Client, plan: Plan) -> None:
    activate(plan)
    set_terms(draft_version(plan), trial_days=14)
    activate(plan)

    def subjects(number: int, against: str = "") -> tuple[int | None, list[str]]:
        context = staff.get(page(plan, f"versions/{number}"), {"against": against} if against else {}).context
        before = context["before"]
        return before and before.number, [change.subject for change in context["changes"] or []]

    assert subjects(3) == (2, ["Trial"])
    assert subjects(3, "1") == (1, ["Trial", "Minimum", "ApiCalls", "Fee Seats"])
    assert subjects(1) == (None, [])
    assert subjects(1, "2") == (2, ["Minimum", "ApiCalls", "Fee Seats"])
    for nonsense in ("9", "x", "3", "²", "-1"):
        assert subjects(3, nonsense) == (2, ["Trial"])
    assert "The first version" in text(staff.get(page(plan, "versions/1")))
    assert staff.get(page(plan, "versions/4")).status_code == 404


def test_a_version_is_looked_at_by_whoever_may_see_plans(colleague: Callable[..., Client], plan: Plan) -> None:
    assert colleague("view_plan").get(page(plan, "versions/2")).status_code == 200
    assert "Activate" not in text(colleague("view_plan").get(page(plan)))
    assert colleague("view_customer").get(page(plan, "versions/2")).status_code == 403


def test_the_page_asks_as_often_for_many_prices_and_versions_as_for_few(
    staff: Client, plan: Plan, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    def asked() -> int:
        with django_assert_max_num_queries(100) as noted:
            staff.get(page(plan))
        return len(noted)

    few = asked()
    for number in range(5):
        draft = draft_version(plan)
        item = make_meter(f"Meter{number}").product_item
        set_rate(draft, product_item=item, parameters=STORY_RATE)
        set_fee(draft, key=f"fee{number}", name="Fee", amount="1")
        activate(plan)
    draft_version(plan)
    assert asked() <= few + 1  # the list of earlier versions is there only now


def test_a_draft_activated_while_its_fee_is_typed_refuses_it(staff: Client, plan: Plan) -> None:
    form = FeeForm({"name": "Support", "kind": "percent", "percent": "5"}, version=draft_version(plan))
    assert form.is_valid()
    activate(plan)
    with pytest.raises(ValidationError, match="frozen"):
        form.save()
    assert not Fee.objects.filter(key="support").exists()


def test_earlier_versions_are_listed_newest_first(staff: Client, plan: Plan) -> None:
    for _ in range(3):
        activate(plan)
        draft_version(plan)
    older = staff.get(page(plan)).context["older"]
    assert [(earlier.version.number, earlier.contents) for earlier in older] == [(3, 2), (2, 2), (1, 1)]
    assert [newer.active_from for newer in older[:-1]] == [earlier.active_to for earlier in older[1:]]


def test_discarding_leaves_what_is_active(staff: Client, plan: Plan) -> None:
    staff.post(page(plan, "discard"))
    assert list(PlanVersion.objects.values_list("number", "status")) == [(1, "active")]


def test_a_filter_and_proration_of_a_price_are_told(staff: Client) -> None:
    plan = Plan.objects.create(key="Basic")
    item = make_meter(dimensions=["region"]).product_item
    draft = draft_version(plan)
    set_rate(draft, product_item=item, parameters=STORY_RATE)
    set_rate(draft, product_item=item, parameters=DEARER, where={"region": ["us", "eu"]}, prorated=True)
    shown = words(staff.get(page(plan)))
    assert "where region is eu or us" in shown
    assert "Included units and tiers shrink with a shorter period" in shown


def test_a_price_of_single_events_has_no_samples(staff: Client) -> None:
    plan = make_plan(
        "Payments", {make_meter("Paid"): {"model": "percentage", "rate_percent": "2", "fixed_fee_per_event": "0.3"}}
    )
    response = staff.get(page(plan))
    assert response.context["active"].prices[0].samples == []
    assert "Depends on the single events." in text(response)
