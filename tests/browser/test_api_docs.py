"""`/v1/docs` in a browser, under the policy that all pages have."""

import re

import pytest
from playwright.sync_api import expect

from meters.keys import create_api_key
from tests.browser.conftest import NewPage
from tests.factories import make_customer

pytestmark = pytest.mark.django_db(transaction=True)


PHONE = {"viewport": {"width": 390, "height": 844}}


# Drawing takes its time: all calls are opened on a phone, where width is short, and every sixth one elsewhere.
@pytest.mark.parametrize(
    ("options", "scheme", "every"),
    [(PHONE, "light", 1), ({}, "light", 6), (PHONE, "dark", 6), ({}, "dark", 6)],
    ids=["phone", "wide", "phone, dark", "wide, dark"],
)
def test_calls_open_without_a_complaint(new_page: NewPage, options: dict, scheme: str, every: int) -> None:
    page = new_page(**options, color_scheme=scheme)
    answer = page.goto("/v1/docs")
    assert answer is not None
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"script-src 'self'", "style-src 'self'"} <= set(policy)
    calls = page.locator(".opblock-summary-control")
    expect(calls.first).to_be_visible()
    assert calls.count() >= 15
    # One at a time: the page draws all that is open anew at each click.
    for call in calls.all()[::every]:
        call.click()
        expect(page.locator(".opblock.is-open .opblock-body")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        call.click()
        expect(page.locator(".opblock.is-open")).to_have_count(0)
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
