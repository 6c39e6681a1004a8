"""At the same time: a credit note, a payment, a void and a reissue happen once, and numbers have no gap."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from invoices.models import CreditNote, Invoice, NumberSeries, Payment
from invoices.services import close
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment, write_off
from invoices.settling.voiding import reissue, void_invoice
from pricing.money import total_of
from tests.invoices.settled import DECEMBER, fresh, make_bill, make_plan_of_two
from tests.racing import race

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bill(transactional_db: None) -> Invoice:
    return make_bill()


def test_crediting_it_all_twice(bill: Invoice) -> None:
    raised = race(*[lambda: issue_credit_note(bill.pk, reason="So", now=DECEMBER)] * 4)
    assert [type(error) for error in raised] == [ValidationError] * 3
    assert (CreditNote.objects.get().total, fresh(bill).amount_due) == (bill.total, 0)


def test_crediting_by_line_never_takes_more_than_there_is(bill: Invoice) -> None:
    job = lambda: issue_credit_note(bill.pk, reason="So", amounts={2: Decimal("1.00")}, now=DECEMBER)  # noqa: E731
    raised = race(*[job] * 5)
    assert [type(error) for error in raised] == [ValidationError] * 2
    assert sorted(CreditNote.objects.values_list("number", flat=True)) == [f"CN-2026-000{n}" for n in (1, 2, 3)]
    assert total_of(CreditNote.objects.values_list("total", flat=True)) == fresh(bill).credited == Decimal("3.57")


def test_a_payment_with_the_same_reference(bill: Invoice) -> None:
    made = []
    job = lambda: made.append(  # noqa: E731
        record_payment(bill.pk, amount=Decimal(10), reference="TX", actor="bank", now=DECEMBER)
    )
    assert race(*[job] * 4) == []
    assert sorted(is_new for _, is_new in made) == [False, False, False, True]
    assert (Payment.objects.get().amount, fresh(bill).paid) == (10, 10)


def test_payments_with_different_references_are_all_counted(bill: Invoice) -> None:
    jobs = [
        lambda number=number: record_payment(
            bill.pk, amount=Decimal(10), reference=f"TX {number}", actor="bank", now=DECEMBER
        )
        for number in range(5)
    ]
    assert race(*jobs) == []
    assert fresh(bill).paid == 50


def test_void_raced_with_a_payment_a_credit_note_and_a_write_off(bill: Invoice) -> None:
    raised = race(
        lambda: void_invoice(bill.pk, reason="So", now=DECEMBER),
        lambda: record_payment(bill.pk, amount=Decimal(10), reference="TX", actor="bank", now=DECEMBER),
        lambda: issue_credit_note(bill.pk, reason="So", amounts={2: Decimal(1)}, now=DECEMBER),
        lambda: write_off(bill.pk, amount=Decimal(5), reason="So", actor="ben", now=DECEMBER),
    )
    assert all(isinstance(error, ValidationError) for error in raised)
    bill = fresh(bill)
    assert (bill.status, bill.credited, bill.paid, bill.written_off) == ("void", bill.total, 10, 0)
    assert bill.amount_due == -10


def test_reissuing_at_once_makes_one(bill: Invoice) -> None:
    raised = race(*[lambda: reissue(bill.pk, reason="So", now=DECEMBER)] * 4)
    assert [type(error) for error in raised] == [ValidationError] * 3
    new = Invoice.objects.get(replaces=bill)
    race(*[lambda: close(new.pk, now=DECEMBER)] * 3)
    assert fresh(new).number == "2026-0002"
    assert CreditNote.objects.count() == 1


def test_numbers_have_no_gap(transactional_db: None) -> None:
    plan = make_plan_of_two()
    bills = [make_bill(name, plan=plan, off="", taxes=()) for name in ("a", "b", "c")]
    jobs = [
        lambda pk=bill.pk: issue_credit_note(pk, reason="So", amounts={1: Decimal(1)}, now=DECEMBER)
        for bill in bills
        for _ in range(2)
    ]
    # Some that are refused once they hold a lock, and take no number with them.
    jobs += [
        lambda pk=bill.pk: issue_credit_note(pk, reason="So", amounts={1: Decimal(1000)}, now=DECEMBER)
        for bill in bills
    ]
    raised = race(*jobs)
    assert len(raised) == 3
    numbers = sorted(CreditNote.objects.values_list("number", flat=True))
    assert numbers == [f"CN-2026-000{number}" for number in range(1, 7)]
    assert NumberSeries.objects.get(series="credit_note").last == 6
