"""The meter page in a browser: options that follow the aggregation, events as they come in, a test event."""

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from meters.models import Event, Meter
from tests.browser.conftest import NewPage
from tests.browser.test_story import PASSWORD, sign_in
from tests.factories import make_customer, make_meter, send

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_option_shows_beside_its_aggregation(new_page: NewPage) -> None:
    User.objects.create_superuser("staff", password=PASSWORD)
    staff = new_page()
    sign_in(staff, "/admin/meters/meter/add/", "staff")
    options = {
        "sum": {"value_dimension"},
        "count": set(),
        "unique_count": {"unique_dimension"},
        "percentile": {"percentile", "value_dimension"},
        "time_weighted_sum": {"time_unit", "value_dimension"},
    }
    every = {"unique_dimension", "percentile", "time_unit", "value_dimension"}
    for aggregation, shown in options.items():
        staff.locator("#id_aggregation").select_option(aggregation)
        assert {name for name in every if staff.locator(f"#id_{name}").is_visible()} == shown, aggregation
    expect(staff.locator("#id_rounding_places")).to_be_hidden()
    staff.locator("#id_rounding").select_option("up")
    expect(staff.locator("#id_rounding_places")).to_be_visible()

    # What is missing is told beside the field, which stays where it can be seen.
    staff.locator("#id_key").fill("Seats")
    staff.get_by_role("button", name="Save", exact=True).click()
    expect(staff.locator(".field-time_unit")).to_contain_text("Choose the unit of time")
    staff.locator("#id_time_unit").select_option("day")
    staff.locator("#id_dimensions").fill("region")
    staff.locator("#id_where").fill("region = eu, us")
    staff.get_by_role("button", name="Save", exact=True).click()
    expect(staff.locator(".messagelist")).to_contain_text("Seats")
    meter = Meter.objects.get()
    assert (meter.time_unit, meter.where) == ("day", {"region": ["eu", "us"]})


def test_events_show_as_they_come_in(new_page: NewPage) -> None:
    meter = make_meter(dimensions=["source"], where={"source": ["crm", "<img src=x onerror=alert(1)>"]})
    make_customer("acme", name="Acme Retail")
    send("acme", "ApiCalls", 5, source="crm")
    User.objects.create_superuser("staff", password=PASSWORD)
    staff = new_page()
    sign_in(staff, f"/admin/meters/meter/{meter.pk}/change/", "staff")
    live = staff.locator("#live")
    month = live.get_by_role("row", name="Acme Retail")
    expect(month).to_contain_text("5")
    chart = staff.get_by_role("img", name="ApiCalls")  # fetched after the page
    expect(chart).to_be_visible()

    # While somebody types a test event, what comes in takes nothing from the form.
    customer = staff.get_by_label("Customer key")
    customer.fill("acm")
    send("acme", "ApiCalls", 1000, source="<img src=x onerror=alert(1)>")
    send("acme", "ApiCalls", 70000, source="erp")
    expect(live).to_contain_text("70,000", timeout=15_000)
    expect(live.get_by_role("row", name=re.compile("70,000"))).to_contain_text("Outside of the filter")
    expect(month).to_contain_text("1,005")
    expect(customer).to_have_value("acm")

    customer.fill("acme")
    staff.get_by_label("Value").fill("20")
    staff.get_by_label("source").fill("crm")
    staff.get_by_role("button", name="Send").click()
    expect(staff.locator(".messagelist")).to_contain_text("was taken")
    expect(month).to_contain_text("1,025")
    live.get_by_role("button", name="Void this test event").click()
    expect(staff.locator(".messagelist")).to_contain_text("is voided")
    expect(month).to_contain_text("1,005")
    assert Event.objects.exclude(void=None).count() == 1


def test_a_phone_shows_it_without_scrolling_sideways(new_page: NewPage) -> None:
    meter = make_meter()
    make_customer("acme")
    send("acme", "ApiCalls", 12300, source="a" * 200)
    User.objects.create_superuser("staff", password=PASSWORD)
    staff = new_page(viewport={"width": 360, "height": 640})
    sign_in(staff, "/admin/", "staff")
    for path in ("add/", f"{meter.pk}/change/", f"{meter.pk}/usage/", f"{meter.pk}/test-event/"):
        staff.goto(f"/admin/meters/meter/{path}")
        assert staff.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_it_works_without_javascript(new_page: NewPage) -> None:
    meter = make_meter()
    make_customer("acme")
    User.objects.create_superuser("staff", password=PASSWORD)
    staff = new_page(java_script_enabled=False)
    sign_in(staff, f"/admin/meters/meter/{meter.pk}/change/", "staff")
    staff.get_by_label("Customer key").fill("acne")
    staff.get_by_role("button", name="Send").click()
    expect(staff.locator("#content")).to_contain_text("no customer with this key")
    staff.get_by_label("Customer key").fill("acme")
    staff.get_by_role("button", name="Send").click()
    expect(staff.locator("#live")).to_contain_text("Counts")
    staff.get_by_role("link", name="As a page").click()
    expect(staff.locator("#usage-numbers")).to_contain_text("All 30 days")
