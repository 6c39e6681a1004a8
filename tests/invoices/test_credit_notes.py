"""Credit notes: whole, by line, in parts, with the taxes that follow, and never more than there was."""

import random
from datetime import date
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from invoices.models import Correction, CreditNote, CreditNoteLine, Invoice, InvoiceEvent, InvoiceLine, NumberSeries
from invoices.services import open_invoices
from invoices.settling.credit_notes import (
    CorrectionLine,
    Leftover,
    Note,
    issue_correction,
    issue_credit_note,
    preview_credit,
)
from invoices.settling.voiding import void_invoice
from pricing.money import total_of
from pricing.taxes import save_tax_rate
from tests.factories import make_customer, put_on
from tests.invoices.plans import fee, plan_with
from tests.invoices.settled import DECEMBER, finalize, fresh, lines_of, make_bill, make_plan_of_two

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("november")]


@pytest.fixture
def bill(november_bill: Invoice) -> Invoice:
    return november_bill


def credit(bill: Invoice, amounts=None, **fields) -> CreditNote:
    amounts = amounts and {place: None if amount is None else Decimal(amount) for place, amount in amounts.items()}
    return issue_credit_note(bill.pk, **{"reason": "Our fault", "amounts": amounts, "now": DECEMBER, **fields})


def test_the_whole_invoice(bill: Invoice) -> None:
    note = credit(bill, actor="ben")
    assert (note.number, note.subtotal, note.total, note.actor) == ("CN-2026-0001", Decimal("93.15"), bill.total, "ben")
    assert lines_of(note) == [
        ("ApiCalls", 100),
        ("Storage", Decimal("3.5")),
        ("Welcome", Decimal("-10.35")),
        ("Tax 1", Decimal("17.70")),
    ]
    assert [line.is_tax for line in note.lines.all()] == [False, False, False, True]
    bill = fresh(bill)
    assert (bill.status, bill.credited, bill.amount_due) == ("final", Decimal("110.85"), 0)
    assert bill.payment_status == Invoice.PaymentStatus.PAID
    event = InvoiceEvent.objects.get(invoice=bill, kind="credit note")
    assert (event.actor, event.detail) == ("ben", {"number": "CN-2026-0001", "total": "110.85"})


def test_by_line_its_tax_follows(bill: Invoice) -> None:
    note = credit(bill, {2: "1.00"})
    # 19% of 1.00
    assert lines_of(note) == [("Storage", 1), ("Tax 1", Decimal("0.19"))]
    assert (note.subtotal, note.total) == (1, Decimal("1.19"))
    assert fresh(bill).payment_status == Invoice.PaymentStatus.PARTLY


def test_all_of_a_line_without_an_amount(bill: Invoice) -> None:
    credit(bill, {2: "1.00"})
    assert lines_of(credit(bill, {2: None}))[0] == ("Storage", Decimal("2.5"))
    with pytest.raises(ValidationError, match="Nothing is left to credit of Storage"):
        credit(bill, {2: None})


def test_parts_add_up_to_the_whole_tax(bill: Invoice) -> None:
    """A tenth of a dollar at a time, whose taxes would each be rounded up: 0.019 is 0.02."""
    for _ in range(35):
        credit(bill, {2: "0.10"})
    taxes = CreditNoteLine.objects.filter(is_tax=True)
    # 19% of 3.50 is 0.665
    assert total_of(taxes.values_list("amount", flat=True)) == Decimal("0.67")
    rest = credit(bill)
    assert total_of(CreditNote.objects.values_list("total", flat=True)) == bill.total
    assert lines_of(rest)[-1] == ("Tax 1", Decimal("17.03"))


def test_the_last_part_by_line_takes_the_rest_of_the_tax(bill: Invoice) -> None:
    credit(bill, {1: "33.33"})
    credit(bill, {1: "33.33"})
    credit(bill, {1: None, 2: None, 3: None})
    assert total_of(CreditNote.objects.values_list("total", flat=True)) == bill.total
    assert fresh(bill).amount_due == 0


@pytest.mark.parametrize("seed", range(12))
def test_however_it_is_cut_taxes_add_up(seed: int) -> None:
    chance = random.Random(seed)
    bill = make_bill(taxes=("19", "7.7", "0.35"), off="")
    taxes = {line.name: line.amount for line in bill.lines.filter(kind="tax")}
    for _ in range(chance.randint(1, 10)):
        if left := Leftover(bill).lines[0].left:
            credit(bill, {1: min(Decimal(chance.randint(1, 2000)).scaleb(-2), left)})
    credit(bill, {line.line.position: None for line in Leftover(bill).lines if line.left and not line.is_tax})
    for name, amount in taxes.items():
        credited = list(CreditNoteLine.objects.filter(name=name).values_list("amount", flat=True))
        assert total_of(credited) == amount
        assert all(one >= 0 for one in credited)
    assert fresh(bill).amount_due == 0


def test_not_more_than_promotions_have_left(bill: Invoice) -> None:
    with pytest.raises(ValidationError, match=r"\$93.15 of these lines is left"):
        credit(bill, {1: None})
    note = credit(bill, {1: None, 3: "-10.00"})
    assert (note.subtotal, note.total) == (90, Decimal("107.10"))


@pytest.mark.parametrize(
    ("amounts", "says"),
    [
        ({}, "above zero"),
        ({9: "1"}, "no line 9"),
        ({4: "1"}, "is a tax"),
        ({1: "100.01"}, r"\$100.00 of ApiCalls is left"),
        ({1: "0"}, "give an amount above zero"),
        ({1: "-1"}, "give an amount above zero"),
        ({3: "1"}, "give an amount below zero"),
        ({1: "1.001"}, "whole minor units"),
        ({1: "NaN"}, "whole minor units"),
        ({1: "1E+90"}, "whole minor units"),
        ({3: "-1"}, "of these lines is left"),
    ],
)
def test_what_cannot_be_credited(bill: Invoice, amounts, says: str) -> None:
    amounts = {place: Decimal(amount) for place, amount in amounts.items()}
    with pytest.raises(ValidationError, match=says) as raised:
        issue_credit_note(bill.pk, reason="So", amounts=amounts, now=DECEMBER)
    assert list(raised.value.message_dict) == ["lines"]
    assert not CreditNote.objects.exists()
    # A number that nobody got is the next one's.
    assert not NumberSeries.objects.filter(series="credit_note").exists()


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\0b"])
def test_it_has_a_reason(bill: Invoice, reason: str) -> None:
    with pytest.raises(ValidationError) as raised:
        credit(bill, reason=reason)
    assert list(raised.value.message_dict) == ["reason"]


def test_twice_is_refused(bill: Invoice) -> None:
    credit(bill)
    with pytest.raises(ValidationError, match="Nothing is left"):
        credit(bill)


def test_only_of_final_invoices(bill: Invoice) -> None:
    put_on(other := make_customer("other"), bill.assignment.plan, bill.period_start.date())
    live = Invoice.objects.filter(customer=other)[0]
    with pytest.raises(ValidationError, match="Only a final invoice"):
        credit(live)
    void_invoice(bill.pk, reason="So", now=DECEMBER)
    with pytest.raises(ValidationError, match="is void"):
        credit(bill)
    with pytest.raises(Invoice.DoesNotExist):
        issue_credit_note(0, reason="So")


def test_an_invoice_of_nothing_has_nothing_to_credit() -> None:
    put_on(made := make_customer("idle"), make_plan_of_two(), date(2026, 11, 1))
    idle = finalize(made)
    # And nothing to pay.
    assert (idle.total, idle.payment_status) == (0, Invoice.PaymentStatus.PAID)
    with pytest.raises(ValidationError, match="Nothing is left"):
        credit(idle)


def test_a_preview_writes_nothing(bill: Invoice) -> None:
    assert preview_credit(bill).total == bill.total
    assert preview_credit(bill, {2: Decimal(1)}).total == Decimal("1.19")
    assert not CreditNote.objects.exists()
    assert Note([]).total == 0


def test_a_yen_has_no_parts() -> None:
    save_tax_rate(changes={"key": "ct", "name": "CT", "percent": "10", "is_default": True})
    plan = plan_with("Yen", {}, fee("platform", "1001"), currency="JPY")
    put_on(made := make_customer("tokyo"), plan, date(2026, 11, 1))
    bill = finalize(made)
    with pytest.raises(ValidationError, match="whole minor units of JPY"):
        credit(bill, {1: "0.5"})
    # 10% of 501 is 50.1, and of 1001 100.1
    assert [credit(bill, {1: part}).total for part in ("501", "500")] == [551, 550]


class TestCorrections:
    """Of usage that was voided after the invoice: by name, of no line that there is."""

    LINES = (
        CorrectionLine("ApiCalls, November 2026", Decimal(40), "usage:1"),
        CorrectionLine("Welcome, November 2026", Decimal(-4), "promotion:1"),
        CorrectionLine("Tax 1, November 2026", Decimal("6.84"), "tax:1", is_tax=True),
        CorrectionLine("Nothing", Decimal(0), "none"),
    )

    def test_it_takes_back_what_it_says(self, bill: Invoice) -> None:
        note = issue_correction(bill, self.LINES, DECEMBER)
        assert (note.number, note.subtotal, note.total, note.actor) == ("CN-2026-0001", 36, Decimal("42.84"), "")
        assert [line.corrects_key for line in note.lines.all()] == ["usage:1", "promotion:1", "tax:1"]
        assert note.reason == "Usage of 1–30 Nov 2026 has changed after the invoice."
        assert fresh(bill).amount_due == bill.total - note.total

    def test_what_is_left_after_it_is_less(self, bill: Invoice) -> None:
        issue_correction(bill, self.LINES, DECEMBER)
        with pytest.raises(ValidationError, match="left"):
            credit(bill, {1: "60"})
        credit(bill, {1: "57.15"})
        assert fresh(bill).amount_due == 0
        credited = CreditNoteLine.objects.filter(is_tax=True).values_list("amount", flat=True)
        assert total_of(credited) == Decimal("17.70")

    def test_of_several_taxes_each_is_set_off_against_its_own(self) -> None:
        bill = make_bill(taxes=("10", "1"), off="")
        first, second = bill.lines.filter(kind="tax").order_by("position")
        for line in (first, second):
            Correction.objects.create(
                invoice=bill,
                key=f"tax:{line.tax_rate_id}",
                kind="tax",
                name=line.name,
                tax_rate=line.tax_rate,
                amount_before=0,
                amount_after=0,
            )
        taxes = [
            CorrectionLine("Tax 2", Decimal("0.10"), f"tax:{second.tax_rate_id}", is_tax=True),
            CorrectionLine("Tax 1", Decimal("1.00"), f"tax:{first.tax_rate_id}", is_tax=True),
        ]
        issue_correction(bill, [CorrectionLine("ApiCalls", Decimal(10), "usage:1"), *taxes], DECEMBER)
        note = credit(bill, {1: "93.50"})
        assert lines_of(note)[1:] == [("Tax 1", Decimal("9.35")), ("Tax 2", Decimal("0.94"))]
        assert fresh(bill).amount_due == 0

    def test_a_void_sets_it_off(self, bill: Invoice) -> None:
        issue_correction(bill, self.LINES, DECEMBER)
        void_invoice(bill.pk, reason="So", now=DECEMBER)
        whole = CreditNote.objects.latest("id")
        assert whole.total == bill.total - Decimal("42.84")
        assert ("ApiCalls, November 2026, credited before", -40) in lines_of(whole)
        by_key = CreditNoteLine.objects.exclude(corrects_key="").values_list("amount", flat=True)
        assert total_of(by_key) == total_of([])

    def test_below_zero_it_is_none(self, bill: Invoice) -> None:
        with pytest.raises(ValidationError, match="above zero"):
            issue_correction(bill, [CorrectionLine("More", Decimal(-1), "usage:1")], DECEMBER)

    def test_a_carried_correction_has_its_own_tax(self, bill: Invoice) -> None:
        """What an invoice carries of an earlier period is credited with the tax that stands beside it."""
        carrier = _carrier(bill, "-5.00", "-0.95")
        with pytest.raises(ValidationError, match="above zero"):
            credit(carrier, {2: "-5.00"})
        assert lines_of(credit(carrier, {1: "50.00", 2: "-2.50"})) == [
            ("Fee", 50),
            ("ApiCalls, October 2026", Decimal("-2.5")),
            ("Tax", Decimal("9.5")),
            ("Tax, October 2026", Decimal("-0.48")),
        ]
        credit(carrier)
        assert fresh(carrier).credited == carrier.total


def _carrier(bill: Invoice, amount: str, tax: str) -> Invoice:
    """A final invoice as one that corrects another."""
    [live] = open_invoices(bill.assignment, now=DECEMBER)
    live.lines.all().delete()
    steps = [{"kind": "tax", "quantity": "0", "percent": "19", "base": "100", "amount": "19"}]
    lines = [
        InvoiceLine(kind="fee", name="Fee", amount=100),
        InvoiceLine(kind="correction", name="ApiCalls, October 2026", amount=amount, corrects=bill),
        InvoiceLine(kind="tax", name="Tax", amount=19, steps=steps),
        InvoiceLine(kind="tax_corr", name="Tax, October 2026", amount=tax, corrects=bill),
    ]
    for position, line in enumerate(lines, start=1):
        line.invoice, line.position = live, position
    InvoiceLine.objects.bulk_create(lines)
    live.subtotal = Decimal(100) + Decimal(amount)
    live.total = live.subtotal + 19 + Decimal(tax)
    live.status, live.number, live.finalized_at = Invoice.Status.FINAL, "2026-0100", DECEMBER
    live.save()
    return fresh(live)


class TestNumbers:
    def test_their_series_is_their_own(self, bill: Invoice) -> None:
        notes = [credit(bill, {2: "0.10"}).number for _ in range(3)]
        assert notes == ["CN-2026-0001", "CN-2026-0002", "CN-2026-0003"]
        assert bill.number == "2026-0001"


class TestTheDatabaseKeepsThem:
    @pytest.mark.parametrize(
        "change",
        [
            "UPDATE invoices_creditnote SET total = 1",
            "UPDATE invoices_creditnote SET reason = 'x'",
            "DELETE FROM invoices_creditnote",
            "UPDATE invoices_creditnoteline SET amount = 1",
            "DELETE FROM invoices_creditnoteline",
        ],
    )
    def test_whoever_asks(self, bill: Invoice, change: str) -> None:
        credit(bill)
        refused = pytest.raises(IntegrityError, match="only ever added to")
        with refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
