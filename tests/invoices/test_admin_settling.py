"""The staff pages on which an invoice is paid, credited, made void and issued anew, and what is overdue."""

import html
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client

from invoices.models import CreditNote, Invoice, NumberSeries, Payment
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment
from invoices.settling.voiding import void_invoice
from tests.factories import make_customer, put_on
from tests.invoices.settled import DECEMBER, fresh, make_bill

ACTIONS = ["payment", "refund", "write-off", "credit", "void", "reissue"]


@pytest.fixture
def bill(november: time_machine.Traveller, november_bill: Invoice) -> Invoice:
    november.move_to(DECEMBER)
    return november_bill


@pytest.fixture
def staff(client: Client, bill: Invoice) -> Client:
    client.force_login(User.objects.create_superuser("ada"))
    return client


def page(bill: Invoice, action: str = "change") -> str:
    return f"/admin/invoices/invoice/{bill.pk}/{action}/"


def text(response: Any) -> str:
    """What a person reads, in one line."""
    assert response.status_code == 200, response.status_code
    body = re.sub(r"<(script|style).*?</\1>", "", response.content.decode(), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def confirm(staff: Client, bill: Invoice, action: str, **typed: str) -> Any:
    """Types, looks, and confirms what is looked at."""
    looked = staff.post(page(bill, action), typed)
    assert looked.status_code == 200
    seen = re.search(r'name="seen" value="([^"]+)"', looked.content.decode())
    assert seen, text(looked)
    return staff.post(page(bill, action), typed | {"seen": html.unescape(seen[1])}, follow=True)


class TestPayment:
    def test_it_shows_what_will_happen_and_then_does_it(self, staff: Client, bill: Invoice) -> None:
        asked = text(staff.get(page(bill, "payment")))
        assert "How it stands Total $110.85" in asked
        typed = {"amount": "50.00", "paid_on": "2026-12-02", "reference": "TX 1"}
        looked = text(staff.post(page(bill, "payment"), typed))
        assert "Paid $0.00 -$50.00" in looked
        assert "Amount due $110.85 $60.85" in looked
        assert "Reference TX 1" in looked
        assert not Payment.objects.exists()
        assert fresh(bill).amount_due == Decimal("110.85")
        done = confirm(staff, bill, "payment", **typed)
        assert "A payment of $50.00 is recorded." in text(done)
        assert "Partly paid" in text(done)
        payment = Payment.objects.get()
        assert (payment.amount, payment.paid_on, payment.reference, payment.actor) == (
            50,
            date(2026, 12, 2),
            "TX 1",
            "ada",
        )

    def test_more_than_is_due_shows_as_owed_back(self, staff: Client, bill: Invoice) -> None:
        done = confirm(staff, bill, "payment", amount="111", paid_on="2026-12-02", reference="")
        assert "$0.15 owed back" in text(done)
        done = confirm(staff, bill, "refund", amount="0.15", paid_on="2026-12-03", reference="")
        assert "A refund of $0.15 is recorded." in text(done)
        assert fresh(bill).amount_due == 0

    def test_a_second_click_does_nothing_twice(self, staff: Client, bill: Invoice) -> None:
        typed = {"amount": "50", "paid_on": "2026-12-02", "reference": ""}
        looked = staff.post(page(bill, "payment"), typed).content.decode()
        seen = re.search(r'name="seen" value="([^"]+)"', looked)
        assert seen
        again = typed | {"seen": html.unescape(seen[1])}
        assert staff.post(page(bill, "payment"), again).status_code == 302
        second = text(staff.post(page(bill, "payment"), again))
        assert "has changed since you looked" in second
        assert "Amount due $60.85 $10.85" in second
        assert Payment.objects.count() == 1

    @pytest.mark.parametrize(
        ("typed", "says"),
        [
            ({"amount": ""}, "This field is required."),
            ({"amount": "x"}, "Enter a number."),
            ({"amount": "0"}, "Give an amount above zero."),
            ({"amount": "0.001"}, "USD has 2 decimals."),
            ({"paid_on": "2027-01-01"}, "Give a day that has been, or today."),
            ({"paid_on": ""}, "This field is required."),
        ],
    )
    def test_what_is_wrong_stands_beside_its_field(
        self, staff: Client, bill: Invoice, typed: dict[str, str], says: str
    ) -> None:
        shown = text(staff.post(page(bill, "payment"), {"amount": "1", "paid_on": "2026-12-02", **typed}))
        assert says in shown
        assert "See what will happen" not in shown.split(says)[0]
        assert not Payment.objects.exists()

    def test_going_back_keeps_what_was_typed(self, staff: Client, bill: Invoice) -> None:
        typed = {"amount": "12.34", "paid_on": "2026-12-02", "reference": "TX", "seen": "x", "edit": "1"}
        shown = staff.post(page(bill, "payment"), typed).content.decode()
        assert 'value="12.34"' in shown
        assert "How it stands" in shown


def test_write_off(staff: Client, bill: Invoice) -> None:
    looked = text(staff.post(page(bill, "write-off"), {"amount": "110.85", "reason": "Bankrupt"}))
    assert "Written off $0.00 -$110.85" in looked
    done = text(confirm(staff, bill, "write-off", amount="110.85", reason="Bankrupt"))
    assert "$110.85 is written off." in done
    assert "Written off" in done
    assert "reason: Bankrupt" in done


class TestCredit:
    def test_by_line(self, staff: Client, bill: Invoice) -> None:
        asked = text(staff.get(page(bill, "credit")))
        assert "ApiCalls $100.00 $0.00 $100.00" in asked
        assert "Tax 1 $17.70 $0.00 $17.70 Follows" in asked
        typed = {"reason": "An outage", "line1": "10", "line2": "", "line3": ""}
        looked = text(staff.post(page(bill, "credit"), typed))
        assert "A credit note with the next number ApiCalls $10.00 Tax 1 $1.90 Total $11.90" in looked
        assert "Amount due $110.85 $98.95" in looked
        # Looking takes no number.
        assert not NumberSeries.objects.filter(series="credit_note").exists()
        done = text(confirm(staff, bill, "credit", **typed))
        assert "The credit note is issued." in done
        assert "CN-2026-0001" in done
        note = CreditNote.objects.get()
        assert (note.total, note.actor, note.reason) == (Decimal("11.90"), "ada", "An outage")

    def test_nothing_typed_is_the_whole(self, staff: Client, bill: Invoice) -> None:
        confirm(staff, bill, "credit", reason="All of it")
        assert CreditNote.objects.get().total == bill.total

    @pytest.mark.parametrize(
        ("typed", "says"),
        [
            ({"line1": "101"}, "$100.00 of ApiCalls is left"),
            ({"line1": "x"}, "Enter a number."),
            ({"line1": "100"}, "left to credit before tax"),
            ({"reason": ""}, "This field is required."),
        ],
    )
    def test_what_is_wrong(self, staff: Client, bill: Invoice, typed: dict[str, str], says: str) -> None:
        shown = text(staff.post(page(bill, "credit"), {"reason": "x", **typed}))
        assert says in shown
        assert "With nothing typed" in shown
        assert not CreditNote.objects.exists()


class TestVoid:
    def test_void(self, staff: Client, bill: Invoice) -> None:
        record_payment(bill.pk, amount=Decimal(50), actor="bank", now=DECEMBER)
        looked = text(staff.post(page(bill, "void"), {"reason": "Wrong company"}))
        assert "Amount due $60.85 $50.00 owed back" in looked
        assert "Total $110.85" in looked
        assert fresh(bill).status == "final"
        done = text(confirm(staff, bill, "void", reason="Wrong company"))
        assert "Invoice 2026-0001 is void." in done
        assert fresh(bill).status == "void"
        assert "reason: Wrong company" in done

    def test_reissue_leads_to_the_new_one(self, staff: Client, bill: Invoice) -> None:
        looked = text(staff.post(page(bill, "reissue"), {"reason": "Wrong usage"}))
        assert "Another invoice 1–30 Nov 2026: $110.85, as of now." in looked
        assert Invoice.objects.filter(customer=bill.customer, status="void").count() == 0
        done = confirm(staff, bill, "reissue", reason="Wrong usage")
        new = Invoice.objects.get(replaces=bill)
        assert done.redirect_chain[-1][0] == page(new)
        old = text(staff.get(page(bill)))
        assert "Its place is taken by" in old
        assert "Issue anew" not in old


class TestTheInvoicePage:
    def test_what_is_paid_credited_and_due(self, staff: Client, bill: Invoice) -> None:
        record_payment(bill.pk, amount=Decimal(20), reference="TX 9", actor="bank", now=DECEMBER)
        issue_credit_note(bill.pk, reason="An outage", amounts={2: Decimal(1)}, now=DECEMBER)
        shown = text(staff.get(page(bill)))
        assert "Partly paid" in shown
        assert "Due 17 Dec 2026" in shown
        assert (
            "Total $110.85 Prepaid credits $0.00 Credit notes -$1.19 Paid -$20.00 Written off $0.00 Amount due $89.66"
            in shown
        )
        assert "Payment TX 9 bank $20.00" in shown
        assert "CN-2026-0001" in shown
        for title in ("Record a payment", "Record a refund", "Write off", "Credit note", "Make void", "Issue anew"):
            assert title in shown

    def test_an_estimate_has_none_of_it(self, staff: Client, bill: Invoice) -> None:
        put_on(other := make_customer("other"), bill.assignment.plan, date(2026, 12, 1))
        live = Invoice.objects.filter(customer=other)[0]
        assert "Record a payment" not in text(staff.get(page(live)))
        for action in ACTIONS:
            assert staff.get(page(live, action)).status_code == 404

    def test_a_void_one_can_be_paid_back(self, staff: Client, bill: Invoice) -> None:
        record_payment(bill.pk, amount=Decimal(20), actor="bank", now=DECEMBER)
        void_invoice(bill.pk, reason="So", now=DECEMBER)
        shown = text(staff.get(page(bill)))
        assert "$20.00 owed back" in shown
        assert "Record a refund" in shown
        assert "Make void" not in shown
        assert "Write off Reason" not in shown


class TestCreditNotePages:
    def test_list_and_page(self, staff: Client, bill: Invoice) -> None:
        note = issue_credit_note(bill.pk, reason="An outage", amounts={1: Decimal(10)}, actor="ben", now=DECEMBER)
        assert "CN-2026-0001 2026-0001 acme $11.90" in text(staff.get("/admin/invoices/creditnote/"))
        shown = text(staff.get(f"/admin/invoices/creditnote/{note.pk}/change/"))
        assert "ApiCalls $10.00 Subtotal $10.00 Tax 1 19% $1.90 Total credited $11.90" in shown
        assert "ben" in shown
        assert "Save" not in shown

    def test_they_are_read_only(self, staff: Client, bill: Invoice) -> None:
        note = issue_credit_note(bill.pk, reason="So", now=DECEMBER)
        assert staff.get("/admin/invoices/creditnote/add/").status_code == 403
        assert staff.post(f"/admin/invoices/creditnote/{note.pk}/change/", {"reason": "x"}).status_code == 403
        assert staff.post(f"/admin/invoices/creditnote/{note.pk}/delete/", {"post": "yes"}).status_code == 403


class TestOverdue:
    def test_page_and_filter(self, staff: Client, bill: Invoice, november: Any) -> None:
        make_bill("paid", plan=bill.assignment.plan, taxes=(), off="")
        paid = Invoice.objects.get(customer__key="paid", status="final")
        record_payment(paid.pk, amount=paid.total, actor="bank", now=DECEMBER)
        assert "Nothing is overdue." in text(staff.get("/admin/invoices/invoice/overdue/"))
        november.move_to("2026-12-20T09:00:00Z")
        staff.force_login(User.objects.get(username="ada"))
        shown = text(staff.get("/admin/invoices/invoice/overdue/"))
        assert "1 invoice, $110.85 in all" in shown
        assert "acme 2026-0001 17 Dec 2026 3 $110.85" in shown
        listed = text(staff.get("/admin/invoices/invoice/?payment=overdue"))
        assert "2026-0001" in listed
        assert "2026-0002" not in listed
        listed = text(staff.get("/admin/invoices/invoice/?payment=paid"))
        assert "2026-0002" in listed
        assert "2026-0001" not in listed
        assert "3 days ago" in text(staff.get(page(bill)))


class TestStrangers:
    def test_without_permission_nothing_is_done_or_offered(self, client: Client, bill: Invoice) -> None:
        user = User.objects.create_user("viewer", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=["view_invoice", "change_invoice"]))
        client.force_login(user)
        assert "Record a payment" not in text(client.get(page(bill)))
        for action in ACTIONS:
            assert client.get(page(bill, action)).status_code == 403
            typed = {"reason": "x", "amount": "1", "paid_on": "2026-12-02", "seen": "x"}
            assert client.post(page(bill, action), typed).status_code == 403
        assert (Payment.objects.count(), CreditNote.objects.count(), fresh(bill).status) == (0, 0, "final")

    def test_each_permission_opens_its_part(self, client: Client, bill: Invoice) -> None:
        user = User.objects.create_user("cashier", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=["view_invoice", "add_payment"]))
        client.force_login(user)
        assert [client.get(page(bill, action)).status_code for action in ACTIONS] == [200, 200, 200, 403, 403, 403]
        # Who sees no invoices does nothing to them.
        user.user_permissions.set(Permission.objects.filter(codename__in=["add_creditnote", "add_payment"]))
        client.force_login(User.objects.get(pk=user.pk))
        assert [client.get(page(bill, action)).status_code for action in ACTIONS] == [403] * 6
        assert client.get("/admin/invoices/invoice/overdue/").status_code == 403

    def test_others_are_sent_to_sign_in(self, client: Client, bill: Invoice) -> None:
        client.force_login(User.objects.create_user("nobody"))
        for action in ACTIONS:
            assert client.get(page(bill, action)).status_code == 302
