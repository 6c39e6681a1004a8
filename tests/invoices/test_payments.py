"""Payments, what goes back and what is written off: what is due follows, and a reference counts once."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from invoices import signals
from invoices.models import CreditEntry, CreditGrant, Invoice, InvoiceEvent, Payment
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment, refund, write_off
from invoices.settling.settlement import days_over, is_overdue, overdue, refresh, settlement_of
from invoices.settling.voiding import void_invoice
from invoices.states import money_state
from tests.factories import make_customer, put_on, send
from tests.invoices.settled import DECEMBER, MID_NOVEMBER, finalize, fresh, make_plan_of_two

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("november")]

Status = Invoice.PaymentStatus


@pytest.fixture
def bill(november_bill: Invoice) -> Invoice:
    return november_bill


def pay(bill: Invoice, amount: str, reference: str = "", **fields) -> tuple[Payment, bool]:
    given = {"actor": "bank", "now": DECEMBER, **fields}
    return record_payment(bill.pk, amount=Decimal(amount), reference=reference, **given)


def standing(bill: Invoice) -> tuple[str, str]:
    bill = fresh(bill)
    return str(bill.payment_status), f"{bill.amount_due:f}"


def test_partly_then_all(bill: Invoice) -> None:
    assert standing(bill) == ("unpaid", "110.85")
    payment, is_new = pay(bill, "100.00", "TX 1", paid_on=date(2026, 12, 2))
    assert is_new
    assert (payment.kind, payment.amount, payment.paid_on) == ("payment", 100, date(2026, 12, 2))
    assert standing(bill) == ("partly", "10.85")
    pay(bill, "10.85", "TX 2")
    assert standing(bill) == ("paid", "0.00")
    events = InvoiceEvent.objects.filter(invoice=bill, kind__in=["payment", "payment status"]).order_by("id")
    assert [(event.kind, event.actor, event.detail) for event in events] == [
        ("payment", "bank", {"amount": "100.00", "reference": "TX 1"}),
        ("payment status", "", {"from": "unpaid", "to": "partly"}),
        ("payment", "bank", {"amount": "10.85", "reference": "TX 2"}),
        ("payment status", "", {"from": "partly", "to": "paid"}),
    ]


def test_a_reference_counts_once(bill: Invoice) -> None:
    first, _ = pay(bill, "10", " TX 1 ")
    again, is_new = pay(bill, "10.00", "TX 1", paid_on=first.paid_on)
    assert (again, is_new) == (first, False)
    assert standing(bill) == ("partly", "100.85")
    assert InvoiceEvent.objects.filter(kind="payment").count() == 1
    for amount, paid_on in (("10.01", None), ("10", date(2026, 12, 1))):
        with pytest.raises(ValidationError, match=r"another one of \$10.00") as raised:
            pay(bill, amount, "TX 1", paid_on=paid_on)
        assert list(raised.value.message_dict) == ["reference"]


def test_without_a_reference_each_is_one(bill: Invoice) -> None:
    pay(bill, "10")
    pay(bill, "10")
    assert fresh(bill).paid == 20


def test_more_than_is_due_is_owed_back(bill: Invoice) -> None:
    pay(bill, "111")
    assert standing(bill) == ("paid", "-0.15")
    refund(bill.pk, amount=Decimal("0.15"), actor="ben", now=DECEMBER)
    assert standing(bill) == ("paid", "0.00")


def test_a_refund_leaves_it_due_again(bill: Invoice) -> None:
    pay(bill, "110.85")
    back, is_new = refund(bill.pk, amount=Decimal("110.85"), reference="R1", actor="ben", now=DECEMBER)
    assert (is_new, back.amount, str(back)) == (True, Decimal("-110.85"), "Refund for 2026-0001")
    assert standing(bill) == ("unpaid", "110.85")
    # Sent again, it is the same one, though nothing is left to give back.
    assert refund(bill.pk, amount=Decimal("110.85"), reference="R1", actor="ben", now=DECEMBER) == (back, False)
    with pytest.raises(ValidationError, match=r"Only \$0.00"):
        refund(bill.pk, amount=Decimal("0.01"), actor="ben", now=DECEMBER)


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "NaN", "Infinity", "1E+25", "1E+1000"])
def test_amounts_are_money(bill: Invoice, amount: str) -> None:
    for record in (record_payment, refund):
        with pytest.raises(ValidationError) as raised:
            record(bill.pk, amount=Decimal(amount), actor="x", now=DECEMBER)
        assert list(raised.value.message_dict) == ["amount"]
    with pytest.raises(ValidationError) as raised:
        write_off(bill.pk, amount=Decimal(amount), reason="So", actor="x", now=DECEMBER)
    assert list(raised.value.message_dict) == ["amount"]
    assert not Payment.objects.exists()


def test_the_day_is_one_that_has_been(bill: Invoice) -> None:
    for day in (date(2026, 12, 5), date(1999, 12, 31)):
        with pytest.raises(ValidationError) as raised:
            pay(bill, "1", paid_on=day)
        assert list(raised.value.message_dict) == ["paid_on"]
    # By default today, where the invoice is.
    payment, _ = pay(bill, "1")
    assert payment.paid_on == date(2026, 12, 3)


def test_of_live_invoices_nothing_is_recorded(bill: Invoice) -> None:
    put_on(other := make_customer("other"), bill.assignment.plan, date(2026, 11, 1))
    live = Invoice.objects.filter(customer=other)[0]
    for record in (
        lambda: pay(live, "1"),
        lambda: refund(live.pk, amount=Decimal(1), actor="x"),
        lambda: write_off(live.pk, reason="So", actor="x"),
        lambda: refresh(live, DECEMBER),
    ):
        with pytest.raises(ValidationError):
            record()


class TestWriteOff:
    def test_all_that_is_due(self, bill: Invoice) -> None:
        pay(bill, "10.85")
        off, is_new = write_off(bill.pk, reason="Bankrupt", actor="ben", now=DECEMBER)
        assert (is_new, off.kind, off.amount) == (True, "write_off", 100)
        assert standing(bill) == ("written_off", "0.00")
        event = InvoiceEvent.objects.get(kind="write-off")
        assert (event.actor, event.detail) == ("ben", {"amount": "100.00", "reason": "Bankrupt"})
        with pytest.raises(ValidationError, match="Nothing is due"):
            write_off(bill.pk, reason="Bankrupt", actor="ben", now=DECEMBER)

    def test_in_part_it_is_still_due(self, bill: Invoice) -> None:
        write_off(bill.pk, reason="Goodwill", amount=Decimal("10.85"), actor="ben", now=DECEMBER)
        assert standing(bill) == ("partly", "100.00")
        pay(bill, "100")
        assert standing(bill) == ("written_off", "0.00")

    def test_no_more_than_is_due(self, bill: Invoice) -> None:
        with pytest.raises(ValidationError, match=r"Only \$110.85"):
            write_off(bill.pk, reason="So", amount=Decimal("110.86"), actor="ben", now=DECEMBER)

    def test_a_payment_that_comes_after_all_takes_its_place(self, bill: Invoice) -> None:
        write_off(bill.pk, reason="Bankrupt", actor="ben", now=DECEMBER)
        pay(bill, "50")
        assert standing(bill) == ("written_off", "0.00")
        assert fresh(bill).written_off == Decimal("60.85")
        pay(bill, "60.85")
        assert standing(bill) == ("paid", "0.00")
        assert fresh(bill).written_off == 0

    def test_a_reference_counts_once(self, bill: Invoice) -> None:
        first = write_off(bill.pk, reason="So", reference="W1", actor="ben", now=DECEMBER)
        assert write_off(bill.pk, reason="So", reference="W1", actor="ben", now=DECEMBER) == (first[0], False)

    @pytest.mark.parametrize("reason", ["", " ", "x" * 501])
    def test_it_has_a_reason(self, bill: Invoice, reason: str) -> None:
        with pytest.raises(ValidationError) as raised:
            write_off(bill.pk, reason=reason, actor="ben", now=DECEMBER)
        assert list(raised.value.message_dict) == ["reason"]

    def test_not_of_a_void_one(self, bill: Invoice) -> None:
        void_invoice(bill.pk, reason="So", now=DECEMBER)
        with pytest.raises(ValidationError, match="Nothing is due"):
            write_off(bill.pk, reason="So", actor="ben", now=DECEMBER)


class TestSettlement:
    def test_credits_notes_and_payments_together(self, bill: Invoice) -> None:
        grant = CreditGrant.objects.create(
            customer=bill.customer, name="Prepaid", currency="USD", amount=50, starts_at=DECEMBER
        )
        CreditEntry.objects.create(grant=grant, kind="drawn", amount=-50, balance=0, invoice=bill, at=DECEMBER)
        with transaction.atomic():
            refresh(bill, DECEMBER)
        issue_credit_note(bill.pk, reason="So", amounts={2: Decimal("3.00")}, now=DECEMBER)
        pay(bill, "20")
        bill = fresh(bill)
        assert (bill.credits_applied, bill.credited, bill.paid) == (50, Decimal("3.57"), 20)
        assert standing(bill) == ("partly", "37.28")
        assert settlement_of(bill).paid == 20

    def test_nothing_new_is_told_to_nobody(self, bill: Invoice) -> None:
        told = []

        def tell(invoice: Invoice, now: datetime, **_: object) -> None:
            told.append((invoice.pk, invoice.payment_status, now))

        signals.settled.connect(tell)
        try:
            pay(bill, "110.85", "TX")
            pay(bill, "110.85", "TX")
            assert not refresh(fresh(bill), DECEMBER)
        finally:
            signals.settled.disconnect(tell)
        assert told == [(bill.pk, "paid", DECEMBER)]

    def test_columns_come_from_rows(self, bill: Invoice) -> None:
        """Whoever set them otherwise: the next refresh has them right."""
        Invoice.objects.filter(pk=bill.pk).update(paid=99, payment_status="paid")
        assert refresh(fresh(bill), DECEMBER)
        assert standing(bill) == ("unpaid", "110.85")


class TestOverdue:
    def test_from_the_day_after_it_is_due(self, bill: Invoice) -> None:
        # Final on the 3rd, 14 days to pay.
        assert bill.due_on == date(2026, 12, 17)
        late = bill.due_on + timedelta(days=3)
        assert not overdue(Invoice.objects.all(), datetime(2026, 12, 17, 23, 59, tzinfo=UTC)).exists()
        assert not is_overdue(bill, bill.due_on)
        assert list(overdue(Invoice.objects.all(), datetime(2026, 12, 18, tzinfo=UTC))) == [bill]
        assert (is_overdue(bill, late), days_over(bill, late)) == (True, 3)

    def test_by_the_day_of_its_own_zone(self) -> None:
        """At 23:30 in UTC it is tomorrow in Berlin, and 15:30 in Los Angeles."""
        plan = make_plan_of_two()
        at = datetime(2026, 12, 17, 23, 30, tzinfo=UTC)
        for key, zone in (("berlin", "Europe/Berlin"), ("la", "America/Los_Angeles")):
            put_on(made := make_customer(key, time_zone=zone), plan, date(2026, 11, 1))
            send(key, "ApiCalls", 5, time=MID_NOVEMBER, now=MID_NOVEMBER)
            finalize(made)
        assert [invoice.customer.key for invoice in overdue(Invoice.objects.all(), at)] == ["berlin"]
        assert not overdue(Invoice.objects.all(), at - timedelta(hours=1)).exists()
        assert overdue(Invoice.objects.all(), at + timedelta(hours=9)).count() == 2

    @pytest.mark.parametrize("settle", ["pay", "credit", "write off", "void"])
    def test_until_it_is_settled(self, bill: Invoice, settle: str) -> None:
        late = datetime(2026, 12, 18, 12, tzinfo=UTC)
        pay(bill, "10")
        assert overdue(Invoice.objects.all(), late).exists()
        {
            "pay": lambda: pay(bill, "100.85"),
            "credit": lambda: issue_credit_note(bill.pk, reason="So", now=DECEMBER),
            "write off": lambda: write_off(bill.pk, reason="So", actor="ben", now=DECEMBER),
            "void": lambda: void_invoice(bill.pk, reason="So", now=DECEMBER),
        }[settle]()
        assert not overdue(Invoice.objects.all(), late).exists()
        assert not is_overdue(fresh(bill), late.date())


class TestStates:
    def test_in_words(self, bill: Invoice) -> None:
        day = date(2026, 12, 10)

        def words(invoice: Invoice, on: date = day) -> str:
            return money_state(invoice, on).words

        assert words(bill) == "Due 17 Dec 2026"
        assert words(bill, date(2026, 12, 18)) == "Overdue"
        pay(bill, "10")
        assert words(fresh(bill)) == "Partly paid"
        assert words(fresh(bill), date(2026, 12, 18)) == "Overdue"
        pay(bill, "200")
        assert words(fresh(bill)) == "Paid"
        void_invoice(bill.pk, reason="So", now=DECEMBER)
        assert words(fresh(bill)) == "Void"

    def test_written_off_and_estimates(self, bill: Invoice) -> None:
        write_off(bill.pk, reason="So", actor="ben", now=DECEMBER)
        assert money_state(fresh(bill), date(2027, 1, 1)).words == "Written off"
        put_on(other := make_customer("other"), bill.assignment.plan, date(2026, 11, 1))
        assert money_state(Invoice.objects.filter(customer=other)[0], date(2026, 11, 3)).words == "Estimate"


class TestTheDatabaseKeepsThem:
    @pytest.mark.parametrize("change", ["UPDATE invoices_payment SET amount = 1", "DELETE FROM invoices_payment"])
    def test_whoever_asks(self, bill: Invoice, change: str) -> None:
        pay(bill, "10")
        refused = pytest.raises(IntegrityError, match="only ever added to")
        with refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)

    def test_a_refund_is_below_zero_and_a_payment_above(self, bill: Invoice) -> None:
        for kind, amount in (("payment", -1), ("refund", 1), ("write_off", -1), ("payment", 0)):
            with pytest.raises(IntegrityError, match="payment_sign"), transaction.atomic():
                Payment.objects.create(invoice=bill, kind=kind, amount=amount, paid_on=date(2026, 12, 3), actor="x")


def test_days_are_the_invoices_own() -> None:
    """At 23:30 in UTC it is tomorrow in Berlin."""
    put_on(made := make_customer("berlin", time_zone="Europe/Berlin"), make_plan_of_two(), date(2026, 11, 1))
    bill = finalize(made)
    payment, _ = pay(bill, "1", now=datetime(2026, 12, 3, 23, 30, tzinfo=UTC))
    assert payment.paid_on == date(2026, 12, 4)
