"""Invoices and credit notes on paper: every figure, read back from the file."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from invoices.models import BillingPolicy, CreditNote, Invoice
from invoices.papers.credit_note_paper import credit_note_paper
from invoices.papers.files import credit_note_pdf, invoice_pdf
from invoices.papers.invoice_paper import invoice_paper
from invoices.papers.paper import Paper
from invoices.papers.pdf import pdf_of
from invoices.policy_changes import set_billing_policy
from invoices.services import recalculate
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment, write_off
from invoices.settling.voiding import reissue, void_invoice
from meters.models import Customer
from pricing.models import BillingProfile, Plan
from pricing.promotions import apply_promotion, save_promotion
from pricing.taxes import save_tax_rate
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, make_plan, put_on, run_sweep, send
from tests.invoices.late import at, rerate, void, work_at
from tests.invoices.papers import reader, rows, text
from tests.invoices.plans import ONE_EACH, fee, plan_with
from tests.invoices.prepaid import finalized, prepaid
from tests.invoices.settled import DECEMBER, finalize, fresh, make_bill

pytestmark = pytest.mark.django_db
SELLER = {
    "seller_name": "Sellers GmbH", "seller_address": "Hauptstr. 1\n10115 Berlin", "seller_tax_id": "DE1",
    "paper_footer": "IBAN DE02 1203",
}  # fmt: skip


def printed(invoice: Invoice) -> list[str]:
    """What is seen, without the foot of each page."""
    return [row for row in rows(file_of(invoice)) if "| Page" not in row]


def file_of(invoice: Invoice, now: datetime = DECEMBER) -> bytes:
    return invoice_pdf(Invoice.objects.get(pk=invoice.pk), now=now).content


def sums(invoice: Invoice) -> list[tuple[str, str]]:
    return [(one.label, one.amount) for one in invoice_paper(fresh(invoice), now=DECEMBER).sums]


def facts(paper: Paper) -> dict[str, str]:
    return dict(paper.facts)


@pytest.fixture
def bill(november: time_machine.Traveller) -> Invoice:
    """100 calls of $1, 7 GB of $0.50, 10% off, 19% of tax: $110.85, final on 3 December."""
    set_billing_policy(changes=SELLER, now=DECEMBER)
    made = make_bill()
    november.move_to(DECEMBER)
    return made


class TestAFinalInvoice:
    def test_all_that_is_on_it(self, november: time_machine.Traveller) -> None:
        set_billing_policy(changes=SELLER, now=DECEMBER)
        made = make_customer("acme", name="Acme")
        BillingProfile.objects.create(customer=made, legal_name="Acme Retail Ltd", address="1 Market Street\nLeeds",
                                      tax_id="GB2", tax_note="Reverse charge.")  # fmt: skip
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "19", "is_default": True})
        plan = plan_with("Growth", {make_meter(name="API calls"): STORY_RATE}, fee("base", "20", name="Base fee"))
        put_on(made, plan, date(2026, 11, 1))
        send("acme", "ApiCalls", 12300)
        assert printed(finalize(made)) == [
            "Sellers GmbH", "Invoice 2026-0001", "Hauptstr. 1", "10115 Berlin", "Tax ID DE1",
            "Billed to", "Issued | 3 Dec 2026", "Acme Retail Ltd",
            "Due | 17 Dec 2026", "1 Market Street",
            "Period | 1–30 Nov 2026, days of UTC", "Leeds",
            "Plan | Growth, version 1", "Tax ID GB2",
            "Currency | USD",
            "$71.40 due by 17 Dec 2026",
            "Item | Quantity | Amount",
            "API calls | 12,300 calls | $40.00",
            "5,000 calls free, then $5.00 per started block of 1,000 calls",
            "Free tier | 5,000 of 5,000 free | $0.00",
            "Blocks of 1,000 | 7,300 calls = 8 blocks x $5.00 | $40.00",
            "A started block counts in full.",
            "Base fee | $20.00",
            "Subtotal | $60.00", "VAT | $11.40", "19% of $60.00",
            "Total | $71.40",
            "Amount due as of 3 Dec 2026 | $71.40",
            "Reverse charge.",
            "IBAN DE02 1203",
        ]  # fmt: skip

    def test_what_is_rounded_says_so(self, november: time_machine.Traveller) -> None:
        plan = plan_with("Fine", {make_meter("Storage", unit="GB"): {"model": "per_unit", "unit_price": "0.0333"}})
        other = make_customer("other")
        put_on(other, plan, date(2026, 11, 1))
        send("other", "Storage", 10)
        assert "$0.333 is rounded to $0.33." in printed(finalized(other))

    def test_usage_that_nothing_prices_is_named(self, acme: Customer) -> None:
        make_meter("Extra", unit="extras")
        send("acme", "Extra", 3)
        shown = printed(finalized(acme))
        place = shown.index("Extra | 3 extras | $0.00")
        assert shown[place + 1 : place + 3] == [
            "Not priced", "No rate prices this usage, so nothing is charged for it.",
        ]  # fmt: skip

    def test_nothing_used_and_nothing_owed(self, november: time_machine.Traveller) -> None:
        made = make_customer("quiet")
        put_on(made, make_plan("Plain", {make_meter(): ONE_EACH}), date(2026, 11, 1))
        shown = printed(finalized(made))
        assert "Nothing is to be paid" in shown
        assert ("Nothing was used, and nothing is owed." in shown) or ("Nothing used, nothing owed." in shown)
        assert "Amount due as of 2 Dec 2026 | $0.00" in shown

    @pytest.mark.parametrize(
        ("zone", "day"), [("Pacific/Auckland", "3 Dec 2026"), ("America/Los_Angeles", "2 Dec 2026")]
    )
    def test_days_are_those_of_the_customer(self, november: time_machine.Traveller, zone: str, day: str) -> None:
        made = make_customer("far", time_zone=zone)
        put_on(made, make_plan("Plain", {make_meter(): ONE_EACH}), date(2026, 11, 1))
        paper = invoice_paper(fresh(finalized(made, at(12, 2, 20))))
        assert facts(paper)["Issued"] == day
        assert facts(paper)["Period"] == f"1–30 Nov 2026, days of {zone}"

    @pytest.mark.parametrize(
        ("currency", "price", "shown"),
        [("JPY", "5", "¥15"), ("KWD", "0.0125", "KWD 0.038"), ("EUR", "1000", "€3,000.00")],
    )
    def test_in_each_currency_by_its_digits(self, november: Any, currency: str, price: str, shown: str) -> None:
        rates = {make_meter(): {"model": "per_unit", "unit_price": price}}
        made = make_customer("abroad")
        put_on(made, plan_with("Abroad", rates, currency=currency), date(2026, 11, 1))
        send("abroad", "ApiCalls", 3)
        final = finalized(made)
        assert f"ApiCalls | 3 calls | {shown}" in printed(final)
        assert sums(final) == [("Total", shown), ("Amount due as of 2 Dec 2026", shown)]

    def test_it_takes_few_questions_however_many_lines(self, november: time_machine.Traveller) -> None:
        def questions(meters: int) -> int:
            made = make_customer(f"with{meters}")
            rates = {make_meter(f"M{meters}x{number}"): ONE_EACH for number in range(meters)}
            put_on(made, make_plan(f"Of{meters}", rates), date(2026, 11, 1))
            final = finalized(made)
            with CaptureQueriesContext(connection) as asked:
                invoice_paper(fresh(final))
            return len(asked)

        assert questions(12) <= questions(2) <= 16


class TestWhatSettlesIt:
    def test_credits_credit_notes_payments_and_refunds(self, november: time_machine.Traveller) -> None:
        plan = plan_with("Plain", {make_meter(): ONE_EACH})
        made = make_customer("acme")
        put_on(made, plan, date(2026, 11, 1))
        prepaid(made, "30", name="Welcome pack")
        send("acme", "ApiCalls", 100)
        final = finalized(made)
        november.move_to(at(12, 3))
        issue_credit_note(final.pk, reason="Too many", amounts={1: Decimal(20)}, actor="ada")
        november.move_to(at(12, 5))
        record_payment(final.pk, amount=Decimal(10), reference="A", paid_on=date(2026, 12, 4), actor="ada")
        paper = invoice_paper(fresh(final), now=at(12, 31))
        assert sums(final) == [
            ("Total", "$100.00"), ("Paid by credits", "-$30.00"), ("Credit note CN-2026-0001", "-$20.00"),
            ("Paid 4 Dec 2026", "-$10.00"), ("Amount due as of 5 Dec 2026", "$40.00"),
        ]  # fmt: skip
        assert paper.headline == "$40.00 due by 16 Dec 2026"
        assert [one.detail for one in paper.sums if one.label == "Paid by credits"] == ["Welcome pack"]

    def test_paid_too_much_written_off_and_paid(self, bill: Invoice) -> None:
        record_payment(bill.pk, amount=Decimal(50), reference="A", actor="ada")
        write_off(bill.pk, reason="Gone", actor="ada")
        assert sums(bill)[-3:] == [
            ("Paid 3 Dec 2026", "-$50.00"), ("Written off", "-$60.85"), ("Amount due as of 3 Dec 2026", "$0.00"),
        ]  # fmt: skip
        record_payment(bill.pk, amount=Decimal(100), reference="B", actor="ada")
        assert sums(bill)[-1] == ("Owed back to you as of 3 Dec 2026", "$39.15")
        assert "$39.15 owed back to you" in printed(bill)
        assert "Gone" not in text(file_of(bill))

    def test_below_zero_becomes_credit(self, november: time_machine.Traveller) -> None:
        made = make_customer("acme")
        put_on(made, plan_with("Plain", {make_meter(): ONE_EACH}), date(2026, 10, 1))
        send("acme", "ApiCalls", 5, id="late", time=at(10, 9))
        finalize(made, at(11, 22))
        void("late")
        rerate(made)
        final = finalize(made)
        assert any(row.endswith("| -5 calls | -$5.00") for row in printed(final))
        assert sums(final) == [
            ("Total", "-$5.00"), ("Became credit for your next invoices", "$5.00"),
            ("Amount due as of 3 Dec 2026", "$0.00"),
        ]  # fmt: skip

    def test_void_is_stamped(self, bill: Invoice) -> None:
        record_payment(bill.pk, amount=Decimal(50), reference="A", actor="ada")
        void_invoice(bill.pk, reason="Wrong customer", actor="ada")
        shown = printed(bill)
        assert "Void" in shown
        assert "$50.00 owed back to you" in shown
        assert not any(row.startswith("Due |") for row in shown)
        assert sums(bill)[-2:] == [("Paid 3 Dec 2026", "-$50.00"), ("Owed back to you as of 3 Dec 2026", "$50.00")]

    def test_one_in_place_of_another_names_it_and_is_named(self, bill: Invoice) -> None:
        new = reissue(bill.pk, reason="Again", actor="ada")
        assert facts(invoice_paper(fresh(new)))["In place of"] == "2026-0001"
        assert "Replaced by" not in facts(invoice_paper(fresh(bill)))
        finalize(bill.customer)
        assert facts(invoice_paper(fresh(bill)))["Replaced by"] == "2026-0002"

    def test_corrections_are_named(self, bill: Invoice, november: time_machine.Traveller) -> None:
        work_at(november, at(12, 5))
        send("acme", "ApiCalls", 25, time=at(11, 20))
        work_at(november, at(12, 6))
        december = Invoice.objects.get(customer=bill.customer, status=Invoice.Status.OPEN)
        paper = invoice_paper(december)
        assert facts(paper)["Corrects"] == "2026-0001"
        shown = printed(december)
        assert any(row.startswith("ApiCalls, 1–30 Nov 2026 (2026-0001) | 25 calls | $25.00") for row in shown)
        assert any(row.endswith(" | -$100.00") for row in shown), "what was billed is among its steps"
        assert ("Tax 1, 1–30 Nov 2026 (2026-0001)", "$4.27") in [(one.label, one.amount) for one in paper.sums]
        assert "Corrects" not in facts(invoice_paper(fresh(bill)))

    def test_one_of_corrections_alone_says_so(self, bill: Invoice, november: time_machine.Traveller) -> None:
        november.move_to(at(12, 5))
        send("acme", "ApiCalls", 25, time=at(11, 20))
        rerate(bill.customer)
        own = Invoice.objects.get(is_correction=True)
        shown = printed(own)
        assert "It is only of usage of this period that came too late for the period's own invoice." in shown
        assert "Corrects | 2026-0001" in shown


class TestAnEstimate:
    def test_says_that_it_is_one_and_as_of_when(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 12300)
        run_sweep()
        shown = printed(live_invoice(acme))
        assert "Running invoice" in shown
        assert "Estimate as of 3 Dec 2026, 09:00 UTC" in shown
        assert "$40.00 so far" in shown
        assert "Total so far | $40.00" in shown
        assert not any("due" in row.lower() for row in shown)

    def test_in_grace_it_still_is_one(self, acme: Customer, november: time_machine.Traveller) -> None:
        november.move_to(at(12, 1, 6))
        run_sweep()
        grace = Invoice.objects.get(customer=acme, status=Invoice.Status.GRACE)
        assert "Estimate as of 3 Dec 2026, 09:00 UTC" in printed(grace)

    def test_of_usage_that_is_not_worked_in_yet_it_is_as_of_before(
        self, acme: Customer, november: time_machine.Traveller
    ) -> None:
        run_sweep()
        november.move_to(at(11, 25))
        send("acme", "ApiCalls", 12300)
        shown = printed(live_invoice(acme))
        assert "Estimate as of 22 Nov 2026, 14:30 UTC" in shown
        assert "Newer usage is being worked in." in shown

    def test_says_what_credits_would_pay(self, acme: Customer) -> None:
        prepaid(acme, "15", name="Welcome pack")
        send("acme", "ApiCalls", 12300)
        run_sweep()
        assert sums(live_invoice(acme)) == [
            ("Total so far", "$40.00"), ("Would be paid by credits", "-$15.00"), ("Left to pay, an estimate", "$25.00"),
        ]  # fmt: skip

    def test_one_that_was_never_computed_can_be_printed(self, november: time_machine.Traveller) -> None:
        made = make_customer("new")
        put_on(made, make_plan("Plain", {make_meter(): ONE_EACH}), date(2026, 11, 1))
        live = live_invoice(made)
        Invoice.objects.filter(pk=live.pk).update(computed_at=None)
        assert "Estimate as of 3 Dec 2026, 09:00 UTC" in printed(live)


class TestTheSameFile:
    def test_until_something_settles_it(self, bill: Invoice, november: time_machine.Traveller) -> None:
        first = file_of(bill)
        november.move_to(at(6, 1, year=2027))
        assert file_of(bill, at(6, 1, year=2027)) == first
        record_payment(bill.pk, amount=Decimal(10), reference="A", actor="ada")
        second = file_of(bill)
        assert second != first
        assert file_of(bill, at(7, 1, year=2027)) == second

    def test_whatever_becomes_of_those_who_are_on_it(self, bill: Invoice) -> None:
        first = file_of(bill)
        set_billing_policy(changes={"seller_name": "Others AG", "seller_address": "", "paper_footer": ""}, now=DECEMBER)
        Customer.objects.update(name="Other name")
        BillingProfile.objects.update_or_create(customer=bill.customer, defaults={"legal_name": "Other"})
        Plan.objects.update(name="Other plan")
        assert file_of(bill) == first
        assert "Sellers GmbH" in text(first)

    def test_it_was_made_when_the_invoice_became_final(self, bill: Invoice) -> None:
        found = reader(file_of(bill)).metadata
        assert found is not None
        assert found.creation_date == bill.finalized_at == DECEMBER
        assert found.title == "Invoice 2026-0001 · Sellers GmbH"

    def test_invoices_from_before_sellers_were_kept_have_that_of_now(self, bill: Invoice) -> None:
        bill.seller = None
        set_billing_policy(changes={"seller_name": "Others AG"}, now=DECEMBER)
        assert "Others AG" in text(pdf_of(invoice_paper(bill)))
        BillingPolicy.objects.all().delete()
        assert "AwesomeIntegration" in text(pdf_of(invoice_paper(bill)))


class TestACreditNote:
    def note(self, bill: Invoice, **fields: Any) -> CreditNote:
        made = issue_credit_note(bill.pk, reason="Counted twice", actor="ada", **fields)
        return CreditNote.objects.get(pk=made.pk)

    def test_all_that_is_on_it(self, bill: Invoice) -> None:
        note = self.note(bill, amounts={1: Decimal(20)})
        shown = [row for row in rows(credit_note_pdf(note).content) if "| Page" not in row]
        assert shown == [
            "Sellers GmbH", "Credit note", "Hauptstr. 1", "10115 Berlin", "CN-2026-0001", "Tax ID DE1",
            "Credited to", "Issued | 3 Dec 2026", "acme", "Invoice | 2026-0001", "Invoiced | 3 Dec 2026",
            "Period | 1–30 Nov 2026, days of UTC", "Currency | USD",
            "$23.80 credited",
            "Reason: Counted twice",
            "Item | Credited",
            "ApiCalls | $20.00",
            "Subtotal | $20.00", "Tax 1 | $3.80", "19%",
            "Total credited | $23.80",
        ]  # fmt: skip

    def test_whole_with_the_promotion_below_zero(self, bill: Invoice) -> None:
        paper = credit_note_paper(self.note(bill))
        assert [line.cells for line in paper.tables[0].lines] == [
            ("ApiCalls", "$100.00"), ("Storage", "$3.50"), ("Welcome", "-$10.35"),
        ]  # fmt: skip
        assert [(one.label, one.amount) for one in paper.sums] == [
            ("Subtotal", "$93.15"), ("Tax 1", "$17.70"), ("Total credited", "$110.85"),
        ]  # fmt: skip

    def test_it_is_the_same_file_whatever_comes(self, bill: Invoice, november: time_machine.Traveller) -> None:
        note = self.note(bill, amounts={1: Decimal(20)})
        first = credit_note_pdf(note).content
        november.move_to(at(6, 1, year=2027))
        set_billing_policy(changes={"seller_name": "Others AG"}, now=DECEMBER)
        record_payment(bill.pk, amount=Decimal(10), reference="A", actor="ada")
        void_invoice(bill.pk, reason="No", actor="ada")
        assert credit_note_pdf(CreditNote.objects.get(pk=note.pk)).content == first
        found = reader(first).metadata
        assert found is not None
        assert found.creation_date == DECEMBER


def test_a_promotion_and_its_fact_are_on_it(bill: Invoice) -> None:
    assert "Welcome | -$10.35" in printed(bill)
    assert "10% of $103.50" in printed(bill)


def test_an_invoice_of_a_trial_says_which_days_cost_nothing(november: time_machine.Traveller) -> None:
    made = make_customer("acme")
    put_on(made, plan_with("Trying", {make_meter(): ONE_EACH}, trial_days=5), date(2026, 11, 1))
    send("acme", "ApiCalls", 4, time=at(11, 3))
    send("acme", "ApiCalls", 6, time=at(11, 15))
    final = finalized(made)
    recalculate(final.pk)
    shown = printed(final)
    assert "1 Nov 2026, 00:00 UTC to 6 Nov 2026, 00:00 UTC" in shown
    assert "6 Nov 2026, 00:00 UTC to 1 Dec 2026, 00:00 UTC" in shown
    assert "Trial" in shown
    assert sums(final)[0] == ("Total", "$6.00")


def test_a_capped_promotion_is_the_same_on_paper(november: time_machine.Traveller) -> None:
    made = make_customer("acme")
    put_on(made, plan_with("Plain", {make_meter(): ONE_EACH}), date(2026, 11, 1))
    promotion = save_promotion(changes={"key": "half", "name": "Half", "kind": "percent", "percent": "50"})
    apply_promotion(customer=made, promotion=promotion, starts_on=date(2026, 11, 1))
    send("acme", "ApiCalls", 9)
    assert "Half | -$4.50" in printed(finalized(made))
