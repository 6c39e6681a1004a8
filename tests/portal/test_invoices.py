from datetime import UTC, date, datetime

import pytest
import time_machine
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from invoices.holding import approve, hold, release
from invoices.models import BillingPolicy, Invoice
from meters.models import Customer
from pricing.models import Plan
from tests.factories import make_customer, put_on, run_sweep, send
from tests.portal.conftest import SignIn
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
    sign_in: SignIn, growth: Plan, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    customer = make_customer("old")
    put_on(customer, growth, date(2025, 1, 1))
    run_sweep()
    run_sweep()
    person = sign_in("olga", customer)
    # Session, person, customers; count, page, running ones.
    with django_assert_num_queries(6):
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
