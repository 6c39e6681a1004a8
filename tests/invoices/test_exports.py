"""All invoices of a month as one file."""

import csv
import io
import os
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from pypdf import PdfReader

from invoices.exporting import exports
from invoices.exporting import files as export_files
from invoices.exporting.files import names_of
from invoices.exporting.rows import CREDIT_NOTE, HEADINGS, INVOICE, Document, documents_of, rows_of
from invoices.models import CreditNote, Export, Invoice
from invoices.services import open_invoices
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.voiding import void_invoice
from invoices.tasks import exports as export_tasks
from meters.models import Customer
from pricing.taxes import save_tax_rate
from tests.factories import make_customer, make_meter, put_on, send
from tests.invoices.late import policy, rerate, void
from tests.invoices.plans import ONE_EACH, fee, plan_with
from tests.invoices.settled import DECEMBER, MID_NOVEMBER, finalize, make_bill
from tests.racing import race

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
MONTH = date(2026, 12, 1)
NOW = datetime(2027, 1, 4, 9, tzinfo=UTC)


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(MID_NOVEMBER, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def _folder(settings: Any, tmp_path: Path) -> None:
    settings.EXPORTS_DIR = tmp_path / "exports"


@pytest.fixture
def bill(clock: Any) -> Invoice:
    """November's, of 110.85, final on 3 December."""
    invoice = make_bill()
    clock.move_to(NOW)
    # December's is in grace, January's runs.
    open_invoices(invoice.assignment, now=NOW)
    return invoice


@pytest.fixture
def bills(bill: Invoice) -> list[Invoice]:
    """That, with a credit note of 11.90; another of a formula's name, in yen; and one that is void."""
    issue_credit_note(bill.pk, reason="An outage.", amounts={1: Decimal(10)}, now=DECEMBER + DAY)
    yen = plan_with("Tokyo", {}, fee("seat", "500", unit="seats"), currency="JPY")
    made = make_customer("=globex", name="=SUM(A1)")
    put_on(made, yen, date(2026, 11, 1))
    other = make_customer("initech")
    put_on(other, bill.plan_version.plan, date(2026, 11, 1))
    send("initech", "ApiCalls", 10, time=MID_NOVEMBER, now=MID_NOVEMBER)
    void = finalize(other, DECEMBER + DAY)
    final = finalize(made)
    void_invoice(void.pk, reason="Wrong", now=DECEMBER + 2 * DAY)
    return [bill, final, void]


def table(rows: Any) -> list[dict[str, str]]:
    return [dict(zip(HEADINGS, row, strict=True)) for row in rows]


def sums(rows: list[dict[str, str]]) -> dict[tuple[str, str], Decimal]:
    found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in rows:
        assert (row["net"] == "") != (row["tax"] == "")
        found[row["document"], row["number"]] += Decimal(row["net"] or row["tax"])
    return dict(found)


def made(form: str = "csv", month: date = MONTH) -> Export:
    export = exports.start_export(month=month, form=form, actor="staff")
    assert not exports.work_on(export.pk, seconds=600)
    return Export.objects.get(pk=export.pk)


def content(export: Export) -> bytes:
    return export_files.path_of(export).read_bytes()


class TestRows:
    def test_they_sum_to_the_documents_to_the_cent(self, bills: list[Invoice]) -> None:
        rows = table(rows_of(documents_of(MONTH, now=NOW)))
        expected = {(INVOICE, one.number): one.total for one in Invoice.objects.exclude(number="")}
        expected |= {(CREDIT_NOTE, one.number): -one.total for one in CreditNote.objects.all()}
        assert sums(rows) == expected
        assert len(expected) == 5

    def test_a_row_for_each_line(self, bill: Invoice) -> None:
        rows = table(rows_of(documents_of(MONTH, now=NOW)))
        assert [(row["kind"], row["item"], row["name"], row["net"], row["tax_rate"], row["tax"]) for row in rows] == [
            ("usage", "ApiCalls", "ApiCalls", "100.00", "", ""),
            ("usage", "Storage", "Storage", "3.50", "", ""),
            ("promotion", "", "Welcome", "-10.35", "", ""),
            ("tax", "", "Tax 1", "", "19", "17.70"),
        ]
        first = rows[0]
        assert (first["quantity"], first["unit"], first["unit_price"]) == ("100", "calls", "1")
        assert (first["number"], first["status"], first["customer"], first["customer_name"]) == (
            "2026-0001",
            "final",
            "acme",
            "acme",
        )
        assert (first["issued"], first["due"]) == ("2026-12-03", "2026-12-17")
        assert (first["period_from"], first["period_to"], first["currency"]) == ("2026-11-01", "2026-11-30", "USD")

    def test_credit_notes_are_below_zero(self, bills: list[Invoice]) -> None:
        rows = [row for row in table(rows_of(documents_of(MONTH, now=NOW))) if row["number"] == "CN-2026-0001"]
        assert [(row["credits_invoice"], row["name"], row["net"], row["tax_rate"], row["tax"]) for row in rows] == [
            ("2026-0001", "ApiCalls", "-10.00", "", ""),
            ("2026-0001", "Tax 1", "", "19", "-1.90"),
        ]
        assert {(row["document"], row["status"], row["due"]) for row in rows} == {("credit_note", "", "")}

    def test_a_void_invoice_says_so_as_it_is_read(self, bills: list[Invoice]) -> None:
        rows = table(rows_of(documents_of(MONTH, now=NOW)))
        assert {row["status"] for row in rows if row["number"] == bills[2].number} == {"void"}

    def test_texts_are_no_formulas_and_yen_have_no_decimals(self, bills: list[Invoice]) -> None:
        (row, *_) = [row for row in table(rows_of(documents_of(MONTH, now=NOW))) if row["currency"] == "JPY"]
        assert (row["customer"], row["customer_name"]) == ("'=globex", "'=SUM(A1)")
        assert (row["kind"], row["quantity"], row["unit"], row["unit_price"], row["net"]) == (
            "fee",
            "1",
            "seats",
            "500",
            "500",
        )

    def test_the_month_is_that_of_the_account(self, clock: Any, settings: Any) -> None:
        policy(grace_hours=0)
        first = make_bill()
        open_invoices(first.assignment, now=NOW)
        bill = finalize(first.customer, datetime(2027, 1, 1, 0, 30, tzinfo=UTC))
        assert (bill.number, bill.period_start.month) == ("2027-0001", 12)
        assert [one.number for one in documents_of(MONTH, now=NOW)] == ["2026-0001"]
        assert [one.number for one in documents_of(date(2027, 1, 31), now=NOW)] == ["2027-0001"]
        # There it was still the last day of December.
        settings.ACCOUNT_TIME_ZONE = "America/Los_Angeles"
        assert [one.number for one in documents_of(MONTH, now=NOW)] == ["2026-0001", "2027-0001"]
        assert documents_of(date(2027, 1, 1), now=NOW) == []
        rows = table(rows_of(documents_of(MONTH, now=NOW)))
        assert {row["issued"] for row in rows if row["number"] == "2027-0001"} == {"2026-12-31"}

    def test_what_is_not_final_is_not_in_it(self, bill: Invoice) -> None:
        assert Invoice.objects.filter(number="").exists()
        assert [one.pk for one in documents_of(MONTH, now=NOW)] == [bill.pk]
        assert documents_of(date(2026, 11, 1), now=NOW) == []
        assert documents_of(MONTH, now=DECEMBER) == []

    def test_the_same_statements_for_many_as_for_one(self, bills: list[Invoice]) -> None:
        documents = documents_of(MONTH, now=NOW)

        def count(some: list[Document]) -> int:
            with CaptureQueriesContext(connection) as seen:
                list(rows_of(some))
            return len(seen)

        assert count(documents) == count([documents[0], documents[-1]])


class TestLateUsage:
    def test_corrections_have_their_item_and_their_rate(self, clock: Any) -> None:
        """Calls for 40.00 in November, of which 10.00 are void after the invoice, and 5.00 more come then."""
        policy(late_usage="at_once")
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "10", "is_default": True})
        made = make_customer("acme")
        put_on(made, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), date(2026, 11, 1))
        send("acme", "Calls", 30, time=MID_NOVEMBER, now=MID_NOVEMBER)
        send("acme", "Calls", 10, time=MID_NOVEMBER, now=MID_NOVEMBER, id="second")
        finalize(made)
        clock.move_to(DECEMBER + DAY)
        void("second")
        rerate(made)
        clock.move_to(DECEMBER + 2 * DAY)
        send("acme", "Calls", 5, time=MID_NOVEMBER)
        rerate(made)
        rows = table(rows_of(documents_of(MONTH, now=NOW)))
        said = [(row["number"], row["kind"], row["item"], row["net"], row["tax_rate"], row["tax"]) for row in rows]
        assert said == [
            ("2026-0001", "usage", "Calls", "40.00", "", ""),
            ("2026-0001", "tax", "", "", "10", "4.00"),
            ("2026-0002", "correction", "Calls", "5.00", "", ""),
            ("2026-0002", "tax_corr", "", "", "10", "0.50"),
            ("CN-2026-0001", "correction", "Calls", "-10.00", "", ""),
            ("CN-2026-0001", "tax_corr", "", "", "10", "-1.00"),
        ]
        assert sum(sums(rows).values()) == Decimal("38.50")


class TestVoid:
    """Invoices that no credit note takes back when they become void."""

    MONTHS = (MONTH, date(2027, 1, 1), date(2027, 2, 1), date(2027, 3, 1))
    JANUARY, FEBRUARY, MARCH = (datetime(2027, month, 10, 9, tzinfo=UTC) for month in (1, 2, 3))

    @pytest.fixture
    def acme(self, clock: Any) -> Customer:
        """Calls for 40.00 in November and 10% of tax: an invoice of 44.00."""
        save_tax_rate(changes={"key": "vat", "name": "VAT", "percent": "10", "is_default": True})
        made = make_customer("acme")
        put_on(made, plan_with("Basic", {make_meter("Calls"): ONE_EACH}), date(2026, 11, 1))
        send("acme", "Calls", 40, time=MID_NOVEMBER, now=MID_NOVEMBER, id="all")
        finalize(made)
        return made

    def table(self, month: date) -> list[dict[str, str]]:
        return table(rows_of(documents_of(month, now=self.MARCH + 30 * DAY)))

    def check_books(self) -> None:
        """The rows of all months come to what is final less its credit notes, by number; void ones to nothing."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for month in self.MONTHS:
            for row in self.table(month):
                found[row["credits_invoice"] or row["number"]] += Decimal(row["net"] or row["tax"])
        for invoice in Invoice.objects.exclude(number=""):
            left = Decimal(0) if invoice.status == "void" else invoice.total - invoice.credited
            assert found.pop(invoice.number) == left
        assert not found

    def test_one_below_zero(self, acme: Customer, clock: Any) -> None:
        """December carries that November's calls are void."""
        clock.move_to(DECEMBER + DAY)
        open_invoices(acme.assignments.get())
        void("all")
        rerate(acme)
        clock.move_to(self.JANUARY)
        below = finalize(acme, self.JANUARY)
        assert below.total == -44
        clock.move_to(self.MARCH)
        void_invoice(below.pk, reason="Wrong", now=self.MARCH)
        assert not CreditNote.objects.exists()
        rows = self.table(self.MARCH.date())
        assert [(row["document"], row["number"], row["issued"], row["status"]) for row in rows] == [
            ("void", "2027-0001", "2027-03-10", "")
        ] * 2
        assert [(row["kind"], row["item"], row["net"], row["tax_rate"], row["tax"]) for row in rows] == [
            ("correction", "Calls", "40.00", "", ""),
            ("tax_corr", "", "", "10", "4.00"),
        ]
        assert rows[0]["name"] == "Calls, 1–30 Nov 2026 (2026-0001)"
        self.check_books()
        clock.move_to(self.MARCH + DAY)
        export = made("zip", self.MARCH.date())
        with ZipFile(io.BytesIO(content(export))) as file:
            assert file.namelist() == ["void/2027-0001.pdf", "invoices.csv"]
            assert len(file.read("invoices.csv").splitlines()) == 3

    def test_one_credited_beyond_its_total(self, acme: Customer, clock: Any) -> None:
        """Staff credit November, and then its calls come and are void once more."""
        policy(late_usage="at_once")
        clock.move_to(DECEMBER + DAY)
        november = acme.invoices.get(status="final")
        issue_credit_note(november.pk, reason="So", amounts={1: Decimal(30)}, now=DECEMBER + DAY)
        void("all")
        rerate(acme)
        november.refresh_from_db()
        assert (november.total, november.credited) == (44, 77)
        clock.move_to(self.FEBRUARY)
        void_invoice(november.pk, reason="Wrong", now=self.FEBRUARY)
        assert CreditNote.objects.count() == 2
        rows = self.table(self.FEBRUARY.date())
        assert [(row["document"], row["kind"], row["item"], row["net"], row["tax"]) for row in rows] == [
            ("void", "usage", "Calls", "-10.00", ""),
            ("void", "tax", "", "", "-1.00"),
            ("void", "correction", "Calls", "40.00", ""),
            ("void", "tax_corr", "", "", "4.00"),
        ]
        self.check_books()

    def test_one_with_a_credit_note_has_no_other(self, acme: Customer, clock: Any) -> None:
        clock.move_to(self.FEBRUARY)
        void_invoice(acme.invoices.get(status="final").pk, reason="Wrong", now=self.FEBRUARY)
        assert {row["document"] for row in self.table(self.FEBRUARY.date())} == {"credit_note"}
        self.check_books()


class TestNames:
    @pytest.mark.parametrize(
        ("numbers", "names"),
        [
            (["2026-0001", "2026/0001"], ["2026-0001", "2026_0001"]),
            (["A/1", "A_1", "a_1"], ["A_1", "A_1-2", "a_1-3"]),
            (["../../x", ".", "/"], ["x", "document", "document-2"]),
            (["CON", "nul.1", "COM1", "console"], ["_CON", "_nul.1", "_COM1", "console"]),
            (["R 1\n\\", "Ä1"], ["R_1", "1"]),
        ],
    )
    def test_any_file_system_takes_them_and_each_is_there_once(self, numbers: list[str], names: list[str]) -> None:
        documents = [Document(INVOICE, index, number) for index, number in enumerate(numbers)]
        assert names_of(documents) == [f"invoices/{name}.pdf" for name in names]

    def test_an_invoice_and_a_credit_note_may_have_one_number(self) -> None:
        documents = [Document(INVOICE, 1, "1"), Document(CREDIT_NOTE, 1, "1")]
        assert names_of(documents) == ["invoices/1.pdf", "credit-notes/1.pdf"]


class TestFiles:
    def test_csv(self, bills: list[Invoice]) -> None:
        export = made()
        assert (export.status, export.done, export.total) == ("done", 5, 5)
        read = list(csv.reader(io.StringIO(content(export).decode(), newline="")))
        assert tuple(read[0]) == HEADINGS
        assert [tuple(row) for row in read[1:]] == list(rows_of(documents_of(MONTH, now=NOW)))

    def test_zip(self, bills: list[Invoice], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(exports.CHUNKS, Export.Form.ZIP, 2)
        export = made("zip")
        with ZipFile(io.BytesIO(content(export))) as file:
            assert file.testzip() is None
            assert sorted(file.namelist()) == [
                "credit-notes/CN-2026-0001.pdf",
                "credit-notes/CN-2026-0002.pdf",
                "invoices.csv",
                "invoices/2026-0001.pdf",
                "invoices/2026-0002.pdf",
                "invoices/2026-0003.pdf",
            ]
            rows = list(csv.reader(io.StringIO(file.read("invoices.csv").decode(), newline="")))
            assert [tuple(row) for row in rows[1:]] == list(rows_of(documents_of(MONTH, now=NOW)))
            for name, words in (("invoices/2026-0001.pdf", "$110.85"), ("credit-notes/CN-2026-0001.pdf", "An outage.")):
                text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(file.read(name))).pages)
                assert words in text

    def test_nobody_else_reads_the_folder(self, bill: Invoice) -> None:
        export = made()
        assert export_files.folder().stat().st_mode & 0o077 == 0
        assert export_files.path_of(export).stat().st_mode & 0o077 == 0
        assert [path.name for path in export_files.folder().iterdir()] == [f"export-{export.pk}.csv"]

    def test_a_month_without_invoices(self, clock: Any) -> None:
        clock.move_to(NOW)
        export = made()
        assert content(export).decode().splitlines() == [",".join(HEADINGS)]
        assert ZipFile(io.BytesIO(content(made("zip")))).namelist() == ["invoices.csv"]


class TestWork:
    @pytest.fixture(autouse=True)
    def _chunks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(exports.CHUNKS, Export.Form.CSV, 2)

    def test_it_goes_on_where_a_worker_died(self, bills: list[Invoice]) -> None:
        export = exports.start_export(month=MONTH, form="csv")
        assert exports.work_on(export.pk, seconds=0)
        assert Export.objects.get().done == 2
        # The second part was written, or begun, and then the worker was gone before it could say so.
        folder = export_files.work_folder(export)
        (folder / "part-00000002.csv").write_text("cut")
        (folder / "part-00000004.csv.new").write_text("cut")
        assert not exports.work_on(export.pk, seconds=600)
        rows = list(csv.reader(io.StringIO(content(export).decode(), newline="")))
        assert [tuple(row) for row in rows[1:]] == list(rows_of(documents_of(MONTH, now=NOW)))
        assert not folder.exists()

    @pytest.mark.parametrize("gone", ["documents.json", "part-00000000.csv"])
    def test_it_begins_anew_where_parts_are_gone(self, bills: list[Invoice], gone: str) -> None:
        export = exports.start_export(month=MONTH, form="csv")
        assert exports.work_on(export.pk, seconds=0)
        (export_files.work_folder(export) / gone).unlink()
        assert not exports.work_on(export.pk, seconds=600)
        rows = list(csv.reader(io.StringIO(content(export).decode(), newline="")))
        assert [tuple(row) for row in rows[1:]] == list(rows_of(documents_of(MONTH, now=NOW)))

    def test_what_is_issued_meanwhile_is_in_none_of_the_parts(self, bills: list[Invoice]) -> None:
        export = exports.start_export(month=MONTH, form="csv")
        before = documents_of(MONTH, now=NOW)
        assert exports.work_on(export.pk, seconds=0)
        issue_credit_note(bills[0].pk, reason="More", amounts={1: Decimal(5)}, now=DECEMBER)
        assert len(documents_of(MONTH, now=NOW)) == 6
        assert not exports.work_on(export.pk, seconds=600)
        rows = list(csv.reader(io.StringIO(content(export).decode(), newline="")))
        assert [tuple(row) for row in rows[1:]] == list(rows_of(before))

    def test_a_fault_is_told_and_leaves_nothing(self, bill: Invoice, monkeypatch: pytest.MonkeyPatch) -> None:
        export = exports.start_export(month=MONTH, form="csv")
        blocked = export_files.work_folder(export)
        export_files.folder()
        blocked.write_text("a file where the folder should be")
        assert not exports.work_on(export.pk)
        export.refresh_from_db()
        assert export.status == "failed"
        assert "exists" in export.error
        assert not exports.work_on(export.pk)

    def test_a_chunk_that_nobody_gets_through_is_given_up(self, bill: Invoice, monkeypatch: pytest.MonkeyPatch) -> None:
        def cancelled(*_: Any, **__: Any) -> None:
            raise OperationalError("canceling statement due to statement timeout")

        monkeypatch.setattr(exports, "documents_of", cancelled)
        export = Export.objects.create(month=MONTH, form="csv")
        for _ in range(exports.MOST_TRIES):
            with pytest.raises(OperationalError):
                export_tasks.work_on_export(export.pk)
        export_tasks.work_on_export(export.pk)
        export.refresh_from_db()
        assert (export.status, export.error) == ("failed", exports.STUCK)

    def test_chunks_that_are_done_are_no_tries(self, bills: list[Invoice], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exports, "MOST_TRIES", 1)
        assert made().status == "done"

    def test_the_beat_takes_up_what_nobody_is_on(self, bill: Invoice, clock: Any) -> None:
        export = exports.start_export(month=MONTH, form="csv")
        assert exports.unattended(NOW, 5) == []
        later = NOW + exports.SILENCE
        assert exports.unattended(later, 5) == [export.pk]
        exports.work_on(export.pk, seconds=0)
        assert exports.unattended(later - DAY, 5) == []
        exports.work_on(export.pk, seconds=600)
        assert exports.unattended(later + DAY, 5) == []

    def test_old_files_are_removed(self, bill: Invoice, clock: Any) -> None:
        export = made()
        clock.shift(timedelta(days=7))
        export_tasks.forget_old_exports()
        assert export_files.path_of(export).exists()
        clock.shift(timedelta(seconds=1))
        export_tasks.forget_old_exports()
        assert not export_files.path_of(export).exists()
        export.refresh_from_db()
        assert (export.status, export.file) == ("done", "")

    @pytest.mark.parametrize(
        ("month", "form", "field"), [(date(2027, 2, 1), "csv", "month"), (MONTH, "xls", "form"), (MONTH, "", "form")]
    )
    def test_what_cannot_be_asked_for(self, clock: Any, month: date, form: str, field: str) -> None:
        clock.move_to(NOW)
        with pytest.raises(ValidationError) as refused:
            exports.start_export(month=month, form=form)
        assert list(refused.value.message_dict) == [field]

    def test_not_twice_at_a_time(self, clock: Any) -> None:
        clock.move_to(NOW)
        export = exports.start_export(month=MONTH, form="csv")
        with pytest.raises(ValidationError, match="being made"):
            exports.start_export(month=MONTH, form="csv")
        exports.start_export(month=MONTH, form="zip")
        exports.work_on(export.pk)
        exports.start_export(month=MONTH, form="csv")


@pytest.mark.django_db(transaction=True)
def test_two_that_ask_at_once_get_one() -> None:
    def ask() -> None:
        exports.start_export(month=date(2026, 10, 1), form="csv")

    refused = race(ask, ask, ask)
    assert [type(error) for error in refused] == [ValidationError] * 2
    assert Export.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_several_workers_one_is_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(exports.CHUNKS, Export.Form.CSV, 1)
    with time_machine.travel(MID_NOVEMBER, tick=False) as clock:
        bill = make_bill()
        for amount in range(1, 9):
            issue_credit_note(bill.pk, reason="x", amounts={1: Decimal(amount)}, now=DECEMBER)
        clock.move_to(NOW)
        export = exports.start_export(month=MONTH, form="csv")
        assert race(*[lambda: exports.work_on(export.pk, seconds=600)] * 3) == []
        # Whoever found it held has left it; the one that held it went to the end.
        assert Export.objects.get().status == "done"
        rows = list(csv.reader(io.StringIO(content(export).decode(), newline="")))
        assert [tuple(row) for row in rows[1:]] == list(rows_of(documents_of(MONTH, now=NOW)))


class TestCommand:
    def test_it_writes_a_file(self, bills: list[Invoice], tmp_path: Path, capfd: Any) -> None:
        target = tmp_path / "december.csv"
        target.write_text("old")
        call_command("export_invoices", "--month", "2026-12", "--output", str(target))
        rows = list(csv.reader(target.open(newline="")))
        assert [tuple(row) for row in rows[1:]] == list(rows_of(documents_of(MONTH, now=NOW)))
        assert "5 documents." in capfd.readouterr().err
        assert not (tmp_path / "december.csv.part").exists()

    def test_or_to_the_standard_output(self, bills: list[Invoice], capsysbinary: Any) -> None:
        call_command("export_invoices", "--month", "2026-12", "--form", "zip", "--output", "-")
        with ZipFile(io.BytesIO(capsysbinary.readouterr().out)) as file:
            assert file.testzip() is None
            assert len(file.namelist()) == 6
            rows = list(csv.reader(io.StringIO(file.read("invoices.csv").decode(), newline="")))
        assert [tuple(row) for row in rows[1:]] == list(rows_of(documents_of(MONTH, now=NOW)))

    @pytest.mark.parametrize("month", ["2026-13", "2026", "december", "2027-02", "２０２６-12"])
    def test_no_such_month(self, clock: Any, month: str) -> None:
        clock.move_to(NOW)
        with pytest.raises(CommandError):
            call_command("export_invoices", "--month", month, "--output", "-")

    def test_or_to_a_pipe_which_stays_one(self, bill: Invoice, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        try:
            call_command("export_invoices", "--month", "2026-12", "--output", str(pipe))
            assert os.read(reading, 1 << 16).startswith(b"document,number")
        finally:
            os.close(reading)
        assert pipe.is_fifo()

    def test_a_folder_that_is_not_there(self, bill: Invoice, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="No such file"):
            call_command("export_invoices", "--month", "2026-12", "--output", str(tmp_path / "no" / "file.csv"))
