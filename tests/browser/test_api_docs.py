"""`/v1/docs` in a browser, under the policy that all pages have."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from meters.keys import create_api_key
from tests.browser.conftest import NewPage
from tests.factories import make_customer

pytestmark = pytest.mark.django_db(transaction=True)


PHONE = {"viewport": {"width": 390, "height": 844}}


def calls(page: Page) -> Iterator[Locator]:
    """All calls, from top to bottom: the page draws only those near the window."""
    expect(page.locator(".opblock").first).to_be_visible()
    seen: set[str] = set()
    while True:
        drawn = page.locator(".opblock").evaluate_all("all => all.map(one => one.id)")
        new = [name for name in drawn if name not in seen]
        for name in new[:1]:
            seen.add(name)
            yield page.locator(f'[id="{name}"]')
        if new:
            continue
        before = page.evaluate("window.scrollY")
        page.evaluate("window.scrollBy(0, 600)")
        page.wait_for_timeout(50)
        if page.evaluate("window.scrollY") == before:
            return


# Opens a call and closes it again: whether it opened, the page was no wider than the window then, and it closed.
OPEN_AND_CLOSE = """async name => {
    const body = () => document.getElementById(name).querySelector(".opblock-body");
    const press = () => document.getElementById(name).querySelector(".opblock-summary-control").click();
    const until = async (condition) => {
        const end = performance.now() + 15000;
        while (!condition() && performance.now() < end) await new Promise(requestAnimationFrame);
        return condition();
    };
    press();
    const opened = await until(() => body() !== null && body().offsetHeight > 0);
    const fits = document.documentElement.scrollWidth <= window.innerWidth;
    press();
    return [opened, fits, await until(() => body() === null)];
}"""


# Drawing takes its time: all calls are opened on a phone, where width is short, and every sixth one elsewhere.
@pytest.mark.parametrize(("options", "every"), [(PHONE, 1), ({}, 6)], ids=["phone", "wide"])
def test_calls_open_without_a_complaint(new_page: NewPage, options: dict, every: int) -> None:
    page = new_page(**options, color_scheme="light")
    answer = page.goto("/v1/docs")
    assert answer is not None
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"script-src 'self'", "style-src 'self'"} <= set(policy)
    number = 0
    for call in calls(page):
        number += 1
        name = call.get_attribute("id")
        for scheme in ("light", "dark"):
            if number % (every if scheme == "light" else 6) == 0:
                page.emulate_media(color_scheme=scheme)
                expect(page.locator("html.dark-mode")).to_have_count(int(scheme == "dark"))
                assert page.evaluate(OPEN_AND_CLOSE, name) == [True, True, True], (name, scheme)
    schema = page.request.get("/v1/schema", headers={"Accept": "application/json"}).json()
    assert number == sum(len(path) for path in schema["paths"].values())


def test_a_call_can_be_tried_with_a_key(new_page: NewPage) -> None:
    make_customer("acme", name="Acme Retail")
    _, text = create_api_key(name="k", scopes=["read"])
    page = new_page()
    page.goto("/v1/docs")
    page.get_by_role("button", name="Authorize").first.click()
    page.locator(".auth-container input").first.fill(text)
    page.locator(".auth-container").first.get_by_role("button", name=re.compile("apply", re.IGNORECASE)).click()
    page.get_by_role("button", name="Close").first.click()
    name = "operations-customers-get_customer"
    call = next(call for call in calls(page) if call.get_attribute("id") == name)
    call.locator(".opblock-summary-control").click()
    call.get_by_role("button", name="Try it out").click()
    call.locator("tr[data-param-name=key] input").fill("acme")
    call.get_by_role("button", name="Execute").click()
    expect(call.locator(".live-responses-table")).to_contain_text("Acme Retail")
