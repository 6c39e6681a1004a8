"""What a customer sees of its prepaid credits: the owner, a colleague, and a stranger."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from invoices.models import Invoice
from invoices.services import close
from meters.models import Customer, Meter
from tests.invoices.prepaid import prepaid

pytestmark = pytest.mark.django_db
CLOSING = datetime(2026, 12, 2, tzinfo=UTC)


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


@pytest.fixture
def running(acme: Customer) -> Invoice:
    """It comes to $40.00 so far."""
    return acme.invoices.get(status="open")


def test_the_overview_says_what_is_left_and_what_expires_next(
    owner: Client, acme: Customer, calls: Meter, running: Invoice
) -> None:
    prepaid(acme, "25", name="Starter pack", expires_at=datetime(2027, 3, 1, 9, tzinfo=UTC))
    prepaid(acme, "10", name="Calls only", product_items=[calls.product_item])
    prepaid(acme, "8", starts_at=CLOSING)
    prepaid(acme, "30", currency="EUR")
    page = text(owner.get("/"))
    assert 'data-mark>$35.00</span> <span class="soft">left, $10.00 of it for some items only; $8.00 more later' in page
    assert 'data-mark>€30.00</span> <span class="soft">left</span>' in page
    assert "Expires next: $25.00 on <time" in page
    assert "1 Mar 2027, 09:00 UTC" in page
    assert "would be paid <span data-mark>$40.00</span> by credits as they are now" in page
    assert page.index("Starter pack") < page.index("Calls only"), "in the order of drawing"
    assert "For API calls only" in page


def test_without_credits_there_is_no_panel_and_one_question_more(owner: Client, running: Invoice) -> None:
    owner.get("/")
    with CaptureQueriesContext(connection) as asked:
        assert 'id="credits"' not in text(owner.get("/"))
    assert len([query for query in asked if 'FROM "invoices_credit' in query["sql"]]) == 1


def test_the_running_invoice_has_an_estimate(owner: Client, acme: Customer, running: Invoice) -> None:
    prepaid(acme, "25", name="Starter pack")
    page = text(owner.get(f"/invoices/{running.pk}/"))
    assert 'Would be paid by credits <span class="soft">Starter pack, an estimate</span>' in page
    assert "-$25.00" in page
    assert 'Left to pay <span class="soft">an estimate</span></th><td class="figure"><strong data-mark>$15.00' in page


def test_a_final_invoice_has_what_was_drawn(
    owner: Client, acme: Customer, running: Invoice, clock: time_machine.Traveller
) -> None:
    prepaid(acme, "25", name="Starter pack")
    close(running.pk, now=CLOSING)
    clock.move_to(CLOSING)
    page = text(owner.get(f"/invoices/{running.pk}/"))
    assert 'Paid by credits <span class="soft">Starter pack</span></th>' in page
    assert "-$25.00" in page
    assert "estimate" not in page.lower().split("<tfoot>")[1]


def test_nothing_is_said_where_nothing_is_drawn(owner: Client, acme: Customer, running: Invoice) -> None:
    prepaid(acme, "25", currency="EUR")
    assert "credits" not in text(owner.get(f"/invoices/{running.pk}/")).lower()


def test_a_colleague_sees_the_same_and_a_stranger_nothing(
    colleague: Client, stranger: Client, acme: Customer, running: Invoice
) -> None:
    prepaid(acme, "25", name="Starter pack")
    assert "Starter pack" in text(colleague.get("/"))
    assert "Starter pack" not in text(stranger.get("/"))
    assert stranger.get(f"/invoices/{running.pk}/").status_code == 404


def test_names_are_text(owner: Client, acme: Customer, running: Invoice) -> None:
    prepaid(acme, "25", name="<b>Pack</b>")
    for url in ("/", f"/invoices/{running.pk}/"):
        assert "&lt;b&gt;Pack&lt;/b&gt;" in text(owner.get(url))


def test_moments_are_in_the_zone_of_the_customer(owner: Client, acme: Customer, running: Invoice) -> None:
    Customer.objects.filter(pk=acme.pk).update(time_zone="Europe/Berlin")
    prepaid(acme, "25", expires_at=datetime(2027, 3, 1, tzinfo=UTC))
    assert "1 Mar 2027, 01:00" in text(owner.get("/"))
