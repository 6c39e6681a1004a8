""" "Try it" on the page of a plan."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from invoices.admin.try_it import TryPanel
from meters.models import Meter
from pricing.models import Plan
from pricing.plans import draft_version, set_fee, set_rate, set_terms
from tests.factories import STORY_RATE, make_meter, make_plan

pytestmark = pytest.mark.django_db

VOLUME = {"model": "volume", "tiers": [{"up_to": "1000", "unit_price": "0.1"}, {"up_to": None, "unit_price": "0.08"}]}
CARDS = {"model": "percentage", "rate_percent": "1", "fixed_fee_per_event": "0.30"}


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.fixture
def meter() -> Meter:
    return make_meter(dimensions=["source"])


@pytest.fixture
def plan(meter: Meter) -> Plan:
    return make_plan("story", {meter: STORY_RATE})


def look(staff: Client, plan: Plan, **query: Any) -> tuple[TryPanel, str]:
    response = staff.get(f"/admin/pricing/plan/{plan.pk}/change/", query)
    assert response.status_code == 200
    return response.context["try_panel"], response.content.decode()


def quantity_of(meter: Meter) -> str:
    return f"q{meter.product_item.pk}"


def totals(panel: TryPanel) -> list[tuple[str, ...]]:
    return [(tried.words, *(side.total for side in tried.sides), tried.change) for tried in panel.tried]


def test_before_anything_is_typed_there_is_the_picture(staff: Client, plan: Plan) -> None:
    panel, page = look(staff, plan)
    assert panel.tried == []
    assert [picture.names for picture in panel.pictures] == [["Active v1"]]
    assert '<path class="jump"' in page
    assert "Nothing used" not in page


def test_draft_and_active_beside_each_other(staff: Client, plan: Plan, meter: Meter) -> None:
    draft = draft_version(plan)
    set_rate(draft, product_item=meter.product_item, parameters=VOLUME)
    set_fee(draft, key="seats", name="Seats", kind="recurring", amount=Decimal(9), unit="seats")
    panel, page = look(staff, plan, **{quantity_of(meter): "6000", "f-seats": "2"})
    assert totals(panel) == [("6,000 calls, 2 seats", "$5.00", "$498.00", "+$493.00")]
    assert [line.name for line in panel.tried[0].sides[1].lines] == ["ApiCalls", "Seats"]
    assert [one.name for one in panel.pictures[0].chart.drawn] == ["Active v1", "Draft v2"]
    assert "5,000 of 5,000 free" in page


def test_many_quantities_at_once(staff: Client, plan: Plan, meter: Meter) -> None:
    other = make_meter("Exports")
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=STORY_RATE)
    set_rate(draft_version(plan), product_item=other.product_item, parameters={"model": "per_unit", "unit_price": "1"})
    panel, _ = look(staff, plan, **{quantity_of(meter): "1000 6000 12300", quantity_of(other): "2 3"})
    assert [(words, *amounts) for words, *amounts in totals(panel)] == [
        ("ApiCalls: 1,000 calls, Exports: 2 calls", "$0.00", "$2.00", "+$2.00"),
        ("ApiCalls: 6,000 calls, Exports: 3 calls", "$5.00", "$8.00", "+$3.00"),
        ("ApiCalls: 12,300 calls, Exports: 3 calls", "$40.00", "$43.00", "+$3.00"),
    ]
    assert [line.is_unpriced for line in panel.tried[0].sides[0].lines] == [False, True]


def test_a_cliff_is_pointed_out_in_words(staff: Client, plan: Plan, meter: Meter) -> None:
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=VOLUME)
    panel, page = look(staff, plan)
    assert panel.pictures[0].cliffs == [
        "Draft v2: Beyond 1,000 calls the price falls from $100.00 to $80.00. More than 800 and up to 1,000 calls cost "
        "more than just over 1,000. It is back at $100.00 with 1,250 calls."
    ]
    assert '<circle class="cliff"' in page
    assert "just above: $80.00" in page


def test_rates_by_dimension_have_a_field_each(staff: Client, plan: Plan, meter: Meter) -> None:
    rate = {"model": "per_unit", "unit_price": "1"}
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=rate, where={"source": ["crm", "shop"]})
    panel, _ = look(staff, plan)
    of_some, of_rest = panel.form.typed
    assert (of_some.label, of_rest.label) == ("ApiCalls (source: crm or shop)", "ApiCalls (all the rest)")
    panel, _ = look(staff, plan, **{of_some.name: "4000", of_rest.name: "3000", "picture": of_some.name})
    assert [side.total for side in panel.tried[0].sides] == ["$10.00", "$4,000.00"]
    assert panel.pictured == "ApiCalls (source: crm or shop)"


def test_single_events_are_typed_as_a_number_of_them(staff: Client, meter: Meter) -> None:
    plan = make_plan("cards", {meter: CARDS})
    panel, _ = look(staff, plan, **{quantity_of(meter): "100", f"n{quantity_of(meter)}": "3"})
    assert totals(panel) == [("100 calls", "$1.90", "")]
    assert panel.pictures[0].notes[-1] == "Drawn for events of 33.333333333333333 calls each."


def test_the_dots_of_single_events_agree_with_the_table(staff: Client, meter: Meter) -> None:
    plan = make_plan("cards", {meter: CARDS})
    panel, _ = look(staff, plan, **{quantity_of(meter): "100 1000", f"n{quantity_of(meter)}": "3"})
    assert totals(panel) == [("100 calls", "$1.90", ""), ("1,000 calls", "$10.90", "")]
    assert [dot.words for dot in panel.pictures[0].chart.asked] == ["100: $1.90", "1,000: $10.90"]
    assert "The dots are for the events that you typed" in panel.pictures[0].notes[-1]


def test_one_time_fees_are_in_the_first_period(staff: Client, plan: Plan, meter: Meter) -> None:
    set_fee(draft_version(plan), key="setup", name="Set-up", kind="one_time", amount=Decimal(99))
    panel, _ = look(staff, plan, **{quantity_of(meter): "0", "first": "on"})
    assert totals(panel) == [("0 calls", "$0.00", "$99.00", "+$99.00")]


def test_other_currencies_have_a_picture_each(staff: Client, plan: Plan, meter: Meter) -> None:
    set_terms(draft_version(plan), currency="JPY")
    panel, page = look(staff, plan, **{quantity_of(meter): "6000 7000"})
    assert [picture.names for picture in panel.pictures] == [["Draft v2"], ["Active v1"]]
    assert totals(panel)[0] == ("6,000 calls", "$5.00", "¥5", "")
    assert "other currency" in page


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("12,300", "Leave out thousands separators: 12300."),
        ("-1", "This must not be negative."),
        ("1 x", "This is a number, such as 12.5; several have blanks between them."),
        ("NaN", "This is a number, such as 12.5; several have blanks between them."),
        ("1e25", "This must not be greater than 10^24."),
        ("1 2 3 4 5 6 7", "At most 6 quantities at once."),
        ("\0", "Null characters are not allowed."),
    ],
)
def test_what_is_no_quantity_is_refused_beside_its_field(
    staff: Client, plan: Plan, meter: Meter, typed: str, error: str
) -> None:
    panel, _ = look(staff, plan, **{quantity_of(meter): typed})
    assert panel.form.errors[quantity_of(meter)] == [error]
    assert panel.tried == []
    assert len(panel.pictures) == 1


@pytest.mark.parametrize("typed", ["1e24", "0.000000000000001", "0"])
def test_the_ends_of_what_is_allowed(staff: Client, plan: Plan, meter: Meter, typed: str) -> None:
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=CARDS)
    panel, _ = look(staff, plan, **{quantity_of(meter): typed, f"n{quantity_of(meter)}": "10000"})
    assert len(panel.tried) == 1


def test_a_plan_without_prices_has_none(staff: Client) -> None:
    plan = Plan.objects.create(key="empty")
    draft_version(plan)
    assert look(staff, plan)[0] is None
