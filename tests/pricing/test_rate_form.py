"""The rate form: parameters out of typed text, and every refusal beside the field or in the tier row it is about."""

from typing import Any

import pytest
from django.test import Client

from pricing.admin.rate_form import RateForm
from pricing.admin.version_view import telling_quantities
from pricing.models import Plan, PlanVersion, ProductItem, Rate
from pricing.plans import activate, draft_version, set_rate
from pricing.rates import parse_rate
from tests.factories import STORY_RATE, make_meter
from tests.pricing.rate_forms import tier, typed

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> PlanVersion:
    return draft_version(Plan.objects.create(key="Basic"))


@pytest.fixture
def item() -> ProductItem:
    return make_meter().product_item


GOOD = {
    "per unit": (
        {"model": "per_unit", "unit_price": " 0.0004 "},
        [],
        {"model": "per_unit", "unit_price": "0.0004"},
    ),
    "block with a free tier": (
        {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"},
        [],
        STORY_RATE,
    ),
    "block, only full ones, with limits": (
        {
            "model": "block",
            "block_size": "10",
            "block_price": "1.50",
            "partial_block": "round_down",
            "minimum": "2",
            "maximum": "9",
        },
        [],
        {
            "model": "block",
            "block_size": "10",
            "block_price": "1.5",
            "partial_block": "round_down",
            "minimum": "2",
            "maximum": "9",
        },
    ),
    "graduated, with an empty and a removed row between": (
        {"model": "graduated"},
        [
            tier("1000", "0.01"),
            tier(),
            tier("7", "7", DELETE="on"),
            tier("", "0.005", "3"),
        ],
        {
            "model": "graduated",
            "tiers": [{"up_to": "1000", "unit_price": "0.01"}, {"up_to": None, "unit_price": "0.005", "flat_fee": "3"}],
        },
    ),
    "volume with one tier": (
        {"model": "volume"},
        [tier("", "0")],
        {"model": "volume", "tiers": [{"up_to": None, "unit_price": "0"}]},
    ),
    "what is left in fields of another model does not matter": (
        {"model": "per_unit", "unit_price": "1", "block_size": "a lot", "partial_block": "round_up"},
        [tier("x", "y")],
        {"model": "per_unit", "unit_price": "1"},
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_typed_text_becomes_a_rate(version: PlanVersion, item: ProductItem, name: str) -> None:
    fields, tiers, parameters = GOOD[name]
    form = RateForm(typed(*tiers, product_item=item.pk, **fields), version=version)
    assert form.is_valid(), (form.errors, form.tiers.errors)
    saved = form.save()
    assert saved is not None
    assert saved.parameters == parameters
    # And back again: what the form of the saved rate shows is what saves to the same.
    again = RateForm(version=version, rate=saved)
    assert {name: again.initial.get(name) for name in ("model", "unit_price", "block_size")} == {
        name: parameters.get(name) for name in ("model", "unit_price", "block_size")
    }


BAD = [
    ({"model": "per_unit"}, "unit_price", "Write a number; 0 is one too."),
    ({"model": "per_unit", "unit_price": "1,000"}, "unit_price", "Leave out thousands separators"),
    ({"model": "per_unit", "unit_price": "0,5"}, "unit_price", "write decimals with a point"),
    ({"model": "per_unit", "unit_price": "1 000"}, "unit_price", "Write a number, such as 1000 or 12.5."),
    ({"model": "per_unit", "unit_price": "$5"}, "unit_price", "Write a number, such as 1000 or 12.5."),
    ({"model": "per_unit", "unit_price": "NaN"}, "unit_price", "Write a number"),
    ({"model": "per_unit", "unit_price": "-1"}, "unit_price", "Must not be negative."),
    ({"model": "per_unit", "unit_price": "0.0000000000000001"}, "unit_price", "more than 15 decimals"),
    ({"model": "per_unit", "unit_price": "1", "included_units": "many"}, "included_units", "Write a number"),
    ({"model": "per_unit", "unit_price": "1", "minimum": "5", "maximum": "4"}, "maximum", "below the minimum"),
    ({"model": "block", "block_size": "0", "block_price": "5"}, "block_size", "Must be greater than 0."),
    ({"model": "block", "block_size": "10"}, "block_price", "Write a number"),
    ({"model": "block", "block_size": "1", "block_price": "1", "partial_block": "x"}, "partial_block", "valid choice"),
    ({"model": "stolen"}, "model", "valid choice"),
    ({}, "model", "required"),
]


@pytest.mark.parametrize(("fields", "field", "error"), BAD)
def test_a_refusal_stands_beside_its_field(
    version: PlanVersion, item: ProductItem, fields: dict[str, str], field: str, error: str
) -> None:
    form = RateForm(typed(product_item=item.pk, **fields), version=version)
    assert not form.is_valid()
    assert list(form.errors) == [field]
    assert error in form.errors[field][0]


BAD_TIERS = [
    ([tier("1000", "1"), tier("500", "1"), tier("", "1")], 1, "up_to", "greater than the bound of the tier before"),
    ([tier("0", "1"), tier("", "1")], 0, "up_to", "Must be greater than 0."),
    ([tier("", "1"), tier("", "2")], 0, "up_to", "only the last tier is without one"),
    ([tier("10", "1"), tier("20", "2")], 1, "up_to", "leave its bound empty, or add a tier"),
    # The row, not the tier: an empty row before it does not count.
    ([tier("10", "1"), tier(), tier("5", "1"), tier("", "1")], 2, "up_to", "greater than the bound"),
    ([tier("10", ""), tier("", "1")], 0, "unit_price", "Write a number; 0 is one too."),
    ([tier("1,000", "1"), tier("", "1")], 0, "up_to", "Leave out thousands separators"),
    ([tier("10", "1"), tier("", "1", "free")], 1, "flat_fee", "Write a number"),
]


@pytest.mark.parametrize(("tiers", "row", "field", "error"), BAD_TIERS)
def test_a_refusal_stands_in_its_tier_row(
    version: PlanVersion, item: ProductItem, tiers: list[dict[str, str]], row: int, field: str, error: str
) -> None:
    form = RateForm(typed(*tiers, product_item=item.pk, model="graduated"), version=version)
    assert not form.is_valid()
    assert {index: list(tier.errors) for index, tier in enumerate(form.tiers.forms) if tier.errors} == {row: [field]}
    assert error in form.tiers.forms[row].errors[field][0]


@pytest.mark.parametrize("tiers", [[], [tier()], [tier("1", "1", DELETE="on")]])
def test_tiers_are_needed(version: PlanVersion, item: ProductItem, tiers: list[dict[str, str]]) -> None:
    form = RateForm(typed(*tiers, product_item=item.pk, model="volume"), version=version)
    assert not form.is_valid()
    assert form.non_field_errors() == ["Add at least one tier."]


def test_a_tampered_tier_form_is_refused_without_an_error(version: PlanVersion, item: ProductItem) -> None:
    data = typed(product_item=item.pk, model="graduated")
    del data["tiers-TOTAL_FORMS"]
    assert not RateForm(data, version=version).is_valid()


def test_only_items_without_a_price_can_be_added(version: PlanVersion, item: ProductItem) -> None:
    retired = make_meter("Old")
    retired.used_for_billing = False
    retired.save()
    fresh = make_meter("New", dimensions=[]).product_item
    priced = make_meter("Priced", dimensions=[]).product_item
    set_rate(version, product_item=priced, parameters=STORY_RATE)
    # One whose meter has dimensions can have a price for each filter.
    set_rate(version, product_item=item, parameters=STORY_RATE)
    form = RateForm(typed(product_item=priced.pk, model="per_unit", unit_price="1"), version=version)
    assert list(form.fields["product_item"].queryset) == [item, fresh]  # type: ignore[attr-defined]
    assert list(form.errors) == ["product_item"]


# --- The page ---


def test_a_version_activated_meanwhile_refuses(staff: Client, version: PlanVersion, item: ProductItem) -> None:
    rate = set_rate(version, product_item=item, parameters=STORY_RATE)
    page = f"/admin/pricing/plan/{version.plan_id}/rates/{rate.pk}/"
    assert staff.get(page).status_code == 200
    activate(version.plan)
    response = staff.post(page, typed(model="per_unit", unit_price="9"), follow=True)
    assert "are frozen" in response.content.decode()
    remove = staff.post(f"{page}remove/", follow=True)
    assert "its prices are frozen" in remove.content.decode()
    assert Rate.objects.get().parameters == STORY_RATE


def test_a_draft_activated_between_check_and_write_refuses(version: PlanVersion, item: ProductItem) -> None:
    rate = set_rate(version, product_item=item, parameters=STORY_RATE)
    form = RateForm(typed(model="per_unit", unit_price="9"), version=version, rate=rate)
    assert form.is_valid()
    activate(version.plan)
    assert form.save() is None
    assert "frozen" in form.non_field_errors()[0]


def test_add_tier_works_without_javascript(staff: Client, version: PlanVersion, item: ProductItem) -> None:
    data = typed(tier("1000", "0.01"), tier("", ""), product_item=item.pk, model="graduated", add_tiers="1")
    response = staff.post(f"/admin/pricing/plan/{version.plan_id}/rates/add/", data)
    form = response.context["form"]
    assert len(form.tiers.forms) == 3
    assert form.tiers.forms[0]["unit_price"].value() == "0.01"
    assert "errornote" not in response.content.decode()
    assert not Rate.objects.exists()


def test_the_rate_of_another_plan_is_not_found_here(staff: Client, version: PlanVersion, item: ProductItem) -> None:
    rate = set_rate(version, product_item=item, parameters=STORY_RATE)
    other = Plan.objects.create(key="Other")
    assert staff.get(f"/admin/pricing/plan/{other.pk}/rates/{rate.pk}/").status_code == 404


@pytest.mark.parametrize(
    ("parameters", "quantities"),
    [
        (STORY_RATE, [0, 5000, 5001, 6000, 15000]),
        ({"model": "per_unit", "unit_price": "1"}, [0, 1, 1000]),
        ({"model": "per_unit", "unit_price": "1", "included_units": "20"}, [0, 20, 21, 200]),
        (
            {"model": "volume", "tiers": [{"up_to": "10", "unit_price": "2"}, {"up_to": None, "unit_price": "1"}]},
            [0, 1, 10, 11, 100],
        ),
    ],
)
def test_the_quantities_that_show_what_a_rate_charges(parameters: dict[str, Any], quantities: list[int]) -> None:
    assert telling_quantities(parse_rate(parameters)) == quantities
