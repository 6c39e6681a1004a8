"""The rate form's filter and its share of a period: rows of dimensions with values, and what they may not be."""

import pytest
from django.test import Client

from pricing.admin.rate_form import RateForm
from pricing.models import Plan, PlanVersion, ProductItem, Rate
from pricing.plans import activate, draft_version, set_rate
from pricing.private_plans import make_private
from tests.factories import make_customer, make_meter
from tests.pricing.rate_forms import condition, tier, typed

pytestmark = pytest.mark.django_db

ONE = {"model": "per_unit", "unit_price": "1"}
TWO = {"model": "per_unit", "unit_price": "2"}


@pytest.fixture
def version() -> PlanVersion:
    return draft_version(Plan.objects.create(key="Basic"))


@pytest.fixture
def item() -> ProductItem:
    return make_meter(dimensions=["region", "tier"]).product_item


def test_rows_become_a_filter(version: PlanVersion, item: ProductItem) -> None:
    rows = (
        condition("region", " us\r\neu\r\n\r\neu "),
        condition(),
        condition("tier", "x", DELETE="on"),
        condition("tier", "gold, or silver"),
    )
    form = RateForm(typed(product_item=item.pk, where=rows, prorated="on", **ONE), version=version)
    assert form.is_valid(), (form.errors, form.conditions.errors)
    saved = form.save()
    assert saved is not None
    assert saved.where == {"region": ["eu", "us"], "tier": ["gold, or silver"]}
    assert saved.prorated
    again = RateForm(version=version, rate=saved)
    assert [row.initial for row in again.conditions.forms] == [
        {"dimension": "region", "texts": "eu\nus"},
        {"dimension": "tier", "texts": "gold, or silver"},
    ]
    assert again["prorated"].value() is True


def test_without_rows_the_price_is_of_all_the_rest(version: PlanVersion, item: ProductItem) -> None:
    form = RateForm(typed(product_item=item.pk, **ONE), version=version)
    assert form.is_valid()
    saved = form.save()
    assert saved is not None
    assert saved.where == {}
    assert not saved.prorated


BAD = [
    ((condition("region"),), 0, "texts", "Write the values"),
    ((condition("region", " \n "),), 0, "texts", "Write the values"),
    ((condition(), condition("", "eu")), 1, "dimension", "Choose the dimension"),
    ((condition("region", "eu"), condition("region", "us")), 1, "dimension", "into one row"),
    ((condition("plant", "eu"),), 0, "dimension", "valid choice"),
    # Another item's meter has it, this one's has not.
    ((condition("colour", "red"),), 0, "dimension", "no dimension of ApiCalls, which declares region, tier."),
    ((condition("region", "e\0u"),), 0, "texts", "Null characters"),
]


@pytest.mark.parametrize(("rows", "row", "field", "error"), BAD)
def test_a_refusal_stands_in_its_row(
    version: PlanVersion, item: ProductItem, rows: tuple[dict[str, str], ...], row: int, field: str, error: str
) -> None:
    make_meter("Paint", dimensions=["colour"])
    form = RateForm(typed(product_item=item.pk, where=rows, **ONE), version=version)
    assert not form.is_valid()
    found = {index: list(form.errors) for index, form in enumerate(form.conditions.forms) if form.errors}
    assert found == {row: [field]}
    assert error in form.conditions.forms[row].errors[field][0]


def test_a_filter_without_its_rows_is_refused_and_not_lost(version: PlanVersion, item: ProductItem) -> None:
    data = typed(product_item=item.pk, where=(condition("region", "eu"),), **ONE)
    del data["where-TOTAL_FORMS"]
    assert not RateForm(data, version=version).is_valid()


def test_a_price_is_not_put_in_place_of_another_unseen(version: PlanVersion, item: ProductItem) -> None:
    set_rate(version, product_item=item, parameters=ONE)
    set_rate(version, product_item=item, parameters=ONE, where={"region": ["us", "eu"]})
    form = RateForm(typed(product_item=item.pk, **TWO), version=version)
    assert form.errors["product_item"] == ["ApiCalls has a price without a condition already: edit that one."]
    form = RateForm(typed(product_item=item.pk, where=(condition("region", "eu\nus"),), **TWO), version=version)
    assert "where exactly this is so already" in form.errors["product_item"][0]
    form = RateForm(typed(product_item=item.pk, where=(condition("region", "eu"),), **TWO), version=version)
    assert form.is_valid()


def test_another_filter_moves_the_price(version: PlanVersion, item: ProductItem) -> None:
    rest = set_rate(version, product_item=item, parameters=ONE)
    rate = set_rate(version, product_item=item, parameters=ONE, where={"region": ["eu"]})
    form = RateForm(typed(where=(condition("region", "us"),), **TWO), version=version, rate=rate)
    assert form.is_valid(), form.errors
    assert form.save() is not None
    assert {str(row.where): row.parameters for row in version.rates.all()} == {
        "{}": rest.parameters,
        "{'region': ['us']}": TWO,
    }
    taken = RateForm(typed(**TWO), version=version, rate=version.rates.exclude(where={}).get())
    assert taken.non_field_errors() == ["ApiCalls has a price without a condition already: edit that one."]


def test_the_filter_of_a_price_of_the_base_plan_stays(version: PlanVersion, item: ProductItem) -> None:
    set_rate(version, product_item=item, parameters=ONE, where={"region": ["eu"]})
    activate(version.plan)
    private = make_private(Plan.objects.get(key="Basic"), customer=make_customer())
    draft = draft_version(private)
    form = RateForm(typed(where=(condition("region", "us"),), **TWO), version=draft, rate=draft.rates.get())
    assert form.is_valid()
    assert form.save() is None
    assert "give it a price of 0 here instead" in form.non_field_errors()[0]
    assert [rate.where for rate in draft.rates.all()] == [{"region": ["eu"]}]


def test_a_filter_that_nobody_can_type_stays_where_it_is_left_alone(version: PlanVersion, item: ProductItem) -> None:
    rate = set_rate(version, product_item=item, parameters=ONE, where={"region": [" eu", "us"]})
    form = RateForm(typed(where=(condition("region", " eu\r\nus"),), **TWO), version=version, rate=rate)
    assert form.is_valid()
    assert form.save() is not None
    assert version.rates.get().where == {"region": [" eu", "us"]}
    assert version.rates.get().parameters == TWO


# --- The page ---


def test_add_condition_works_without_javascript(staff: Client, version: PlanVersion, item: ProductItem) -> None:
    rows = (condition("region", "eu"), condition("tier", "gold", DELETE="on"))
    data = typed(tier("10", "1"), tier("", "2"), where=rows, product_item=item.pk, model="volume", add_where="1")
    response = staff.post(f"/admin/pricing/plan/{version.plan_id}/rates/add/", data)
    form = response.context["form"]
    assert [row["dimension"].value() for row in form.conditions.forms] == ["region", None]
    assert form.conditions.forms[0]["texts"].value() == "eu"
    assert [row["unit_price"].value() for row in form.tiers.forms] == ["1", "2"]
    assert "errornote" not in response.content.decode()
    assert not Rate.objects.exists()


def test_the_page_names_the_filter_and_its_refusals(staff: Client, version: PlanVersion, item: ProductItem) -> None:
    rate = set_rate(version, product_item=item, parameters=ONE, where={"region": ["eu", "us"]})
    page = f"/admin/pricing/plan/{version.plan_id}/rates/{rate.pk}/"
    body = staff.get(page).content.decode()
    assert "Price of ApiCalls where region is eu or us" in body
    refused = staff.post(page, typed(where=(condition("region"),), **TWO)).content.decode()
    assert "Write the values that this price is for" in refused
    assert "Please correct the errors below." in refused
    saved = staff.post(page, typed(where=(condition("region", "eu"),), **TWO), follow=True).content.decode()
    assert "ApiCalls where region is eu in Basic v1: $2.00 per call" in saved


def test_a_meter_without_dimensions_has_no_conditions(staff: Client, version: PlanVersion) -> None:
    rate = set_rate(version, product_item=make_meter("Plain", dimensions=[]).product_item, parameters=ONE)
    page = f"/admin/pricing/plan/{version.plan_id}/rates/{rate.pk}/"
    assert "Only usage where" not in staff.get(page).content.decode()
    assert staff.post(page, typed(**TWO)).status_code == 302
    rate.refresh_from_db()
    assert rate.parameters == TWO
