"""The staff pages of product items: renamed, never deleted, with the plans that price them."""

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from pricing.models import ProductItem
from pricing.plans import activate, draft_version, set_rate
from pricing.private_plans import make_private
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan
from tests.pricing.pages import text, words

pytestmark = pytest.mark.django_db


def page(item: ProductItem) -> str:
    return f"/admin/pricing/productitem/{item.pk}/change/"


def test_product_items_are_renamed_and_neither_added_nor_deleted(staff: Client) -> None:
    item = make_meter().product_item
    staff.post(page(item), {"name": "API calls"})
    item.refresh_from_db()
    assert item.name == "API calls"
    assert staff.get("/admin/pricing/productitem/add/").status_code == 403
    assert staff.get(f"/admin/pricing/productitem/{item.pk}/delete/").status_code == 403
    assert "This field is required." in text(staff.post(page(item), {"name": ""}))


def test_unticking_the_meter_retires_the_item_and_says_so(staff: Client) -> None:
    meter = make_meter()
    response = staff.post(
        f"/admin/meters/meter/{meter.pk}/change/",
        {"key": "ApiCalls", "aggregation": "sum", "unit": "calls"},
        follow=True,
    )
    assert "is retired: no plan can add it any more" in text(response)
    assert ProductItem.objects.get().retired_at is not None
    assert "No plan has a price for it." in words(staff.get(page(ProductItem.objects.get())))


def test_an_item_shows_what_it_costs_in_which_plan(staff: Client) -> None:
    meter = make_meter(dimensions=["region"])
    item = meter.product_item
    assert "so usage of ApiCalls is not charged" in words(staff.get(page(item)))
    basic = make_plan("Basic", {meter: STORY_RATE})
    draft = draft_version(basic)
    set_rate(draft, product_item=item, parameters={"model": "per_unit", "unit_price": "9"})
    assert "$9.00" not in words(staff.get(page(item)))  # of a draft
    draft.delete()

    private = make_private(basic, customer=make_customer("acme", name="Acme"))
    set_rate(
        draft_version(private),
        product_item=item,
        parameters={"model": "per_unit", "unit_price": "0.5"},
        where={"region": ["eu"]},
    )
    activate(private)
    rows = [(row.plan.key, row.where, row.words) for row in staff.get(page(item)).context["priced"]]
    assert rows == [
        ("Basic", "", ["5,000 calls free, then $5.00 per started block of 1,000 calls"]),
        ("Basic.acme", "", ["5,000 calls free, then $5.00 per started block of 1,000 calls"]),
        ("Basic.acme", "region is eu", ["$0.50 per call"]),
    ]
    shown = words(staff.get(page(item)))
    assert "of Acme" in shown
    assert "where region is eu" in shown


def test_prices_are_for_those_who_may_see_plans(colleague: Callable[..., Client]) -> None:
    meter = make_meter()
    make_plan("Basic", {meter: STORY_RATE})
    assert "Basic" not in text(colleague("view_productitem").get(page(meter.product_item)))
    assert "Basic" in text(colleague("view_productitem", "view_plan").get(page(meter.product_item)))


def test_the_list_counts_plans_and_asks_as_often_for_many_items_as_for_one(
    staff: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    meters = [make_meter(f"Meter{number}") for number in range(4)]
    make_plan("Basic", {meters[0]: STORY_RATE, meters[1]: STORY_RATE})
    make_plan("Extra", {meters[0]: STORY_RATE})
    with django_assert_max_num_queries(6):
        response = staff.get("/admin/pricing/productitem/")
    assert [item.plans for item in response.context["cl"].result_list] == [2, 1, 0, 0]
