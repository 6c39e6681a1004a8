"""A customer by keyboard alone: signs in, finds the number and why, downloads, changes the range, sets an alert."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from invoices.models import Alert
from meters.models import Customer
from tests.browser.conftest import NewPage
from tests.browser.test_story import PASSWORD, member_of
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep, send

pytestmark = pytest.mark.django_db(transaction=True)

# More stops than any page has before what one looks for.
FAR = 120


@pytest.fixture
def acme(transactional_db: None) -> Customer:
    """6,000 calls in each of the last two months and 12,300 in this one."""
    plan = make_plan("Growth", {make_meter("ApiCalls", name="API calls"): STORY_RATE})
    customer = make_customer("acme", name="Acme Corp")
    now = datetime.now(UTC)
    last = now.replace(day=1) - timedelta(days=1)
    put_on(customer, plan, last.date().replace(day=1))
    send("acme", "ApiCalls", 6000, time=last)
    send("acme", "ApiCalls", 12300, time=now, source="crm")
    run_sweep()
    run_sweep()
    member_of(customer, "anna@acme.example")
    return customer


def go_to(page: Page, wanted: Locator) -> Locator:
    """Presses the tab key until the focus is there. What is focused has to be seen."""
    for _ in range(FAR):
        page.keyboard.press("Tab")
        if wanted.evaluate("one => one === document.activeElement"):
            outline = wanted.evaluate("one => getComputedStyle(one).outlineStyle")
            assert outline != "none", f"one does not see where the focus is: {wanted}"
            return wanted
    raise AssertionError(f"No tab leads to {wanted}")


def test_by_keyboard_alone(new_page: NewPage, acme: Customer) -> None:
    page = new_page()
    page.goto("/")
    expect(page.locator("input[name=username]")).to_be_focused()
    page.keyboard.type("anna@acme.example")
    go_to(page, page.locator("input[name=password]"))
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "sign-in" not in url)

    # The number, and why.
    main = page.locator("main")
    expect(main).to_contain_text("Charges so far")
    expect(main).to_contain_text("$40.00")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    why = page.locator("main summary", has_text="Why").first
    go_to(page, why)
    page.keyboard.press("Enter")
    expect(main).to_contain_text("7,300 calls = 8 blocks x $5.00")
    expect(page.get_by_text("7,300 calls = 8 blocks x $5.00").first).to_be_visible()

    # The last invoice, its days and its files.
    page.goto("/invoices/")
    go_to(page, page.locator("section[aria-labelledby=issued] a.row-link").first)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Invoice ")
    number = page.get_by_role("heading", level=1).inner_text().removeprefix("Invoice ")
    for name in ("PDF", "CSV"):
        link = go_to(page, page.get_by_role("link", name=name, exact=True))
        with page.expect_download() as download:
            link.press("Enter")
        assert number in download.value.suggested_filename
        assert download.value.suggested_filename.endswith(f".{name.lower()}")
        assert download.value.path().stat().st_size > 100
    go_to(page, page.locator("main summary").first)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Most: 6,000 calls on")).to_be_visible()
    go_to(page, page.get_by_role("link", name="Days and events").first)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Events")).to_be_visible()

    # Another range of usage.
    page.goto("/usage/")
    expect(page.locator("main")).to_contain_text("12,300")
    period = go_to(page, page.locator("select[name=period]"))
    before = period.input_value()
    page.keyboard.press("ArrowDown")
    expect(page.locator("main")).to_contain_text("6,000")
    assert period.input_value() != before
    assert "period=" in page.url

    # An alert.
    page.goto("/alerts/")
    go_to(page, page.get_by_role("link", name="Add an alert"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/alerts/add/")
    go_to(page, page.locator("main a[href*='kind=amount']"))
    page.keyboard.press("Enter")
    page.wait_for_url("**kind=amount")
    go_to(page, page.get_by_label("Name"))
    page.keyboard.type("Fifty")
    go_to(page, page.locator("input[name=threshold]"))
    page.keyboard.type("50")
    page.keyboard.press("Enter")
    page.wait_for_url("**/alerts/")
    expect(page.locator("main")).to_contain_text("Fifty")
    assert Alert.objects.get(customer=acme, name="Fifty").threshold == 50
