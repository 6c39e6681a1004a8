"""A customer's statement: the balance, the documents that move it, and what is not issued yet."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pypdf import PdfReader

from invoices.models import Invoice
from invoices.papers.pdf import pdf_of
from invoices.papers.statement_paper import statement_paper
from invoices.services import close
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment, refund, write_off
from invoices.settling.voiding import void_invoice
from invoices.statements.query import StatementQuery, offered_periods
from invoices.statements.rows import csv_rows
from invoices.statements.running_bills import credits_words, running_bills
from invoices.statements.statement import Statement, currencies_of, headline_of, statement_of
from meters.models import Customer
from meters.periods import Period
from tests.factories import make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.late import rerate, void
from tests.invoices.plans import ONE_EACH, fee, plan_with
from tests.invoices.prepaid import prepaid
from tests.invoices.settled import DECEMBER, MID_NOVEMBER, finalize, make_bill

pytestmark = pytest.mark.django_db

NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
MONTH = Period(datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
JANUARY = Period(datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
DAY = timedelta(days=1)
END = datetime(2027, 1, 20, tzinfo=UTC)


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(MID_NOVEMBER, tick=False) as traveller:
        yield traveller


@pytest.fixture
def bill(clock: Any) -> Invoice:
    """November's, of 110.85, final on 3 December."""
    invoice = make_bill()
    clock.move_to(DECEMBER + DAY)
    return invoice


def december(customer: Customer, now: datetime = END, currency: str = "USD") -> Statement:
    return statement_of(customer, currency, MONTH, now=now)


def said(statement: Statement) -> list[tuple[str, str, str, Decimal, Decimal]]:
    return [
        (f"{one.day:%d %b}", f"{one.words} {one.number}", one.detail, one.amount, one.balance)
        for one in statement.entries
    ]


def test_documents_with_their_balance(bill: Invoice, clock: Any) -> None:
    issue_credit_note(bill.pk, reason="An outage.", amounts={1: Decimal(10)}, now=DECEMBER + DAY)
    clock.move_to(DECEMBER + 5 * DAY)
    record_payment(bill.pk, amount=Decimal(100), reference="TX-1", paid_on=date(2026, 12, 5), actor="ben")
    refund(bill.pk, amount=Decimal("0.50"), reference="TX-2", actor="ben")
    statement = december(bill.customer)
    assert (statement.opening, statement.closing) == (0, Decimal("-0.55"))
    assert said(statement) == [
        (
            "03 Dec",
            "Invoice 2026-0001",
            "Basic, 1–30 Nov 2026, due 17 Dec 2026",
            Decimal("110.85"),
            Decimal("110.85"),
        ),
        (
            "04 Dec",
            "Credit note CN-2026-0001",
            "for invoice 2026-0001: An outage.",
            Decimal("-11.90"),
            Decimal("98.95"),
        ),
        ("08 Dec", "Payment for invoice 2026-0001", "on 5 Dec 2026", Decimal(-100), Decimal("-1.05")),
        ("08 Dec", "Refund for invoice 2026-0001", "", Decimal("0.50"), Decimal("-0.55")),
    ]
    assert [one.reference for one in statement.entries] == ["", "", "TX-1", "TX-2"]
    assert statement.sums == [
        ("Invoices", Decimal("110.85")),
        ("Credit notes", Decimal("-11.90")),
        ("Payments", Decimal(-100)),
        ("Refunds", Decimal("0.50")),
    ]
    assert headline_of(statement) == "$0.55 owed back to you on 31 Dec 2026"


def test_what_closes_a_month_opens_the_next(bill: Invoice, clock: Any) -> None:
    record_payment(bill.pk, amount=Decimal(20), actor="ben")
    clock.move_to(JANUARY.start)
    # To the instant: midnight belongs to the day that begins.
    record_payment(bill.pk, amount=Decimal(30), actor="ben")
    before, then, after = (statement_of(bill.customer, "USD", one, now=END) for one in (NOVEMBER, MONTH, JANUARY))
    assert (before.opening, before.closing, list(before.entries)) == (0, 0, [])
    assert (then.opening, then.closing) == (0, Decimal("90.85"))
    assert (after.opening, after.closing) == (Decimal("90.85"), Decimal("60.85"))
    assert len(after.entries) == 1


def test_a_statement_of_a_month_that_is_over_stays_as_it_is(bill: Invoice, clock: Any) -> None:
    before = december(bill.customer)
    clock.move_to(JANUARY.start + DAY)
    record_payment(bill.pk, amount=Decimal(20), paid_on=date(2026, 12, 20), actor="ben")
    void_invoice(bill.pk, reason="Wrong", now=JANUARY.start + 2 * DAY)
    assert december(bill.customer) == before
    assert [one.kind for one in statement_of(bill.customer, "USD", JANUARY, now=END).entries] == [
        "payment",
        "void",
        "credit_note",
    ]


def test_what_is_paid_after_all_takes_the_place_of_a_write_off(bill: Invoice, clock: Any) -> None:
    write_off(bill.pk, reason="Bankrupt", actor="ben")
    clock.shift(DAY)
    record_payment(bill.pk, amount=Decimal(40), actor="ben")
    clock.shift(DAY)
    refund(bill.pk, amount=Decimal(40), actor="ben")
    statement = december(bill.customer)
    assert [(words, amount, balance) for _, words, _, amount, balance in said(statement)[1:]] == [
        ("Write-off of invoice 2026-0001", Decimal("-110.85"), 0),
        ("Payment for invoice 2026-0001", Decimal(-40), Decimal(-40)),
        ("Write-off taken back, invoice 2026-0001", Decimal(40), 0),
        ("Refund for invoice 2026-0001", Decimal(40), Decimal(40)),
        ("Write-off again, invoice 2026-0001", Decimal(-40), 0),
    ]
    # Why is for staff.
    assert not any("Bankrupt" in entry.detail for entry in statement.entries)


def test_a_void_invoice_and_what_was_paid_of_it(bill: Invoice, clock: Any) -> None:
    record_payment(bill.pk, amount=Decimal("110.85"), actor="ben")
    clock.shift(DAY)
    void_invoice(bill.pk, reason="Wrong company.", now=DECEMBER + 2 * DAY)
    statement = december(bill.customer)
    assert [(one.kind, one.amount) for one in statement.entries] == [
        ("invoice", Decimal("110.85")),
        ("payment", Decimal("-110.85")),
        ("void", Decimal(0)),
        ("credit_note", Decimal("-110.85")),
    ]
    assert statement.closing == Invoice.objects.get(pk=bill.pk).amount_due == Decimal("-110.85")


def test_credits_pay_and_come_back(clock: Any) -> None:
    made = make_customer("acme")
    prepaid(made, 60, name="Welcome")
    bill = make_bill_of(made)
    clock.move_to(DECEMBER + DAY)
    void_invoice(bill.pk, reason="Wrong", now=DECEMBER + DAY)
    statement = december(made)
    assert [(one.words, one.detail, one.amount) for one in statement.entries if one.kind == "credits"] == [
        ("Credits for invoice", "Welcome", Decimal(-60)),
        ("Credits back from invoice", "Welcome", Decimal(60)),
    ]
    assert statement.closing == 0


def make_bill_of(customer: Customer) -> Invoice:
    put_on(customer, plan_with("Basic", {make_meter(): ONE_EACH}), date(2026, 11, 1))
    send(customer.key, "ApiCalls", 100, time=MID_NOVEMBER, now=MID_NOVEMBER)
    return finalize(customer)


def test_an_invoice_below_zero_becomes_credit(clock: Any) -> None:
    made = make_customer("acme")
    put_on(made, plan_with("Basic", {make_meter(): ONE_EACH}), date(2026, 10, 1))
    october = datetime(2026, 10, 9, tzinfo=UTC)
    send("acme", "ApiCalls", 5, id="late", time=october, now=october)
    finalize(made, MID_NOVEMBER)
    void("late")
    rerate(made)
    bill = finalize(made)
    assert bill.total == -5
    clock.move_to(DECEMBER + DAY)
    then = december(made)
    assert [(one.words, one.amount) for one in then.entries] == [("Invoice", -5), ("Made credit: invoice", 5)]
    assert (then.opening, then.closing) == (5, 5)
    void_invoice(bill.pk, reason="Wrong", now=DECEMBER + DAY)
    statement = december(made)
    assert [(one.words, one.amount) for one in statement.entries[2:]] == [
        ("Void: invoice", 5),
        ("Credit taken back, invoice", -5),
    ]
    assert Invoice.objects.get(pk=bill.pk).amount_due == 0
    assert statement.closing == 5


def test_credit_of_a_void_invoice_that_comes_back_is_owed_no_more(clock: Any) -> None:
    made = make_customer("acme")
    put_on(made, plan_with("Basic", {make_meter(): ONE_EACH}), date(2026, 9, 1))
    september = datetime(2026, 9, 9, tzinfo=UTC)
    send("acme", "ApiCalls", 5, id="late", time=september, now=september)
    finalize(made, MID_NOVEMBER)
    void("late")
    rerate(made)
    below = finalize(made, MID_NOVEMBER)
    send("acme", "ApiCalls", 3, time=MID_NOVEMBER, now=MID_NOVEMBER)
    paid = finalize(made)
    assert (below.total, paid.amount_due) == (-5, 0)
    void_invoice(below.pk, reason="Wrong", now=DECEMBER)
    # The three that it paid of November's are gone, so it is owed for them; as long as that stands.
    assert december(made).closing == Invoice.objects.get(pk=below.pk).amount_due + 5 == 8
    void_invoice(paid.pk, reason="Wrong too", now=DECEMBER + DAY)
    statement = december(made)
    assert Invoice.objects.get(pk=below.pk).amount_due == 0
    assert ("Credit taken back, invoice", -3) in [(one.words, one.amount) for one in statement.entries]
    assert statement.closing == 5


def test_an_invoice_that_a_clock_ahead_made_counts_before_its_payment(clock: Any) -> None:
    made = make_customer("acme")
    put_on(made, plan_with("Seats", {}, fee("seat", "30")), date(2026, 11, 1))
    ahead = MONTH.end + timedelta(minutes=1)
    bill = finalize(made, ahead)
    clock.move_to(MONTH.end - timedelta(minutes=1))
    record_payment(bill.pk, amount=Decimal(30), actor="ben")
    assert december(made).entries == []
    january = statement_of(made, "USD", JANUARY, now=END)
    assert [(one.words, one.balance) for one in january.entries] == [("Invoice", 30), ("Payment for invoice", 0)]


def test_currencies_never_mix(bill: Invoice, clock: Any) -> None:
    made = bill.customer
    put_on(made, plan_with("Tokyo", {}, fee("seat", "500"), currency="JPY"), date(2026, 11, 1))
    yen = Invoice.objects.get(customer=made, currency="JPY", period_start=NOVEMBER.start)
    close(yen.pk, now=DECEMBER + DAY)
    assert sorted(currencies_of(made)) == ["JPY", "USD"]
    assert december(made).closing == Decimal("110.85")
    statement = december(made, currency="JPY")
    # 500 less 10% and 19% of tax, which is 85.5: whole yen.
    assert (statement.closing, len(statement.entries)) == (536, 1)
    assert list(csv_rows(statement))[-1][-2:] == ("536", "JPY")
    assert headline_of(statement) == "¥536 owed on 31 Dec 2026"


def test_days_are_those_of_the_customer(clock: Any) -> None:
    made = make_customer("acme", time_zone="Pacific/Auckland")
    bill = make_bill_of(made)
    assert bill.finalized_at is not None
    # 9:00 UTC on 3 December is the evening there; 12:00 is the 4th.
    clock.move_to(datetime(2026, 12, 3, 12, tzinfo=UTC))
    record_payment(bill.pk, amount=Decimal(1), actor="ben")
    month = offered_periods(made, now=datetime(2026, 12, 20, tzinfo=UTC))["2026-12"][1]
    assert month.start == datetime(2026, 11, 30, 11, tzinfo=UTC)
    statement = statement_of(made, "USD", month, now=datetime(2026, 12, 20, tzinfo=UTC))
    assert [one.day.day for one in statement.entries] == [3, 4]


def test_what_runs_stands_apart_by_plan(bill: Invoice, clock: Any) -> None:
    made = bill.customer
    put_on(made, plan_with("Seats", {}, fee("seats", "12.50")), date(2026, 12, 1))
    send("acme", "ApiCalls", 7, now=DECEMBER + DAY)
    run_sweep()
    prepaid(made, 5, name="Gift")
    now = DECEMBER + DAY
    statement = december(made, now=now)
    assert (statement.closing, statement.as_of, statement.is_over) == (Decimal("110.85"), now, False)
    running = running_bills(made, "USD", now=now, until=MONTH.end)
    assert [(one.plan, one.invoice.total) for one in running.bills] == [
        ("Basic", Decimal("7.50")),  # 7, less 10%, and 19% of tax
        ("Seats", Decimal("13.39")),
    ]
    assert [(one.line.name, one.quantity, one.is_tax) for one in running.bills[0].lines] == [
        ("ApiCalls", 7, False),
        ("Storage", 0, False),
        ("Welcome", None, False),
        ("Tax 1", None, True),
    ]
    assert (running.total, running.credits, running.left) == (Decimal("20.89"), 5, Decimal("15.89"))
    assert credits_words(running, made.zone).endswith(": $5.00.")
    assert running_bills(made, "USD", now=now, until=NOVEMBER.end).bills == []
    assert running_bills(made, "EUR", now=now).bills == []


def test_a_customer_without_invoices(clock: Any) -> None:
    made = make_customer("acme")
    assert currencies_of(made) == []
    statement = december(made)
    assert (statement.opening, statement.closing, list(statement.entries)) == (0, 0, [])
    assert list(offered_periods(made, now=MID_NOVEMBER)) == ["2026-11", "2026"]


def test_the_form_refuses_what_is_not_offered(bill: Invoice) -> None:
    now = DECEMBER
    assert StatementQuery({}, customer=bill.customer, now=now).is_valid()
    for wrong in ({"period": "2027-01"}, {"period": "nonsense"}, {"currency": "EUR"}, {"currency": "usd"}):
        form = StatementQuery(wrong, customer=bill.customer, now=now)
        assert not form.is_valid()
        assert list(form.errors) == list(wrong)
    whole = StatementQuery({"period": "2026"}, customer=bill.customer, now=now)
    assert whole.is_valid()
    assert whole.chosen_period.end == JANUARY.start


def test_as_csv(bill: Invoice) -> None:
    issue_credit_note(bill.pk, reason="x", amounts={1: Decimal(10)}, now=DECEMBER)
    assert list(csv_rows(december(bill.customer)))[1:] == [
        ("2026-12-01", "opening balance", "", "", "", "0.00", "USD"),
        ("2026-12-03", "Invoice", "2026-0001", "Basic, 1–30 Nov 2026, due 17 Dec 2026", "110.85", "110.85", "USD"),
        ("2026-12-03", "Credit note", "CN-2026-0001", "for invoice 2026-0001: x", "-11.90", "98.95", "USD"),
        ("2026-12-31", "closing balance", "", "", "", "98.95", "USD"),
    ]


def test_as_pdf(bill: Invoice) -> None:
    now = DECEMBER + DAY
    statement = december(bill.customer, now=now)
    paper = statement_paper(statement, running_bills(bill.customer, "USD", now=now))
    read = PdfReader(BytesIO(pdf_of(paper)))
    text = " ".join(" ".join(page.extract_text() for page in read.pages).split())
    for words in ("Statement", "$110.85 owed on 4 Dec 2026", "Opening balance", "Invoice 2026-0001", "Closing balance"):
        assert words in text, words


def test_it_costs_the_same_statements_for_many_documents(bill: Invoice, clock: Any) -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as seen:
            december(bill.customer)
        return len(seen)

    count()
    before = count()
    for amount in range(1, 6):
        record_payment(bill.pk, amount=Decimal(amount), actor="ben")
    issue_credit_note(bill.pk, reason="x", amounts={1: Decimal(10)}, now=DECEMBER + DAY)
    assert count() == before <= 4
