"""Looking before a price changes, in a browser: "Try it" with its picture, and a backtest that a worker works on."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import expect

from pricing.plans import draft_version, set_rate
from tests.browser.conftest import NewPage
from tests.browser.test_story import PASSWORD, sign_in
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, send
from tests.scenarios.live import Live

pytestmark = pytest.mark.django_db(transaction=True)

VOLUME = {"model": "volume", "tiers": [{"up_to": "1000", "unit_price": "0.1"}, {"up_to": None, "unit_price": "0.08"}]}


def test_from_typed_quantities_to_what_customers_would_have_paid(live: Live, new_page: NewPage) -> None:
    User.objects.create_superuser("staff", password=PASSWORD)
    meter = make_meter()
    plan = make_plan("Basic", {meter: STORY_RATE})
    set_rate(draft_version(plan), product_item=meter.product_item, parameters=VOLUME)
    last_month = (timezone.now().date().replace(day=1) - timedelta(days=1)).replace(day=1)
    put_on(make_customer("acme", name="Acme Retail"), plan, last_month)
    send("acme", "ApiCalls", 6000, time=datetime(last_month.year, last_month.month, 10, tzinfo=UTC))
    staff = new_page()
    sign_in(staff, f"/admin/pricing/plan/{plan.pk}/change/", "staff")

    panel = staff.locator("#try")
    expect(panel).to_contain_text("Beyond 1,000 calls the price falls from $100.00 to $80.00.")
    expect(panel.locator(".chart-plot path")).not_to_have_count(0)
    panel.get_by_label("ApiCalls:").fill("6000 12300")
    panel.get_by_role("button", name="What does it cost?").click()
    expect(panel.locator("tbody tr").first).to_contain_text("$5.00")
    expect(panel.locator("tbody tr").first).to_contain_text("$480.00")

    staff.get_by_role("button", name="Start a backtest").click()
    # The page follows the worker without being loaded again.
    expect(staff.locator("#customers")).to_contain_text("Acme Retail")
    expect(staff.locator("#customers tbody")).to_contain_text("+$475.00")
    staff.get_by_role("link", name="Change ↓").click()
    expect(staff.locator("th.sorted")).to_have_attribute("aria-sort", "ascending")
    with staff.expect_download() as download:
        staff.get_by_role("link", name="CSV", exact=True).click()
    assert download.value.suggested_filename.startswith("backtest-Basic-")

    phone = new_page(viewport={"width": 390, "height": 800})
    sign_in(phone, f"/admin/pricing/plan/{plan.pk}/change/", "staff")
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
