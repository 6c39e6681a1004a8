"""The staff pages of invoices: to look at, and to have computed anew."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from invoices.models import Invoice
from invoices.services import close
from meters.admin.base import instant
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep, send

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("staff"))
    return client


@pytest.fixture
def invoice() -> Invoice:
    make_plan("Basic", {make_meter(): STORY_RATE}, is_default=True)
    customer = make_customer("acme")
    send("acme", "ApiCalls", 12300)
    run_sweep()
    return live_invoice(customer)


def text(response: Any) -> str:
    return str(response.content.decode())


def page(invoice: Invoice, action: str = "change") -> str:
    return f"/admin/invoices/invoice/{invoice.pk}/{action}/"


def test_every_line_is_explained(staff: Client, invoice: Invoice) -> None:
    shown = text(staff.get(page(invoice)))
    assert "12,300 calls" in shown
    assert "5,000 calls free, then $5.00 per started block of 1,000 calls" in shown
    assert "7,300 calls = 8 blocks x $5.00" in shown
    assert "$40.00" in shown
    assert "Opened" in shown


def test_the_page_says_what_the_figures_are_of(staff: Client, invoice: Invoice) -> None:
    rate = {"model": "graduated", "included_units": "10"}
    rate["tiers"] = [{"up_to": "100", "unit_price": "2"}, {"up_to": None, "unit_price": "1"}]  # type: ignore[assignment]
    invoice.lines.update(rate=rate)
    shown = text(staff.get(page(invoice)))
    assert "<div>10 calls free, then:</div><div>" in shown
    assert '<span>Total so far</span> <strong class="number">$40.00</strong>' in shown
    for moment in (invoice.usage_at, invoice.computed_at, invoice.closes_at):
        assert instant(moment) in shown
    close(invoice.pk, now=invoice.period_end + timedelta(days=2))
    invoice.refresh_from_db()
    shown = text(staff.get(page(invoice)))
    assert "<span>Total</span>" in shown
    assert instant(invoice.finalized_at) in shown


def test_invoices_are_read_only(staff: Client, invoice: Invoice) -> None:
    assert staff.get("/admin/invoices/invoice/add/").status_code == 403
    assert staff.post("/admin/invoices/invoice/add/", {}).status_code == 403
    assert staff.post(page(invoice), {"total": "0"}).status_code == 403
    assert staff.post(page(invoice, "delete"), {"post": "yes"}).status_code == 403
    assert 'name="_save"' not in text(staff.get(page(invoice)))
    invoice.refresh_from_db()
    assert invoice.total == 40


def test_unpriced_usage_is_flagged(staff: Client, invoice: Invoice) -> None:
    make_meter("Seats")
    send("acme", "Seats", 3)
    make_customer("globex")
    run_sweep()
    listed = staff.get("/admin/invoices/invoice/")
    assert text(listed).count("chip chip-bad") == 1
    flagged = staff.get("/admin/invoices/invoice/", {"unpriced": "1"})
    assert list(flagged.context["cl"].result_list) == [invoice]
    assert "Unpriced usage" in text(staff.get(page(invoice)))


def test_recalculation_is_for_live_invoices(staff: Client, invoice: Invoice) -> None:
    send("acme", "ApiCalls", 1000)
    Invoice.objects.update(total=7)
    response = staff.post(page(invoice, "recalculate"), follow=True)
    assert "Recalculated: 1. Lines changed: 1." in text(response)
    invoice.refresh_from_db()
    assert invoice.total == 45

    after = invoice.period_end + timedelta(days=2)
    close(invoice.pk, now=after)
    action = {"action": "recalculate_selected", "_selected_action": [invoice.pk]}
    response = staff.post("/admin/invoices/invoice/", action, follow=True)
    assert "final and void invoices never change: 1" in text(response)
    assert "Recalculate</button>" not in text(staff.get(page(invoice)))


def test_recalculation_is_posted_with_permission(client: Client, invoice: Invoice) -> None:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_invoice"))
    client.force_login(user)
    assert client.get(page(invoice)).status_code == 200
    assert client.post(page(invoice, "recalculate")).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="change_invoice"))
    assert client.get(page(invoice, "recalculate")).status_code == 405
    assert client.post(page(invoice, "recalculate")).status_code == 302
    client.logout()
    assert client.post(page(invoice, "recalculate"))["Location"].startswith("/admin/login/")


def test_a_month_is_that_of_the_customer(staff: Client) -> None:
    plan = make_plan("Basic", {make_meter(): STORY_RATE})
    this_month = timezone.localdate().replace(day=1)
    previous = (this_month - timedelta(days=1)).replace(day=1)
    for key, zone in (("east", "Pacific/Kiritimati"), ("west", "Pacific/Honolulu")):
        put_on(make_customer(key, time_zone=zone), plan, previous)
    found = staff.get("/admin/invoices/invoice/", {"month": f"{previous:%Y-%m}"}).context["cl"].result_list
    assert sorted(invoice.customer.key for invoice in found) == ["east", "west"]
    assert all(
        abs(invoice.period_start - datetime(*_ymd(previous), tzinfo=UTC)) < timedelta(days=1) for invoice in found
    )


def _ymd(day: date) -> tuple[int, int, int]:
    return day.year, day.month, day.day


def test_the_list_asks_as_often_for_many_as_for_one(
    staff: Client, invoice: Invoice, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        make_customer(f"c{number}")
    with django_assert_max_num_queries(6):
        response = staff.get("/admin/invoices/invoice/")
    assert len(response.context["cl"].result_list) == 6


def test_the_customer_page_leads_to_invoices_usage_and_events(staff: Client, invoice: Invoice) -> None:
    shown = text(staff.get(f"/admin/meters/customer/{invoice.customer_id}/change/"))
    for url in (
        f"/admin/invoices/invoice/?customer__id__exact={invoice.customer_id}",
        f"/admin/meters/customer/{invoice.customer_id}/usage/",
        "/admin/meters/event/?customer=acme",
        f"/admin/pricing/assignment/?customer__id__exact={invoice.customer_id}",
    ):
        assert f'href="{url}"' in shown
        assert staff.get(url).status_code == 200
