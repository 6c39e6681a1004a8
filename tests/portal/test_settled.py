"""What a customer sees of what it paid, what was credited and what it owes; and no other customer does."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from invoices.models import Invoice
from invoices.services import close
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment, refund, write_off
from invoices.settling.voiding import reissue, void_invoice
from pricing.taxes import save_tax_rate
from tests.factories import make_customer, put_on, run_sweep, send
from tests.portal.conftest import NOW


@pytest.fixture
def bill(growth: Any, clock: Any) -> Invoice:
    """October's, of $50.00 and 19%, final on 18 November and due on 2 December."""
    save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
    customer = make_customer("acme", name="Acme Corp")
    put_on(customer, growth, datetime(2026, 10, 1).date())
    send("acme", "ApiCalls", 15000, time=datetime(2026, 10, 3, 9, tzinfo=UTC))
    run_sweep()
    run_sweep()
    return Invoice.objects.get(customer=customer, status="final")


@pytest.fixture
def owner(bill: Invoice, sign_in: Any) -> Client:
    client: Client = sign_in("alice", bill.customer)
    return client


def text(response: Any) -> str:
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def page(client: Client, bill: Invoice) -> str:
    return text(client.get(f"/invoices/{bill.pk}/"))


def test_when_it_is_due_and_how_much(owner: Client, bill: Invoice) -> None:
    shown = page(owner, bill)
    assert "Due 2 Dec 2026" in shown
    assert "Total $59.50 Amount due by 2 Dec 2026 $59.50" in shown
    assert "Due 2 Dec 2026" in text(owner.get("/invoices/"))


def test_what_is_paid_and_credited(owner: Client, bill: Invoice) -> None:
    record_payment(bill.pk, amount=Decimal(20), reference="TX secret", actor="ben")
    issue_credit_note(bill.pk, reason="An outage.", amounts={1: Decimal(10)}, actor="ben")
    shown = page(owner, bill)
    assert "Credit note CN-2026-0001 -$11.90 Paid 18 Nov 2026 -$20.00 Amount due by 2 Dec 2026 $27.60" in shown
    assert "Credit note CN-2026-0001 18 Nov 2026 An outage." in shown
    assert "API calls $10.00 Subtotal $10.00 VAT 19% $1.90 Total credited $11.90" in shown
    assert "Partly paid" in shown
    # Who did it is for staff.
    assert "ben" not in shown
    listed = text(owner.get("/invoices/"))
    assert "Partly paid $59.50 $27.60 left" in listed


def test_paid_overdue_and_written_off(owner: Client, bill: Invoice, clock: Any) -> None:
    clock.move_to(NOW + timedelta(days=13))
    assert "Due 2 Dec 2026" in page(owner, bill)
    clock.move_to(NOW + timedelta(days=15))
    owner.force_login(User.objects.get(username="alice"))
    assert "Overdue" in page(owner, bill)
    assert "Overdue" in text(owner.get("/invoices/"))
    record_payment(bill.pk, amount=Decimal(60), actor="ben")
    shown = page(owner, bill)
    assert "Overdue" not in shown
    assert "Owed back to you $0.50" in shown
    assert "$0.50 owed back" in text(owner.get("/invoices/"))
    refund(bill.pk, amount=Decimal(60), actor="ben")
    assert "Paid back 3 Dec 2026 $60.00" in page(owner, bill)
    write_off(bill.pk, reason="They do not pay.", actor="ben")
    shown = page(owner, bill)
    assert "Written off -$59.50 Amount due $0.00" in shown
    assert "They do not pay" not in shown


def test_void_and_in_its_place(owner: Client, bill: Invoice) -> None:
    record_payment(bill.pk, amount=Decimal("59.50"), actor="ben")
    new = reissue(bill.pk, reason="Wrong usage.")
    shown = page(owner, bill)
    assert "Void" in shown
    assert "Owed back to you $59.50" in shown
    assert "Amount due" not in shown
    assert "Replaced by a running invoice" in shown
    closed = close(new.pk)
    assert f"Replaced by {closed.number}" in page(owner, bill)
    assert f"In place of {bill.number}" in page(owner, closed)
    assert "Void" in text(owner.get("/invoices/"))


def test_an_estimate_has_nothing_due(owner: Client, bill: Invoice) -> None:
    live = Invoice.objects.get(customer=bill.customer, status="open")
    shown = page(owner, live)
    assert "Estimate" in shown
    assert "Amount due by" not in shown


def test_a_stranger_sees_none_of_it(bill: Invoice, globex: Any, sign_in: Any) -> None:
    void_invoice(bill.pk, reason="So")
    stranger = sign_in("charlie", globex)
    assert stranger.get(f"/invoices/{bill.pk}/").status_code == 404
    assert "CN-2026" not in text(stranger.get("/invoices/"))
