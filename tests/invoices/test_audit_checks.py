"""Each check of the audit finds the fault that was planted, says what it should be, and nothing else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction

from invoices.auditing import numbers, runs
from invoices.models import CreditGrant, Invoice, InvoiceLine
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment
from meters.models import Customer
from pricing.assignments import end
from pricing.taxes import save_tax_rate
from tests.factories import live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.books import audit, findings
from tests.invoices.late import at, policy, void, work_at
from tests.invoices.plans import ONE_EACH, fee, plan_with
from tests.invoices.prepaid import prepaid
from tests.kept import kept

pytestmark = pytest.mark.django_db


@contextmanager
def planting() -> Iterator[Callable[..., None]]:
    """Changes rows behind the back of the triggers that keep them, and of foreign keys."""
    with connection.cursor() as cursor:
        # What deferred constraints still have to say, they say now.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SET session_replication_role = replica")
        try:
            yield lambda statement, *parameters: cursor.execute(statement, parameters)
        finally:
            cursor.execute("SET session_replication_role = DEFAULT")


def plant(statement: str, *parameters: Any) -> None:
    with planting() as change:
        change(statement, *parameters)


@contextmanager
def undone() -> Iterator[None]:
    """What is planted inside is gone after it: one set of books for many faults."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(at(9, 1), tick=False) as traveller:
        yield traveller


@pytest.fixture
@kept()
def books(db: None) -> Customer:
    """40 calls and a fee of 10 in September, which is final as 2026-0001 with 10% of tax; and 8 in October."""
    with time_machine.travel(at(9, 1), tick=False) as clock:
        customer = make_customer("acme")
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "10", "is_default": True})
        put_on(customer, plan_with("Basic", {make_meter("Calls"): ONE_EACH}, fee("base", "10")), date(2026, 9, 1))
        send("acme", "Calls", 40, time=at(9, 10), now=at(9, 10), id="first")
        work_at(clock, at(10, 3), sweeps=1)
        send("acme", "Calls", 8, time=at(10, 2), id="second")
        work_at(clock, at(10, 5), sweeps=1)
        return customer


@pytest.fixture
def acme(clock: time_machine.Traveller, books: Customer) -> Customer:
    clock.move_to(at(10, 5))
    return books


def test_books_without_a_fault(acme: Customer) -> None:
    assert [invoice.status for invoice in acme.invoices.order_by("pk")] == ["final", "open"]
    assert findings(audit()) == []


def final(customer: Customer) -> Invoice:
    return customer.invoices.get(period_start=at(9, 1, 0), is_correction=False)


OF_SEPTEMBER = "invoice 2026-0001 (1–30 Sep 2026)"


class TestAmounts:
    def test_a_line_of_a_final_invoice(self, acme: Customer) -> None:
        with planting() as change:
            change("UPDATE invoices_invoiceline SET amount = 41 WHERE kind = 'usage' AND amount = 40")
            change("UPDATE invoices_invoice SET subtotal = subtotal + 1, total = total + 1 WHERE number <> ''")
        run = audit()
        [found] = run.findings.all()
        assert findings(run) == [("amounts", f"Calls on {OF_SEPTEMBER}", "$40.00 for 40 calls", "$41.00 for 40 calls")]
        assert (found.customer, found.invoice) == (acme, final(acme))

    def test_half_a_cent(self, acme: Customer) -> None:
        with planting() as change:
            change("UPDATE invoices_invoiceline SET amount = 4.005 WHERE kind = 'tax' AND amount = 5.00")
        found = [one for one in findings(audit()) if one[0] == "amounts"]
        assert found == [("amounts", f"VAT on {OF_SEPTEMBER}", "$5.00", "$4.005")]

    def test_a_line_that_is_gone_and_one_that_is_too_many(self, acme: Customer) -> None:
        with planting() as change:
            change(
                "UPDATE invoices_invoiceline SET fee_key = 'other' WHERE kind = 'fee' AND invoice_id = %s",
                final(acme).pk,
            )
        assert findings(audit()) == [
            ("amounts", f"Base on {OF_SEPTEMBER}", "$10.00 for 1", "no such line"),
            ("amounts", f"Base on {OF_SEPTEMBER}", "no such line", "$10.00 for 1"),
        ]

    def test_the_quantity_alone(self, acme: Customer) -> None:
        plant("UPDATE invoices_invoiceline SET quantity = 39 WHERE quantity = 40")
        assert findings(audit()) == [
            ("amounts", f"Calls on {OF_SEPTEMBER}", "$40.00 for 40 calls", "$40.00 for 39 calls")
        ]

    def test_an_event_that_is_lost(self, acme: Customer) -> None:
        """Buckets still have it, so nothing else would see it."""
        plant("DELETE FROM meters_event WHERE value = 40")
        assert findings(audit())[0] == (
            "amounts", f"Calls on {OF_SEPTEMBER}", "$0.00 for 0 calls", "$40.00 for 40 calls",
        )  # fmt: skip

    def test_a_bucket_that_is_wrong_does_not_hide_in_a_live_bill(self, acme: Customer) -> None:
        plant("UPDATE meters_usagebucket SET sum = 80 WHERE sum = 8")
        live = live_invoice(acme)
        Invoice.objects.filter(pk=live.pk).update(is_stale=True)
        work_at_now()
        name = f"the running bill {live.pk} (1–31 Oct 2026)"
        assert findings(audit()) == [
            ("amounts", f"Calls on {name}", "$8.00 for 8 calls", "$80.00 for 80 calls"),
            ("amounts", f"VAT on {name}", "$1.80", "$9.00"),
        ]

    def test_a_correction_that_is_wrong(self, acme: Customer) -> None:
        send("acme", "Calls", 5, time=at(9, 20))
        work_at_now()
        assert findings(audit()) == []
        plant("UPDATE invoices_correction SET amount_after = 44 WHERE amount_after = 45")
        assert findings(audit())[0] == (
            "amounts", f"Calls on {OF_SEPTEMBER}", "$45.00 for 45 calls", "$44.00 for 45 calls",
        )  # fmt: skip

    def test_late_usage_that_nobody_has_noticed(self, acme: Customer) -> None:
        """The note that usage of a final invoice has changed is lost."""
        send("acme", "Calls", 5, time=at(9, 20))
        plant("UPDATE meters_usageversion SET oldest_at = NULL")
        work_at_now()
        assert findings(audit()) == [
            ("amounts", f"Calls on {OF_SEPTEMBER}", "$45.00 for 45 calls", "$40.00 for 40 calls"),
            ("amounts", f"VAT on {OF_SEPTEMBER}", "$5.50", "$5.00"),
        ]

    def test_a_correction_that_the_running_bill_does_not_carry(self, acme: Customer) -> None:
        send("acme", "Calls", 5, time=at(9, 20))
        work_at_now()
        live = live_invoice(acme)
        live.lines.filter(kind="correction").delete()
        found = [one for one in findings(audit()) if one[0] == "amounts"]
        assert found == [
            ("amounts", f"Calls, 1–30 Sep 2026 (2026-0001) on the running bill {live.pk} (1–31 Oct 2026)",
             "$5.00 for 5 calls", "no such line"),
        ]  # fmt: skip

    def test_what_waits_for_a_worker_is_no_finding(self, acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
        paused: list[int] = []
        monkeypatch.setattr(runs.time, "sleep", paused.append)
        send("acme", "Calls", 5, time=at(9, 20))
        run = audit()
        assert (findings(run), run.left_out, run.checked["amounts"]) == ([], {"waiting": 2}, 0)
        assert paused == [runs.PAUSE_SECONDS]

    def test_what_a_worker_catches_up_with_is_looked_at_again(
        self, acme: Customer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(runs.time, "sleep", lambda seconds: work_at_now())
        send("acme", "Calls", 5, time=at(9, 20))
        run = audit()
        assert (findings(run), run.left_out, run.checked["amounts"]) == ([], {}, 2)

    def test_one_that_cannot_be_computed_is_a_finding_and_holds_up_no_other(self, acme: Customer) -> None:
        globex = make_customer("globex")
        put_on(globex, plan_with("Other", {make_meter("Storage"): ONE_EACH}), date(2026, 10, 1))
        work_at_now()
        with planting() as change:
            change("UPDATE invoices_invoice SET frozen_terms = '{}' WHERE number <> ''")
            change("UPDATE invoices_invoiceline SET amount = 9 WHERE invoice_id = %s", live_invoice(acme).pk)
        found = findings(audit(checks=["amounts"]))
        assert found[0] == ("amounts", f"{OF_SEPTEMBER} cannot be computed again", "", "KeyError: 'promotions'")
        assert [one[2:] for one in found[1:]] == [
            ("$8.00 for 8 calls", "$9.00 for 8 calls"), ("$10.00 for 1", "$9.00 for 1"), ("$1.80", "$9.00"),
        ]  # fmt: skip

    def test_months_whose_events_are_archived_are_left_out_and_said(self, acme: Customer) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'meters_event'::regclass"
            )
            for (name,) in cursor.fetchall():
                if name < "meters_event_2026_10":
                    cursor.execute(f"ALTER TABLE meters_event DETACH PARTITION {name}")
        run = audit()
        assert (findings(run), run.left_out) == ([], {"archived": 1})


def work_at_now() -> None:
    for _ in range(2):
        run_sweep()


class TestCorrections:
    @pytest.fixture(autouse=True)
    def _late(self, acme: Customer) -> None:
        send("acme", "Calls", 5, time=at(9, 20), id="late")
        work_at_now()
        assert findings(audit()) == []

    def test_that_start_from_another_amount(self) -> None:
        plant("UPDATE invoices_correction SET amount_before = 39, amount_after = 44 WHERE amount_before = 40")
        assert findings(audit(checks=["corrections"])) == [
            ("corrections", f"What was billed of Calls by its correction, on {OF_SEPTEMBER}", "$40.00", "$39.00")
        ]

    def test_of_which_nothing_is_known(self, clock: time_machine.Traveller) -> None:
        work_at(clock, at(11, 3))
        plant("DELETE FROM invoices_correction")
        found = findings(audit(checks=["corrections"]))
        on = "on invoice 2026-0002 (1–31 Oct 2026) corrects nothing that is known"
        assert found == [
            ("corrections", f"Calls, 1–30 Sep 2026 (2026-0001) {on}", "", "$5.00"),
            ("corrections", f"VAT, 1–30 Sep 2026 (2026-0001) {on}", "", "$0.50"),
        ]

    def test_that_no_document_makes_up_for(self, acme: Customer) -> None:
        policy(late_usage="at_once")
        assert findings(audit(checks=["corrections"])) == [
            ("corrections", f"No document makes up for the corrections of {OF_SEPTEMBER}", "$5.50", "$0.00")
        ]

    def test_of_a_credit_note_of_which_nothing_is_known(self, acme: Customer) -> None:
        policy(late_usage="at_once")
        void("first")
        work_at_now()
        note = final(acme).credit_notes.get()
        assert findings(audit()) == []
        plant("UPDATE invoices_creditnoteline SET corrects_key = 'usage:0' WHERE NOT is_tax")
        found = findings(audit(checks=["corrections"]))
        assert (
            "corrections",
            f"Calls on credit note {note.number} corrects nothing that is known",
            "",
            "$35.00",
        ) in found

    def test_that_are_out_of_place(self, acme: Customer) -> None:
        InvoiceLine.objects.filter(kind="correction").update(corrects=None)
        [found] = findings(audit(checks=["corrections"]))
        assert found[1].endswith("is out of place")


class TestTotals:
    def test_of_an_invoice(self, acme: Customer) -> None:
        plant("UPDATE invoices_invoice SET total = 54, subtotal = 49 WHERE number <> ''")
        assert findings(audit(checks=["totals"])) == [
            ("totals", f"The totals of {OF_SEPTEMBER} are not what the lines come to",
             "$50.00 before tax, $55.00 in all", "$49.00 before tax, $54.00 in all"),
        ]  # fmt: skip

    def test_of_a_running_bill(self, acme: Customer) -> None:
        live = live_invoice(acme)
        Invoice.objects.filter(pk=live.pk).update(total=1)
        [found] = findings(audit())
        assert found[0] == "totals"

    def test_of_a_void_invoice_too(self, acme: Customer) -> None:
        plant("UPDATE invoices_invoice SET status = 'void', total = 54 WHERE number <> ''")
        [found] = findings(audit(checks=["totals"]))
        assert found[3] == "$50.00 before tax, $54.00 in all"

    @pytest.mark.parametrize("column", ["subtotal", "total"])
    def test_of_a_credit_note(self, acme: Customer, column: str) -> None:
        note = issue_credit_note(final(acme).pk, amounts={1: Decimal(10)}, reason="Goodwill")
        assert findings(audit()) == []
        plant(f"UPDATE invoices_creditnote SET {column} = {column} + 1")
        [found] = findings(audit(checks=["totals"]))
        assert found[1:3] == (
            f"The totals of credit note {note.number} are not what the lines come to",
            "$10.00 before tax, $11.00 in all",
        )


class TestLedger:
    @pytest.fixture
    def grant(self, acme: Customer, clock: time_machine.Traveller) -> CreditGrant:
        grant = prepaid(acme, 100)
        work_at(clock, at(11, 3))
        assert [entry.balance for entry in grant.entries.all()] == [100, Decimal("80.2")]
        assert findings(audit()) == []
        return grant

    FAULTS = (
        ("UPDATE invoices_creditentry SET balance = 81 WHERE kind = 'drawn'", "What was left after entry",
         "$80.20", "$81.00"),
        ("UPDATE invoices_creditentry SET amount = 99 WHERE kind = 'granted'",
         "The ledger does not begin with what was granted", "$100.00", "$99.00"),
        ("UPDATE invoices_creditentry SET amount = 19.8, balance = 119.8 WHERE kind = 'drawn'", "The sign of entry",
         "-$19.80", "$19.80"),
        ("DELETE FROM invoices_creditentry", "The ledger has no entry", "$100.00", "$0.00"),
        ("DELETE FROM invoices_creditentry WHERE kind = 'granted'",
         "The ledger does not begin with what was granted", "$100.00", "-$19.80"),
        ("UPDATE invoices_creditgrant SET voided_at = now()", "Something is left of a grant that is void", "$0.00",
         "$80.20"),
        ("UPDATE invoices_creditgrant SET currency = 'EUR'", "The invoice of entry", "", "-€19.80"),
    )  # fmt: skip

    def test_that_does_not_add_up(self, grant: CreditGrant) -> None:
        for change, text, expected, found in self.FAULTS:
            with undone():
                plant(change)
                [one] = findings(audit(checks=["ledger"]))
                assert one[1].startswith(text), change
                assert one[2:] == (expected, found), change

    def test_that_is_overdrawn(self, grant: CreditGrant) -> None:
        with planting() as change:
            change("ALTER TABLE invoices_creditentry DROP CONSTRAINT creditentry_balance")
            change("UPDATE invoices_creditentry SET amount = -119.8, balance = -19.8 WHERE kind = 'drawn'")
        [one] = findings(audit(checks=["ledger"]))
        assert one[2:] == ("$100.00", "-$19.80")
        # And the invoice says another amount.
        assert findings(audit(checks=["settlement"]))[0][2:] == ("$119.80", "$19.80")


class TestSettlement:
    FAULTS = (
        ("paid", "20", "What is paid of", "$15.00", "$20.00"),
        ("credited", "0", "What is credited of", "$11.00", "$0.00"),
        ("credits_applied", "1", "Credits of", "$0.00", "$1.00"),
        ("written_off", "3", "What is written off of", "$0.00", "$3.00"),
        ("payment_status", "'paid'", "The payment state of", "Partly paid", "Paid"),
    )

    def test_kept_otherwise_than_the_rows_say(self, acme: Customer) -> None:
        issue_credit_note(final(acme).pk, amounts={1: Decimal(10)}, reason="Goodwill")
        record_payment(final(acme).pk, amount=Decimal(15), actor="bank")
        assert findings(audit()) == []
        for column, value, text, expected, found in self.FAULTS:
            with undone():
                plant(f"UPDATE invoices_invoice SET {column} = {value} WHERE number <> ''")
                assert findings(audit()) == [("settlement", f"{text} {OF_SEPTEMBER}", expected, found)]

    def test_a_payment_that_is_gone(self, acme: Customer) -> None:
        record_payment(final(acme).pk, amount=Decimal(55), actor="bank")
        plant("DELETE FROM invoices_payment")
        assert [one[1:] for one in findings(audit())] == [
            (f"What is paid of {OF_SEPTEMBER}", "$0.00", "$55.00"),
            (f"The payment state of {OF_SEPTEMBER}", "Unpaid", "Paid"),
        ]


class TestNumbers:
    @pytest.fixture(autouse=True)
    def _four(self, acme: Customer, clock: time_machine.Traveller) -> None:
        for month in (10, 11, 12):
            work_at(clock, at(month % 12 + 1, 3, year=2026 + month // 12), sweeps=1)
        numbers = Invoice.objects.exclude(number="").order_by("pk").values_list("number", flat=True)
        assert list(numbers) == ["2026-0001", "2026-0002", "2026-0003", "2027-0001"]
        for position in (1, 2, 2):
            issue_credit_note(final(acme).pk, amounts={position: Decimal(1)}, reason="Goodwill")

    def found(self) -> list[tuple[str, ...]]:
        return [one[1:] for one in findings(audit(checks=["numbers"]))]

    GIVEN = "UPDATE invoices_invoice SET number = %s, status = 'void' WHERE number = %s"
    COUNTED = "UPDATE invoices_numberseries SET last = %s WHERE series = 'invoice' AND year = %s"
    FAULTS = (
        # A gap, at the end as well, and a number that no counter can have made.
        (GIVEN, ("", "2026-0002"), [("Invoices of 2026: no document has the number 2026-0002", "no gap", "2026-0002")]),
        (COUNTED, (6, 2026), [("Invoices of 2026: no document has the number 2026-0004 to 2026-0006", "no gap",
                               "2026-0004 to 2026-0006")]),
        (GIVEN, ("odd", "2026-0002"),
         [("Invoices of 2026: no document has the number 2026-0002", "no gap", "2026-0002")]),
        ("DELETE FROM invoices_creditnote WHERE number = 'CN-2027-0001'", (),
         [("Credit notes of 2027: no document has the number CN-2027-0001", "no gap", "CN-2027-0001")]),
        # A counter that is behind, or gone.
        (COUNTED, (2, 2026), [("Invoices of 2026: the counter is behind 2026-0003", "3", "2")]),
        ("DELETE FROM invoices_numberseries WHERE series = 'invoice' AND year = 2027", (),
         [("Invoices of 2027: the counter is not there", "1", "no counter")]),
        # A repeat, under another format.
        (GIVEN, ("INV/2026/1", "2026-0003"),
         [("Invoices of 2026: 1 was given more than once, as 2026-0001, INV/2026/1", "1 document", "2 documents"),
          ("Invoices of 2026: no document has the number 2026-0003", "no gap", "2026-0003")]),
    )  # fmt: skip

    def test_that_are_missing_repeated_or_too_many(self) -> None:
        for statement, parameters, found in self.FAULTS:
            with undone():
                plant(statement, *parameters)
                assert self.found() == found

    def test_very_many_gaps_are_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(numbers, "MOST_GAPS", 1)
        plant("UPDATE invoices_invoice SET number = '', status = 'void' WHERE number = '2026-0001'")
        plant(self.COUNTED, 9, 2026)
        assert [text for text, *_ in self.found()] == [
            "Invoices of 2026: no document has the number 2026-0001",
            "Invoices of 2026: more gaps: 1",
        ]

    def test_formats_that_changed_are_no_gap(self) -> None:
        policy(invoice_numbers="R{number:05}/{year}", credit_note_numbers="{year}.G7.{number}")
        assert self.found() == []
        with planting() as change:
            change("UPDATE invoices_invoice SET number = 'R00001/2027' WHERE number = '2027-0001'")
            change("UPDATE invoices_creditnote SET number = '2027.G7.3' WHERE number = 'CN-2027-0003'")
        assert self.found() == []

    def test_one_that_no_counter_can_have_made(self) -> None:
        plant("UPDATE invoices_invoice SET number = 'odd' WHERE number = '2026-0002'")
        assert self.found() == [("Invoices of 2026: no document has the number 2026-0002", "no gap", "2026-0002")]


class TestUsageWithoutAPlan:
    def test_of_a_customer_who_has_none(self, acme: Customer) -> None:
        stranger = make_customer("stranger", time_zone="Asia/Tokyo")
        send("stranger", "Calls", 7, time=at(9, 30, 23))
        send("stranger", "Calls", 5, time=at(10, 2))
        make_meter("Free", used_for_billing=False)
        send("stranger", "Free", 5, time=at(10, 2))
        run = audit()
        assert findings(run) == [
            ("no_plan", "Calls of 1–2 Oct 2026, while stranger was on no plan", "", "2 events, 12 calls")
        ]
        assert run.findings.get().customer == stranger

    def test_before_and_after_the_plan(self, acme: Customer) -> None:
        send("acme", "Calls", 3, time=at(8, 31, 23))
        end(acme.assignments.get(), ends_on=date(2026, 10, 4))
        send("acme", "Calls", 4, time=at(10, 4, 0))
        work_at_now()
        assert findings(audit(checks=["no_plan"])) == [
            ("no_plan", "Calls of 31 Aug 2026, while acme was on no plan", "", "1 event, 3 calls"),
            ("no_plan", "Calls of 4 Oct 2026, while acme was on no plan", "", "1 event, 4 calls"),
        ]
        [since] = findings(audit(since="2026-10-01"))
        assert since[1].startswith("Calls of 4 Oct 2026")

    def test_voided_usage_is_none(self, acme: Customer) -> None:
        make_customer("stranger")
        send("stranger", "Calls", 7, id="gone")
        void("gone", customer="stranger")
        assert findings(audit()) == []

    def test_who_was_just_discovered_is_put_on_one_yet(self, acme: Customer, clock: time_machine.Traveller) -> None:
        send("newcomer", "Calls", 7)
        assert findings(audit()) == []
        clock.shift(7200)
        assert len(findings(audit())) == 1


class TestUsageThatNoRateMatched:
    def test_on_a_final_and_on_a_running_bill(self, clock: time_machine.Traveller) -> None:
        calls = make_meter("Calls", dimensions=["region"])
        plan = plan_with("Eu", {calls: [({"region": ["eu"]}, ONE_EACH)]})
        customer = make_customer("acme")
        put_on(customer, plan, date(2026, 9, 1))
        send("acme", "Calls", 7, time=at(9, 10), now=at(9, 10), region="us", id="us")
        work_at(clock, at(10, 3))
        make_meter("Storage", unit="GB")
        send("acme", "Storage", 5, time=at(10, 2))
        send("acme", "Calls", 1, time=at(9, 11), now=at(10, 3))
        work_at(clock, at(10, 4))
        live = live_invoice(customer)
        assert findings(audit()) == [
            ("no_rate", f"No rate prices Calls on {OF_SEPTEMBER}", "", "8 calls"),
            ("no_rate", f"No rate prices Storage on the running bill {live.pk} (1–31 Oct 2026)", "", "5 GB"),
        ]
        void("us")
        work_at(clock, at(10, 5))
        assert findings(audit())[0][3] == "1 calls"
