from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from invoices.holding import approve, hold, release
from invoices.models import BillingPolicy, Invoice
from invoices.policy_changes import set_billing_policy
from invoices.prepaid.credits import grant_credits
from invoices.settling.payments import record_payment
from invoices.settling.voiding import void_invoice
from meters.models import Customer
from pricing.models import Plan
from tests.factories import make_customer, put_on, run_sweep, send
from tests.portal.conftest import NOW, SignIn
from tests.portal.test_overview import text

HTMX = {"HX-Request": "true"}


def test_the_list_has_the_running_one_first_as_an_estimate(owner: Client, october: Invoice) -> None:
    page = text(owner, "/invoices/")
    assert "Running , 1–30 Nov 2026 1–30 Nov 2026 Growth Estimate $40.00" in page
    assert f"{october.number} , 1–31 Oct 2026 1–31 Oct 2026 Growth Due 2 Dec 2026 $5.00" in page
    assert page.index("Running ,") < page.index(october.number)


def test_a_customer_without_invoices_is_told_so(sign_in: SignIn, growth: Plan) -> None:
    assert "No invoices yet" in text(sign_in("lou", make_customer("lonely")), "/invoices/")


def test_a_final_invoice_is_a_document(owner: Client, october: Invoice) -> None:
    page = text(owner, f"/invoices/{october.pk}/")
    assert f"Invoice {october.number}" in page
    assert "Billed to Acme Corp Period 1–31 Oct 2026 (UTC) Plan Growth version 1 Currency USD" in page
    assert "API calls 6,000 calls $5.00" in page
    assert "Blocks of 1,000 1,000 calls = 1 block x $5.00 $5.00" in page
    assert "Total $5.00 Amount due by 2 Dec 2026 $5.00" in page
    assert "Estimate" not in page


def test_a_final_invoice_keeps_its_names(owner: Client, acme: Customer, growth: Plan, october: Invoice) -> None:
    Customer.objects.filter(pk=acme.pk).update(name="Renamed")
    Plan.objects.filter(pk=growth.pk).update(name="Renamed too")
    page = text(owner, f"/invoices/{october.pk}/")
    assert "Billed to Acme Corp" in page
    assert "Plan Growth" in page


def test_a_final_invoice_asks_for_nothing(owner: Client, october: Invoice) -> None:
    content = owner.get(f"/invoices/{october.pk}/").content.decode()
    assert "hx-get" not in content
    assert "<script" not in content


def test_an_open_invoice_says_that_it_is_an_estimate(owner: Client, november: Invoice) -> None:
    page = text(owner, f"/invoices/{november.pk}/")
    assert "Estimate. It follows usage until 1 Dec 2026, 00:00 UTC ; what arrives late still counts until" in page
    assert "counts until 2 Dec 2026, 00:00 UTC ." in page
    assert "Updated 14:02 UTC" in page
    assert "Total so far $40.00" in page


def test_after_its_period_it_still_takes_late_usage(owner: Client, november: Invoice) -> None:
    with time_machine.travel(datetime(2026, 12, 1, 12, tzinfo=UTC), tick=False):
        run_sweep()
        page = text(owner, f"/invoices/{november.pk}/")
        assert "usage that arrives late is still counted until 2 Dec 2026, 00:00 UTC" in page
        assert owner.get(f"/invoices/{november.pk}/", headers=HTMX).status_code == 200


def test_one_that_staff_hold_or_are_to_approve_is_being_checked(owner: Client, november: Invoice) -> None:
    url = f"/invoices/{november.pk}/"
    hold(november.pk, reason="They never pay.")
    assert "checked" not in text(owner, url)  # before its period is over there is nothing to check
    with time_machine.travel(datetime(2026, 12, 2, 1, tzinfo=UTC), tick=False):
        run_sweep()
        for page in (text(owner, url), text(owner, "/invoices/")):
            assert "Being checked" in page
            assert "never pay" not in page
        assert "late counts until it is final" in text(owner, url)
        BillingPolicy.objects.create(needs_approval=True)
        release(november.pk)
        assert "Being checked" in text(owner, url)
        approve(november.pk)
        assert "Closing" in text(owner, url)


def test_it_says_up_to_which_usage_it_is_exact(owner: Client, november: Invoice) -> None:
    url = f"/invoices/{november.pk}/"
    assert f"Exact up to version {november.usage_version} of your usage." in text(owner, url)
    send("acme", "ApiCalls", 1)
    assert f"version {november.usage_version} of your usage; newer usage is being worked in." in text(owner, url)


def test_polling_ends_when_the_invoice_is_final(owner: Client, november: Invoice) -> None:
    url = f"/invoices/{november.pk}/"
    assert owner.get(url, headers=HTMX).status_code == 200
    with time_machine.travel(datetime(2026, 12, 2, 1, tzinfo=UTC), tick=False):
        run_sweep()
        run_sweep()
        answer = owner.get(url, headers=HTMX)
    assert answer.status_code == 286
    assert "Invoice 2026-0002" in answer.content.decode()


@pytest.mark.parametrize("status", ["november", "october"])
def test_the_fragment_is_the_part_that_the_page_has(status: str, owner: Client, request: pytest.FixtureRequest) -> None:
    url = f"/invoices/{request.getfixturevalue(status).pk}/"
    fragment = owner.get(url, headers=HTMX).content.decode().strip()
    assert fragment.startswith('<article class="card document">')
    assert fragment in owner.get(url).content.decode()


def test_a_void_invoice_stays_a_document_only_with_a_number(owner: Client, november: Invoice, october: Invoice) -> None:
    Invoice.objects.all().update(status=Invoice.Status.VOID)
    assert owner.get(f"/invoices/{november.pk}/").status_code == 404
    assert "Void" in text(owner, f"/invoices/{october.pk}/")
    page = text(owner, "/invoices/")
    assert october.number in page
    assert "Running" not in page


def test_the_list_is_paged_with_a_fixed_number_of_queries(
    sign_in: SignIn, growth: Plan, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr("portal.views.invoices.PAGE", 12)
    customer = make_customer("old")
    put_on(customer, growth, date(2025, 1, 1))
    run_sweep()
    run_sweep()
    person = sign_in("olga", customer)
    # Session, person, customers; what is owed, count, page, running ones, usage version.
    with django_assert_num_queries(8):
        first = text(person, "/invoices/")
    assert "22 in all" in first
    assert "Page 1 of 2 Older" in first
    second = text(person, "/invoices/?page=2")
    assert "Newer Page 2 of 2" in second
    assert "Running ," not in second
    assert "Page 2 of 2" in text(person, "/invoices/?page=99")
    assert "Page 1 of 2" in text(person, "/invoices/?page=x")


def test_a_page_takes_a_fixed_number_of_queries(
    owner: Client, november: Invoice, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    # Session, person, customers; invoice, who sends it, trial, usage version, credits; lines, and what they are about.
    with django_assert_num_queries(11):
        owner.get(f"/invoices/{november.pk}/")


def test_an_invoice_follows_usage(owner: Client, november: Invoice) -> None:
    send("acme", "ApiCalls", 701)
    run_sweep()
    assert "8,001 calls = 9 blocks x $5.00 $45.00" in text(owner, f"/invoices/{november.pk}/")


def test_each_line_opens_to_its_days(owner: Client, october: Invoice) -> None:
    """Bars, and the same numbers to read: the days of the period, whole."""
    page = text(owner, f"/invoices/{october.pk}/")
    assert "1 Oct Most: 6,000 calls on 3 Oct 31 Oct" in page
    assert "API calls by day, in calls Day Calls 1 Oct 0 2 Oct 0 3 Oct 6,000 4 Oct 0" in page
    assert "31 Oct 0" in page
    source = owner.get(f"/invoices/{october.pk}/").content.decode()
    assert "<title>3 Oct: 6,000 calls</title>" in source
    assert source.count('<rect class="series-1"') == 1


def test_days_that_are_to_come_are_hatched_and_not_in_the_table(owner: Client, november: Invoice) -> None:
    source = owner.get(f"/invoices/{november.pk}/").content.decode()
    # 18 of 30 days have begun.
    assert '<rect x="60.00%" width="40.00%"' in source
    assert '<g class="today"><title>18 Nov: 7,300 calls</title>' in source
    page = text(owner, f"/invoices/{november.pk}/")
    assert "18 Nov 7,300" in page
    assert "19 Nov" not in page


def test_a_line_that_nothing_was_used_of_says_so(sign_in: SignIn, globex: Customer) -> None:
    invoice = Invoice.objects.get(customer=globex)
    send("globex", "ApiCalls", 0, time=datetime(2026, 11, 3, tzinfo=UTC))
    run_sweep()
    page = text(sign_in("gus", globex), f"/invoices/{invoice.pk}/")
    assert "Nothing was used on any day." in page


def test_days_of_a_change_of_clocks_are_whole(sign_in: SignIn, growth: Plan) -> None:
    customer = make_customer("berlin", time_zone="Europe/Berlin")
    put_on(customer, growth, date(2026, 10, 1))
    for hour in (22, 23):  # midnight of the 25th is 22:00 UTC, and of the 26th 23:00
        send("berlin", "ApiCalls", 10, time=datetime(2026, 10, 24, hour, 30, tzinfo=UTC))
    send("berlin", "ApiCalls", 5, time=datetime(2026, 10, 25, 22, 59, tzinfo=UTC))
    send("berlin", "ApiCalls", 1, time=datetime(2026, 10, 25, 23, 0, tzinfo=UTC))
    run_sweep()
    run_sweep()
    invoice = Invoice.objects.get(customer=customer, status=Invoice.Status.FINAL)
    page = text(sign_in("bea", customer), f"/invoices/{invoice.pk}/")
    assert "24 Oct 0 25 Oct 25 26 Oct 1 27 Oct 0" in page


def test_a_page_of_very_many_lines_has_the_days_of_the_first(
    owner: Client, october: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.bills.lines.MOST_WITH_DAYS", 0)
    page = text(owner, f"/invoices/{october.pk}/")
    assert "Most:" not in page
    assert "Days and events" in page


def test_long_periods_are_drawn_and_their_days_are_on_the_page_of_the_line(
    owner: Client, october: Invoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.bills.lines.MOST_ROWS", 30)
    page = text(owner, f"/invoices/{october.pk}/")
    assert "Most: 6,000 calls on 3 Oct" in page
    assert "by day, in calls" not in page


def test_who_sends_it_stands_on_it_as_it_was_then(owner: Client, october: Invoice, november: Invoice) -> None:
    set_billing_policy(
        changes={
            "seller_name": "Seller Ltd",
            "seller_address": "5 Harbour Street\nBristol",
            "seller_tax_id": "GB 1",
            "paper_footer": "Pay by bank.",
        },
        now=NOW,
    )
    page = text(owner, f"/invoices/{november.pk}/")
    assert "Seller Ltd 5 Harbour Street Bristol Tax ID GB 1 Running invoice" in page
    assert "Pay by bank." in page
    assert "Harbour" not in text(owner, f"/invoices/{october.pk}/")


def test_the_great_figure_says_what_is_due(owner: Client, october: Invoice) -> None:
    url = f"/invoices/{october.pk}/"
    assert "Amount due by 2 Dec 2026 $5.00 Billed to" in text(owner, url)
    record_payment(october.pk, amount=Decimal(2), actor="ben")
    assert "Amount due by 2 Dec 2026 $3.00 Total $5.00 Billed to" in text(owner, url)
    record_payment(october.pk, amount=Decimal(3), actor="ben")
    assert "Total $5.00 Nothing is left to pay Billed to" in text(owner, url)
    record_payment(october.pk, amount=Decimal(1), actor="ben")
    assert "Owed back to you $1.00 Total $5.00 Billed to" in text(owner, url)


def test_the_great_figure_of_a_void_one(owner: Client, october: Invoice) -> None:
    void_invoice(october.pk, reason="Wrong.", actor="ben")
    assert "Total $5.00 Nothing is to be paid Billed to" in text(owner, f"/invoices/{october.pk}/")


def test_an_estimate_says_what_credits_would_leave(owner: Client, acme: Customer, november: Invoice) -> None:
    grant_credits(customer=acme, name="Pack", currency="USD", amount="15", now=NOW)
    page = text(owner, f"/invoices/{november.pk}/")
    assert "Total so far $40.00 About $25.00 left to pay after credits, an estimate" in page


def test_what_is_no_part_of_the_document_is_not_printed(owner: Client, october: Invoice) -> None:
    source = owner.get(f"/invoices/{october.pk}/").content.decode()
    document = source.split('id="document"')[1]
    assert source.index('class="page-head no-print"') < source.index('id="document"')
    assert "<form" not in document
    assert 'href="/invoices/"' not in document
