"""Each page of the portal, as it is found in its URLs: looked at by axe in both schemes, wide and on a phone; weighed;
and without a complaint of the browser. A fault of any page is told with those of the others, at the end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page

from invoices.alerting.alerts import create_own_alert
from invoices.alerting.budgets import set_budget
from invoices.models import Alert, Invoice
from invoices.prepaid.credits import grant_credits
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment
from meters.models import Customer
from portal.models import Membership
from portal.own.read_keys import create_read_key, own_keys
from portal.people.invitations import invite
from portal.roles import Role
from pricing.models import Plan
from pricing.taxes import save_tax_rate
from tests.browser.axe import OF_COLOURS, serious_faults
from tests.browser.conftest import NewPage
from tests.browser.test_story import member_of, sign_in
from tests.factories import STORY_RATE, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.portal_pages import plain_pages, told_pages

pytestmark = pytest.mark.django_db(transaction=True)

LARGEST = 150_000  # bytes, with all that a page loads, as they are sent
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 320, "height": 700}
SENT_AWAY = (302, 405)  # what is no page: it takes POST alone, or goes elsewhere
# They only answer a POST, or open once, by a token: they have tests of their own.
NOT_OPENED = {
    *("enter", "join", "sign-in-by-link", "password-reset-confirm"),
    *("plan-take-back", "alert-switch", "team-role", "team-resend", "team-revoke", "account-session-end"),
}


@pytest.fixture
def acme(transactional_db: None) -> Customer:
    """With all that a page can have: two months, taxes, a payment, a credit note, credits, alerts, a colleague."""
    calls, storage = make_meter("ApiCalls", name="API calls"), make_meter("Storage", unit="GB")
    make_plan("Pro", {calls: STORY_RATE}, offer=Plan.Offer.SELF_SERVICE)
    plan = make_plan("Growth", {calls: STORY_RATE, storage: {"model": "per_unit", "unit_price": "0.1"}})
    save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
    customer = make_customer("acme", name="Acme <script>alert(1)</script>")
    now = datetime.now(UTC)
    first = (now.replace(day=1) - timedelta(days=40)).replace(day=1)
    put_on(customer, plan, first.date())
    for days in range(0, 40, 5):
        send("acme", "ApiCalls", 6000, time=first + timedelta(days=days), source="<img src=x onerror=alert(1)>")
    send("acme", "ApiCalls", 7300, time=now, id="first", source="crm", target="shop")
    send("acme", "Storage", 12)
    run_sweep()
    run_sweep()
    issued = Invoice.objects.filter(customer=customer, status="final").order_by("-pk")[0]
    record_payment(issued.pk, amount=Decimal(2), actor="ben")
    issue_credit_note(issued.pk, reason="An outage.", amounts={1: Decimal(1)}, actor="ben")
    grant_credits(customer=customer, name="Pack", currency="USD", amount="15", now=now)
    create_own_alert(customer, name="Spend", kind=Alert.Kind.AMOUNT, threshold=10)
    set_budget(customer, amount=Decimal(100))
    member_of(customer, "ben@acme.example")
    create_read_key(customer, name="Reports", expires_at=None, actor="anna", now=now)
    owner = member_of(customer, "anna@acme.example")
    Membership.objects.filter(user=owner).update(role=Role.OWNER)
    invite(customer, email="new@acme.example", role=Role.BILLING, base="http://localhost", actor="anna", now=now)
    run_sweep()
    return customer


def told(customer: Customer) -> dict[str, list[dict[str, object]]]:
    """What the pages that are about one thing are told, by their names."""
    issued = customer.invoices.filter(status="final").order_by("-pk")[0].pk
    running = customer.invoices.get(status="open").pk
    alert = {"pk": Alert.objects.filter(customer=customer).order_by("pk")[0].pk}
    key = {"pk": own_keys(customer).get().pk}
    assignment = customer.assignments.get().pk
    return {
        "invoice": [{"pk": issued}, {"pk": running}],
        "invoice-line": [{"pk": issued, "position": 1}, {"pk": running, "position": 1}],
        "alert": [alert],
        "alert-remove": [alert],
        "alert-test": [alert],
        "api-access-rotate": [key],
        "api-access-revoke": [key],
        "plan-change": [{"pk": assignment, "key": "Pro"}],
        "team-remove": [{"pk": Membership.objects.get(customer=customer, user__username="ben@acme.example").pk}],
    }


def paths_of(customer: Customer) -> Iterator[str]:
    yield from plain_pages().values()
    for name, kwargs in told(customer).items():
        for one in kwargs:
            yield reverse(f"portal:{name}", kwargs=one)
    yield from (
        "/invoices/?state=overdue",
        "/invoices/?state=nonsense",
        "/usage/?group=source",
        "/alerts/add/?kind=amount",
    )


def test_each_page_is_whole_in_both_schemes_wide_and_on_a_phone(
    new_page: NewPage, acme: Customer, complaints: list[str]
) -> None:
    assert set(told_pages()) - NOT_OPENED == set(told(acme)), "a page about one thing is forgotten"
    anna, guest = new_page(viewport=WIDE), new_page(viewport=WIDE)
    open_to_all = ["/sign-in/", *(path for path in plain_pages().values() if Client().get(path).status_code == 200)]
    faults = [fault for path in open_to_all for fault in _looked_at(guest, path, complaints)]
    sign_in(anna, "/", "anna@acme.example")
    faults += [fault for path in paths_of(acme) for fault in _looked_at(anna, path, complaints)]
    assert faults == []
    # It does find some.
    anna.evaluate("document.querySelector('main').append(document.createElement('input'))")
    assert any("label" in fault for fault in serious_faults(anna))


def _looked_at(page: Page, path: str, complaints: list[str]) -> list[str]:
    """All faults of one page, which is loaded once."""
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sent: list[float] = []
    session.on("Network.loadingFinished", lambda one: sent.append(one["encodedDataLength"]))
    answer = page.goto(path)
    weight = sum(sent)
    session.detach()
    assert answer is not None
    if answer.status in SENT_AWAY or not page.url.split("?")[0].endswith(path.split("?")[0]):
        complaints.clear()
        return []
    faults = []
    if answer.status != (422 if "nonsense" in path else 200):
        faults.append(f"answered {answer.status}")
    policy = answer.headers["content-security-policy"]
    if "script-src 'self'" not in policy or "unsafe" in policy:
        faults.append(f"has the policy {policy}")
    if weight > LARGEST:
        faults.append(f"weighs {weight:,.0f} bytes")
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true })")
    faults += [f"wide: {one}" for one in serious_faults(page)]
    page.emulate_media(color_scheme="dark")
    faults += [f"wide, dark: {one}" for one in serious_faults(page, OF_COLOURS)]
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    if (width := page.evaluate("document.documentElement.scrollWidth")) > PHONE["width"]:
        faults.append(f"is {width} wide on a phone")
    faults += [f"phone, dark: {one}" for one in serious_faults(page, OF_COLOURS)]
    page.emulate_media(color_scheme="light")
    faults += [f"phone: {one}" for one in serious_faults(page)]
    if "nonsense" in path:
        # The browser says of itself that the answer was 422.
        complaints[:] = [one for one in complaints if "422" not in one]
    faults += complaints
    complaints.clear()
    return [f"{path} {fault}" for fault in faults]
