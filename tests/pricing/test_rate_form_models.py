"""The rate form's models with blocks in tiers, percentages and flat prices: typed, refused, and shown again."""

from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client

from pricing.admin.rate_form import FIELDS, MODELS, RateForm
from pricing.admin.rate_rows import TIER_FIELDS
from pricing.models import Plan, PlanVersion, ProductItem, Rate
from pricing.plans import draft_version, set_rate
from pricing.rate_models import MODELS as RATE_MODELS
from tests.factories import make_meter
from tests.pricing.rate_forms import tier, typed

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> PlanVersion:
    return draft_version(Plan.objects.create(key="Basic"))


@pytest.fixture
def item() -> ProductItem:
    return make_meter().product_item


def test_the_form_has_every_model() -> None:
    assert [name for name, _ in MODELS] == list(RATE_MODELS)
    assert {*FIELDS, *TIER_FIELDS} == set(RATE_MODELS)


PERCENTAGE = {
    "model": "percentage",
    "rate_percent": "2.9",
    "fixed_fee_per_event": "0.3",
    "free_events": "10",
    "free_amount": "100",
    "per_event_min": "0.05",
    "per_event_max": "5",
}
GOOD: list[tuple[dict[str, str], list[dict[str, str]], dict[str, Any]]] = [
    (
        {"model": "graduated_block"},
        # What is left in the columns of other models does not matter.
        [
            tier("1500", "x", block_size="1000", block_price="5"),
            tier("", "", "1", block_size="100", block_price="0.4", flat_price="y"),
        ],
        {
            "model": "graduated_block",
            "tiers": [
                {"up_to": "1500", "block_size": "1000", "block_price": "5"},
                {"up_to": None, "block_size": "100", "block_price": "0.4", "flat_fee": "1"},
            ],
        },
    ),
    (
        {"model": "volume_block"},
        [tier(block_size="10", block_price="0")],
        {"model": "volume_block", "tiers": [{"up_to": None, "block_size": "10", "block_price": "0"}]},
    ),
    ({**PERCENTAGE, "fixed_fee_per_event": "0.30"}, [], PERCENTAGE),
    (
        {"model": "percentage", "rate_percent": "2.9", "free_events": "", "included_units": "100"},
        [tier("x", "y")],
        {"model": "percentage", "rate_percent": "2.9", "included_units": "100"},
    ),
    ({**PERCENTAGE, "free_events": "0"}, [], {**PERCENTAGE, "free_events": "0"}),
    (
        {"model": "graduated_percentage"},
        [tier("1000", rate_percent="2.5"), tier(flat_fee="3", rate_percent="1")],
        {
            "model": "graduated_percentage",
            "tiers": [{"up_to": "1000", "rate_percent": "2.5"}, {"up_to": None, "rate_percent": "1", "flat_fee": "3"}],
        },
    ),
    (
        {"model": "stairstep", "minimum": "5"},
        [tier("10", "", "77", flat_price="0"), tier(flat_price="90")],
        {
            "model": "stairstep",
            "tiers": [{"up_to": "10", "flat_price": "0"}, {"up_to": None, "flat_price": "90"}],
            "minimum": "5",
        },
    ),
]


def sent_again(form: RateForm) -> QueryDict:
    """What a browser sends of a form that was opened and left as it was."""
    rows = [{name: field.value() or "" for name, field in _named(row)} for row in form.tiers.forms]
    fields = {name: field.value() or "" for name, field in _named(form) if name != "prorated"}
    return typed(*rows, **fields)


def _named(form: Any) -> list[tuple[str, Any]]:
    return [(name, form[name]) for name in form.fields if name != "DELETE"]


@pytest.mark.parametrize(("fields", "tiers", "parameters"), GOOD, ids=[row[0]["model"] for row in GOOD])
def test_typed_text_becomes_a_rate_and_is_shown_again(
    version: PlanVersion,
    item: ProductItem,
    fields: dict[str, str],
    tiers: list[dict[str, str]],
    parameters: dict[str, Any],
) -> None:
    form = RateForm(typed(*tiers, product_item=item.pk, **fields), version=version)
    assert form.is_valid(), (form.errors, form.tiers.errors)
    saved = form.save()
    assert saved is not None
    assert saved.parameters == parameters
    again = RateForm(sent_again(RateForm(version=version, rate=saved)), version=version, rate=saved)
    assert again.is_valid(), (again.errors, again.tiers.errors)
    assert again.parameters() == parameters


BAD: list[tuple[dict[str, str], str, str]] = [
    ({"model": "percentage"}, "rate_percent", "Write a number; 0 is one too."),
    ({**PERCENTAGE, "rate_percent": "2.9%"}, "rate_percent", "Write a number, such as"),
    ({**PERCENTAGE, "fixed_fee_per_event": "0,30"}, "fixed_fee_per_event", "write decimals with a point"),
    ({**PERCENTAGE, "free_events": "2.5"}, "free_events", "Must be a whole number."),
    ({**PERCENTAGE, "free_amount": "-1"}, "free_amount", "Must not be negative."),
    ({**PERCENTAGE, "per_event_min": "6"}, "per_event_max", "Must not be below the minimum of an event."),
]


@pytest.mark.parametrize(("fields", "field", "error"), BAD)
def test_a_refusal_stands_beside_its_field(
    version: PlanVersion, item: ProductItem, fields: dict[str, str], field: str, error: str
) -> None:
    form = RateForm(typed(product_item=item.pk, **fields), version=version)
    assert not form.is_valid()
    assert list(form.errors) == [field]
    assert error in form.errors[field][0]


BAD_TIERS: list[tuple[str, list[dict[str, str]], int, str, str]] = [
    ("graduated_block", [tier(block_size="10")], 0, "block_price", "Write a number; 0 is one too."),
    ("graduated_block", [tier(block_size="0", block_price="1")], 0, "block_size", "Must be greater than 0."),
    (
        "volume_block",
        [tier("5", block_size="1", block_price="1"), tier("4", block_size="1", block_price="1"), tier(block_size="1")],
        2,
        "block_price",
        "Write a number",
    ),
    ("graduated_percentage", [tier("10"), tier(rate_percent="1")], 0, "rate_percent", "Write a number"),
    ("graduated_percentage", [tier(rate_percent="1%")], 0, "rate_percent", "such as 1000 or 12.5"),
    (
        "stairstep",
        [tier("9", flat_price="1"), tier("9", flat_price="2"), tier(flat_price="3")],
        1,
        "up_to",
        "greater",
    ),
    ("stairstep", [tier("10", "1")], 0, "flat_price", "Write a number; 0 is one too."),
]


@pytest.mark.parametrize(("model", "tiers", "row", "field", "error"), BAD_TIERS)
def test_a_refusal_stands_in_its_tier_row(
    version: PlanVersion,
    item: ProductItem,
    model: str,
    tiers: list[dict[str, str]],
    row: int,
    field: str,
    error: str,
) -> None:
    form = RateForm(typed(*tiers, product_item=item.pk, model=model), version=version)
    assert not form.is_valid()
    assert {index: list(tier.errors) for index, tier in enumerate(form.tiers.forms) if tier.errors} == {row: [field]}
    assert error in form.tiers.forms[row].errors[field][0]


@pytest.mark.parametrize("options", [{"aggregation": "max"}, {"rounding": "up"}])
def test_a_meter_without_single_events_is_refused_beside_the_model(
    version: PlanVersion, options: dict[str, str]
) -> None:
    item = make_meter("Other", **options).product_item
    form = RateForm(typed(product_item=item.pk, **PERCENTAGE), version=version)
    assert form.is_valid()
    assert form.save() is None
    assert "cannot give the single events" in form.errors["model"][0]
    assert not Rate.objects.exists()


def test_the_page_shows_a_percentage_and_its_refusals(staff: Client, version: PlanVersion, item: ProductItem) -> None:
    rate = set_rate(version, product_item=item, parameters=PERCENTAGE)
    page = f"/admin/pricing/plan/{version.plan_id}/rates/{rate.pk}/"
    body = staff.get(page).content.decode()
    for name, value in PERCENTAGE.items():
        assert f'name="{name}" value="{value}"' in body
    refused = staff.post(page, typed(**{**PERCENTAGE, "free_events": "1.5"}))
    assert "Must be a whole number." in refused.content.decode()
    saved = staff.post(page, typed(**{**PERCENTAGE, "free_events": "11"}), follow=True)
    assert "The first 11 events are free, up to 100 calls in all" in saved.content.decode()


def test_every_column_of_tiers_says_whose_it_is(staff: Client, version: PlanVersion, item: ProductItem) -> None:
    body = staff.get(f"/admin/pricing/plan/{version.plan_id}/rates/add/").content.decode()
    assert '<th scope="col" data-models="stairstep">Price in all</th>' in body
    assert '<th scope="col" data-models="graduated volume">Price per unit</th>' in body
    assert '<th scope="col" data-models="graduated_block volume_block">Units in a block</th>' in body
