"""What portal, staff pages and the API say of corrections: the same words everywhere."""

import html
import re
from collections.abc import Iterator
from datetime import date

import pytest
import time_machine
from django.contrib.auth.models import User
from django.test import Client

from invoices.estimates import projection
from invoices.models import Invoice
from meters.models import Customer
from portal.models import Membership
from pricing.taxes import save_tax_rate
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.late import at, policy, void, work_at
from tests.invoices.plans import ONE_EACH, plan_with

OF = "1–30 Sep 2026 (2026-0001)"
WHY = [
    "45 calls x $1.00 = $45.00.",
    "$45.00 by what is known now; $40.00 for 40 calls was billed.",
]


@pytest.fixture
def clock(db: None) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(at(9, 1), tick=False) as traveller:
        yield traveller


@pytest.fixture
def acme(clock: time_machine.Traveller) -> Customer:
    """$40 in September and 10% of tax; 5 more calls came when that was final."""
    customer = make_customer("acme")
    save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "10", "is_default": True})
    put_on(customer, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), date(2026, 9, 1))
    send("acme", "Calls", 40, time=at(9, 1), id="first")
    work_at(clock, at(10, 3))
    clock.move_to(at(10, 5))
    send("acme", "Calls", 5, time=at(9, 30))
    run_sweep()
    return customer


@pytest.fixture
def person(acme: Customer) -> Client:
    user = User.objects.create_user("anna")
    Membership.objects.create(user=user, customer=acme)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def staff(acme: Customer) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("staff"))
    return client


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", html.unescape(answer.content.decode())).split())


def test_the_api_says_what_is_corrected_and_why(acme: Customer, api) -> None:
    live = live_invoice(acme)
    answer = api("read").get(f"/v1/invoices/{live.pk}").json()
    assert (answer["subtotal"], answer["total"], answer["is_correction"]) == ("5.00", "5.50", False)
    line, tax = answer["lines"][-2:]
    assert (line["kind"], line["corrects"], line["meter"]) == ("correction", "2026-0001", "Calls")
    assert (line["quantity"], line["unit"], line["amount"], line["rate"]) == ("5", "calls", "5.00", ONE_EACH)
    assert line["explanation"] == WHY
    assert (tax["kind"], tax["corrects"], tax["tax_rate"]) == ("tax_corr", "2026-0001", "vat")
    assert tax["explanation"] == [
        "10% of $45.00 = $4.50.",
        "$4.50 by what is known now; $4.00 was billed.",
    ]
    assert all(one["corrects"] is None for one in answer["lines"][:-2])


def test_the_portal_shows_it_with_its_steps(acme: Customer, person: Client) -> None:
    for path in (f"/invoices/{live_invoice(acme).pk}/", "/"):
        said = text(person, path)
        assert f"Calls, {OF} 5 calls $5.00" in said or f"Calls, {OF} 5 calls" in said
        assert "$45.00 by what is known now; $40.00 for 40 calls was billed" in said
        assert f"VAT, {OF}" in said
        assert said.index("Subtotal") < said.index(f"VAT, {OF}")


def test_a_projection_has_it_too(acme: Customer) -> None:
    live = live_invoice(acme)
    ahead = projection(live, now=at(10, 5))
    assert ahead is not None
    assert (ahead.subtotal, ahead.total) == (5, live.total)


def test_staff_see_it_and_the_invoice_that_it_corrects(
    acme: Customer, staff: Client, clock: time_machine.Traveller
) -> None:
    live, september = live_invoice(acme), Invoice.objects.get(number="2026-0001")
    said = text(staff, f"/admin/invoices/invoice/{live.pk}/change/")
    assert f"Calls, {OF} Correction The invoice that it corrects 5 calls $5.00" in said
    assert "$45.00 by what is known now; $40.00 for 40 calls was billed" in said
    page = f"/admin/invoices/invoice/{september.pk}/change/"
    said = text(staff, page)
    assert "Calls 40 → 45 calls $40.00 $45.00 $5.00" in said
    assert "VAT $4.00 $4.50 $0.50" in said
    assert "$5.50 on the running invoice" in said
    work_at(clock, at(11, 3))
    policy(late_usage="at_once")
    void("first")
    work_at(clock, at(11, 5))
    staff.force_login(User.objects.get(username="staff"))  # sessions do not last for a month
    said = text(staff, page)
    assert "$5.50 on 2026-0002" in said
    assert "-$44.00 on credit note CN-2026-0001" in said
    assert "by: 2026-0002, total: 5.50" in said


def test_nothing_is_said_where_nothing_is_corrected(acme: Customer, staff: Client) -> None:
    assert "Corrections" not in text(staff, f"/admin/invoices/invoice/{live_invoice(acme).pk}/change/")
