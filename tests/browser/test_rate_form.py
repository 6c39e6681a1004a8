"""The rate form in a browser: only the fields of the chosen model, tiers with running bounds, conditions in rows."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from pricing.models import Plan, Rate
from pricing.plans import draft_version
from tests.browser.conftest import NewPage
from tests.browser.test_story import PASSWORD, sign_in
from tests.factories import make_meter

pytestmark = pytest.mark.django_db(transaction=True)

FIELDS = {
    "per_unit": {"unit_price"},
    "block": {"block_size", "block_price", "partial_block"},
    "percentage": {
        "rate_percent",
        "fixed_fee_per_event",
        "per_event_min",
        "per_event_max",
        "free_events",
        "free_amount",
    },
}
COLUMNS = {
    "graduated": {"unit_price", "flat_fee"},
    "volume": {"unit_price", "flat_fee"},
    "graduated_block": {"block_size", "block_price", "flat_fee"},
    "volume_block": {"block_size", "block_price", "flat_fee"},
    "graduated_percentage": {"rate_percent", "flat_fee"},
    "stairstep": {"flat_price"},
}


def test_a_price_of_tiers_for_some_usage(new_page: NewPage) -> None:
    User.objects.create_superuser("staff", password=PASSWORD)
    item = make_meter(dimensions=["region"]).product_item
    plan = Plan.objects.create(key="Basic")
    draft_version(plan)
    staff = new_page()
    sign_in(staff, f"/admin/pricing/plan/{plan.pk}/rates/add/", "staff")

    fields, columns = set().union(*FIELDS.values()), set().union(*COLUMNS.values())
    for model in (*FIELDS, *COLUMNS):
        staff.locator(f'input[name="model"][value="{model}"]').check()
        shown = {name for name in fields if staff.locator(f"#id_{name}").is_visible()}
        assert shown == FIELDS.get(model, set()), model
        shown = {name for name in columns if staff.locator(f"#id_tiers-0-{name}").is_visible()}
        assert shown == COLUMNS.get(model, set()), model

    staff.locator('input[name="model"][value="graduated_block"]').check()
    staff.locator("#id_product_item").select_option(str(item.pk))
    staff.locator("#id_tiers-0-up_to").fill("1500")
    staff.get_by_role("button", name="Add tier").click()
    # What was the last tier is bounded now, and the new one has the columns of the model and nothing more.
    staff.keyboard.type("2000")
    lower = staff.locator(".tier-row .tier-lower")
    expect(lower).to_have_text(["0", "1500", "2000"])
    expect(staff.locator("#id_tiers-2-block_size")).to_be_visible()
    expect(staff.locator("#id_tiers-2-unit_price")).to_be_hidden()
    staff.locator(".tier-row").nth(1).get_by_role("button", name="Remove").click()
    expect(lower.locator("visible=true")).to_have_text(["0", "1500"])
    for row, (size, price) in {0: ("1000", "5"), 2: ("100", "0.4")}.items():
        staff.locator(f"#id_tiers-{row}-block_size").fill(size)
        staff.locator(f"#id_tiers-{row}-block_price").fill(price)

    staff.locator("#id_where-0-dimension").select_option("region")
    staff.get_by_role("button", name="Save price").click()
    expect(staff.locator(".condition-row").first).to_contain_text("Write the values that this price is for")
    # The removed tier does not come back.
    expect(staff.locator(".tier-row").locator("visible=true")).to_have_count(2)
    staff.locator("#id_where-0-texts").fill("eu\nus")
    staff.get_by_role("button", name="Add condition").click()
    staff.locator(".condition-row").nth(1).get_by_role("button", name="Remove").click()
    staff.get_by_role("button", name="Save price").click()
    expect(staff.get_by_role("status").first).to_contain_text("ApiCalls where region is eu or us")
    rate = Rate.objects.get()
    assert rate.where == {"region": ["eu", "us"]}
    assert rate.parameters == {
        "model": "graduated_block",
        "tiers": [
            {"up_to": "1500", "block_size": "1000", "block_price": "5"},
            {"up_to": None, "block_size": "100", "block_price": "0.4"},
        ],
    }
