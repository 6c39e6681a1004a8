"""`/v1/docs` in a browser, under the policy that all pages have."""

import re

import pytest
from playwright.sync_api import expect

from meters.keys import create_api_key
from tests.browser.conftest import NewPage
from tests.factories import make_customer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("options", [{}, {"viewport": {"width": 390, "height": 844}}], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_call_opens_without_a_complaint(new_page: NewPage, options: dict, scheme: str) -> None:
    page = new_page(**options, color_scheme=scheme)
    answer = page.goto("/v1/docs")
    assert answer is not None
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"script-src 'self'", "style-src 'self'"} <= set(policy)
    calls = page.locator(".opblock-summary-control")
    expect(calls.first).to_be_visible()
    assert calls.count() >= 15
    for call in calls.all():
        call.click()
        expect(page.locator(".opblock.is-open").last).to_be_visible()
    expect(page.locator(".opblock.is-open")).to_have_count(calls.count())
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("document.documentElement.classList.contains('dark-mode')") == (scheme == "dark")


def test_a_call_can_be_tried_with_a_key(new_page: NewPage) -> None:
    make_customer("acme", name="Acme Retail")
    _, text = create_api_key(name="k", scopes=["read"])
    page = new_page()
    page.goto("/v1/docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container input").first.fill(text)
    page.locator(".auth-container").first.get_by_role("button", name=re.compile("apply", re.IGNORECASE)).click()
    page.get_by_role("button", name="Close").first.click()
    call = page.locator("#operations-customers-get_customer")
    call.locator(".opblock-summary-control").click()
    call.get_by_role("button", name="Try it out").click()
    call.locator("tr[data-param-name=key] input").fill("acme")
    call.get_by_role("button", name="Execute").click()
    expect(call.locator(".live-responses-table")).to_contain_text("Acme Retail")
