"""Where papers are had: the portal, the admin and the API; to whom; and the CSV file of an invoice."""

import csv
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.core import mail as outbox
from django.test import Client
from rest_framework.test import APIClient

from invoices.mailing.contents import MailContent
from invoices.mailing.mails import queue, send_due
from invoices.models import CreditNote, Invoice, InvoiceLine, Mail, MailSetting
from invoices.papers.files import invoice_csv, invoice_name, invoice_pdf, safe_name
from invoices.policy_changes import set_billing_policy
from invoices.settling.credit_notes import issue_credit_note
from meters.keys import create_api_key
from meters.models import Customer, Meter
from portal.models import Membership
from tests.factories import STORY_RATE, live_invoice, make_customer, make_meter, put_on, run_sweep, send
from tests.invoices.november import NOW
from tests.invoices.papers import text
from tests.invoices.plans import plan_with
from tests.invoices.prepaid import finalized
from tests.invoices.settled import DECEMBER, make_bill

pytestmark = pytest.mark.django_db


@pytest.fixture
def bill(november: time_machine.Traveller) -> Invoice:
    set_billing_policy(
        changes={"invoice_numbers": "R/{year}/{number}", "credit_note_numbers": "C/{year}/{number}"}, now=NOW
    )
    made = make_bill()
    november.move_to(DECEMBER)
    return made


@pytest.fixture
def note(bill: Invoice) -> CreditNote:
    made = issue_credit_note(bill.pk, reason="Counted twice", amounts={1: Decimal(20)}, actor="ada")
    return CreditNote.objects.get(pk=made.pk)


def rows_of(invoice: Invoice) -> list[dict[str, str]]:
    file = invoice_csv(Invoice.objects.get(pk=invoice.pk), now=DECEMBER).content.decode()
    return list(csv.DictReader(StringIO(file, newline="")))


def is_file(response: Any, name: str, kind: str) -> bool:
    assert response.status_code == 200, response.content
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    return bool(response["Content-Type"].startswith(kind))


class TestThePortal:
    def sign_in(self, customer: Customer, name: str) -> Client:
        person = User.objects.create_user(name)
        Membership.objects.create(user=person, customer=customer)
        client = Client()
        client.force_login(person)
        return client

    def test_owner_colleague_and_stranger(self, bill: Invoice, note: CreditNote) -> None:
        stranger = self.sign_in(make_customer("stranger"), "sam")
        paths = {
            f"/invoices/{bill.pk}.pdf": ("invoice-R-2026-1.pdf", "application/pdf"),
            f"/invoices/{bill.pk}.csv": ("invoice-R-2026-1.csv", "text/csv"),
            f"/credit-notes/{note.pk}.pdf": ("credit-note-C-2026-1.pdf", "application/pdf"),
        }
        for client in (self.sign_in(bill.customer, "olga"), self.sign_in(bill.customer, "carl")):
            for path, (name, kind) in paths.items():
                answer = client.get(path)
                assert is_file(answer, name, kind)
                assert "no-store" in answer["Cache-Control"]
                assert client.post(path).status_code == 405
        for path in paths:
            assert stranger.get(path).status_code == 404
            nobody = Client().get(path)
            assert (nobody.status_code, nobody["Location"].startswith("/sign-in/")) == (302, True)

    def test_the_file_has_what_the_page_has(self, bill: Invoice, note: CreditNote) -> None:
        client = self.sign_in(bill.customer, "olga")
        page = client.get(f"/invoices/{bill.pk}/").content.decode()
        for path in (f"/invoices/{bill.pk}.pdf", f"/invoices/{bill.pk}.csv", f"/credit-notes/{note.pk}.pdf"):
            assert f'href="{path}"' in page
        shown = text(client.get(f"/invoices/{bill.pk}.pdf").content)
        for figure in ("$100.00", "$3.50", "-$10.35", "$93.15", "$17.70", "$110.85", "-$23.80", "$87.05"):
            assert figure in shown
            assert figure in page

    def test_one_that_was_void_before_it_had_a_number_is_none(self, bill: Invoice) -> None:
        client = self.sign_in(bill.customer, "olga")
        unborn = Invoice.objects.create(
            customer=bill.customer, assignment=bill.assignment, plan_version=bill.plan_version, status="void",
            period_start=DECEMBER, period_end=DECEMBER.replace(day=9), closes_at=DECEMBER, time_zone="UTC",
            currency="USD",
        )  # fmt: skip
        assert client.get(f"/invoices/{unborn.pk}.pdf").status_code == 404
        assert client.get(f"/invoices/{unborn.pk}.csv").status_code == 404


class TestTheAdmin:
    def staff(self, *permissions: str) -> Client:
        person = User.objects.create_user("ada", is_staff=True)
        person.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client()
        client.force_login(person)
        return client

    def test_who_may_see_it_may_have_it(self, bill: Invoice, note: CreditNote) -> None:
        client = self.staff("view_invoice", "view_creditnote")
        invoices, notes = "/admin/invoices/invoice", "/admin/invoices/creditnote"
        page = client.get(f"{invoices}/{bill.pk}/change/").content.decode()
        for ending, kind in (("pdf", "application/pdf"), ("csv", "text/csv")):
            assert f'href="{invoices}/{bill.pk}.{ending}"' in page
            assert is_file(client.get(f"{invoices}/{bill.pk}.{ending}"), f"invoice-R-2026-1.{ending}", kind)
        assert f'href="{notes}/{note.pk}.pdf"' in client.get(f"{notes}/{note.pk}/change/").content.decode()
        assert is_file(client.get(f"{notes}/{note.pk}.pdf"), "credit-note-C-2026-1.pdf", "application/pdf")
        assert client.get(f"{invoices}/999999.pdf").status_code == 404
        assert client.get(f"{notes}/999999.pdf").status_code == 404

    def test_others_may_not(self, bill: Invoice, note: CreditNote) -> None:
        client = self.staff("view_customer")
        for path in (f"invoice/{bill.pk}.pdf", f"invoice/{bill.pk}.csv", f"creditnote/{note.pk}.pdf"):
            assert client.get(f"/admin/invoices/{path}").status_code == 403
            assert Client().get(f"/admin/invoices/{path}").status_code == 302


class TestTheApi:
    def client(self, *scopes: str, customer: Customer | None = None) -> APIClient:
        _, key = create_api_key(name="test", scopes=scopes or ("read",), customer=customer)
        client = APIClient()
        client.credentials(HTTP_X_API_KEY=key)
        return client

    def test_by_number_and_by_id(self, bill: Invoice, note: CreditNote) -> None:
        client = self.client()
        files = {}
        for name in (bill.pk, bill.number):
            pdf, table = client.get(f"/v1/invoices/{name}/pdf"), client.get(f"/v1/invoices/{name}/csv")
            assert is_file(pdf, "invoice-R-2026-1.pdf", "application/pdf")
            assert is_file(table, "invoice-R-2026-1.csv", "text/csv; charset=utf-8")
            files[name] = pdf.content
        assert files[bill.pk] == files[bill.number]
        paper = client.get(f"/v1/credit-notes/{note.number}/pdf")
        assert is_file(paper, "credit-note-C-2026-1.pdf", "application/pdf")
        assert "$23.80 credited" in text(paper.content)
        assert client.get(f"/v1/credit-notes/{note.number}").json()["number"] == note.number

    @pytest.mark.parametrize("accept", ["application/pdf", "*/*", "application/json"])
    def test_whatever_is_accepted_of_what_there_is(self, bill: Invoice, accept: str) -> None:
        answer = self.client().get(f"/v1/invoices/{bill.pk}/pdf", HTTP_ACCEPT=accept)
        assert is_file(answer, "invoice-R-2026-1.pdf", "application/pdf")

    def test_strangers_and_refusals(self, bill: Invoice, note: CreditNote) -> None:
        paths = (
            f"/v1/invoices/{bill.pk}/pdf",
            f"/v1/invoices/{bill.number}/csv",
            f"/v1/credit-notes/{note.number}/pdf",
        )
        own, stranger = self.client(customer=bill.customer), self.client(customer=make_customer("stranger"))
        for path in paths:
            assert own.get(path).status_code == 200
            assert stranger.get(path).status_code == 404
            assert self.client("ingest").get(path).status_code == 403
            assert APIClient().get(path).status_code == 401
            assert self.client("read", "write").post(path).status_code == 405
        missing = own.get("/v1/invoices/999999/pdf", HTTP_ACCEPT="application/pdf")
        assert (missing.status_code, missing["Content-Type"]) == (404, "application/problem+json")
        assert own.get(paths[0], HTTP_ACCEPT="image/png").status_code == 406


class TestTheCsv:
    def test_a_row_for_each_line_step_and_day(self, november: time_machine.Traveller) -> None:
        made = make_customer("acme")
        put_on(made, plan_with("Growth", {make_meter(): STORY_RATE}), date(2026, 11, 1))
        send("acme", "ApiCalls", 12300)
        rows = rows_of(finalized(made))
        line, free, blocks, *days = rows
        names = ("number", "status", "customer", "plan", "currency", "position", "row")
        assert [line[name] for name in names] == ["2026-0001", "final", "acme", "Growth", "USD", "1", "line"]
        assert (line["kind"], line["meter"], line["unit"]) == ("usage", "ApiCalls", "calls")
        assert (line["quantity"], line["amount"]) == ("12300", "40.00")
        assert (line["period_start"], line["period_end"]) == ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")
        assert (line["span_from"], line["span_to"]) == (line["period_start"], line["period_end"])
        assert line["rate_text"] == "5,000 calls free, then $5.00 per started block of 1,000 calls"
        assert line["price"].startswith("Growth, version 1, ")
        assert "7,300 calls = 8 blocks x $5.00 = $40.00." in line["explanation"]
        assert [(row["row"], row["step_label"], row["step_detail"], row["step_amount"]) for row in (free, blocks)] == [
            ("step", "Free tier", "5,000 of 5,000 free", "0"),
            ("step", "Blocks of 1,000", "7,300 calls = 8 blocks x $5.00", "40"),
        ]
        assert {row["row"] for row in days} == {"day"}
        assert [(row["day"], row["day_quantity"]) for row in days if row["day_quantity"] != "0"] == [
            ("2026-11-22", "12300"),
        ]  # fmt: skip
        assert {row["amount"] for row in rows[1:]} == {""}

    def test_its_amounts_sum_to_the_total(self, bill: Invoice) -> None:
        amounts = [Decimal(row["amount"]) for row in rows_of(bill) if row["row"] == "line"]
        assert amounts == [Decimal("100.00"), Decimal("3.50"), Decimal("-10.35"), Decimal("17.70")]
        assert sum(amounts) == bill.total
        kept = {row["kind"]: (row["promotion"], row["tax_rate"]) for row in rows_of(bill) if row["row"] == "line"}
        assert kept["promotion"] == ("welcome", "")
        assert kept["tax"] == ("", "tax1")

    @pytest.mark.parametrize("bad", ["=1+1", "+1", "-2", "@SUM(A1)", "\tx", "\rx", "'x", "＝1"])
    def test_no_text_is_a_formula(self, november: time_machine.Traveller, bad: str) -> None:
        made = Customer.objects.create(key="acme")
        put_on(made, plan_with("Growth", {make_meter(): STORY_RATE}), date(2026, 11, 1))
        send("acme", "ApiCalls", 1)
        run_sweep()
        live = live_invoice(made)
        Meter.objects.update(key=f"{bad}m")
        Customer.objects.update(key=f"{bad}c")
        InvoiceLine.objects.update(name=f"{bad}n", unit=f"{bad}u", where={"region": [bad]})
        for row in rows_of(live):
            for name, shown in row.items():
                is_number = name in ("quantity", "amount", "step_amount", "day_quantity", "position")
                assert is_number or not shown.startswith(("=", "+", "-", "@", "\t", "\r", "＝")), name
        line = rows_of(live)[0]
        assert [line[name] for name in ("customer", "meter", "name", "unit")] == [f"'{bad}{end}" for end in "cmnu"]

    def test_numbers_below_zero_stay_numbers(self, bill: Invoice) -> None:
        assert [row["amount"] for row in rows_of(bill) if row["kind"] == "promotion"] == ["-10.35"]

    def test_whole_minor_units_of_the_currency(self, november: time_machine.Traveller) -> None:
        made = make_customer("abroad")
        rates = {make_meter(): {"model": "per_unit", "unit_price": "5"}}
        put_on(made, plan_with("Abroad", rates, currency="JPY"), date(2026, 11, 1))
        send("abroad", "ApiCalls", 3)
        assert rows_of(finalized(made))[0]["amount"] == "15"

    def test_an_estimate_has_no_number(self, november: time_machine.Traveller) -> None:
        made = make_customer("acme")
        put_on(made, plan_with("Growth", {make_meter(): STORY_RATE}), date(2026, 11, 1))
        run_sweep()
        live = live_invoice(made)
        assert (rows_of(live)[0]["number"], rows_of(live)[0]["status"]) == ("", "open")
        assert invoice_name(live) == f"estimate-2026-11-01-{live.pk}"


class TestTheMail:
    @pytest.fixture(autouse=True)
    def _locmem(self, settings: Any) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"

    def mail(self, bill: Invoice, kind: str = "invoice_finalized", about: str = "") -> Any:
        MailSetting.objects.create(kind=kind, enabled=True)
        about = about or f"invoice:{bill.pk}"
        queue(kind, about, ["anna@acme.example"], MailContent(subject="Hello", intro="it is ready."), DECEMBER)
        assert send_due(now=DECEMBER) == 1
        [sent] = outbox.outbox
        return sent

    def test_of_a_final_invoice_brings_its_paper(self, bill: Invoice) -> None:
        [attached] = self.mail(bill).attachments
        assert (attached.filename, attached.mimetype) == ("invoice-R-2026-1.pdf", "application/pdf")
        assert attached.content == invoice_pdf(Invoice.objects.get(pk=bill.pk), now=DECEMBER).content

    def test_of_something_else_brings_none(self, bill: Invoice) -> None:
        assert self.mail(bill, kind="credit_low").attachments == []

    @pytest.mark.parametrize("about", ["invoice:999999", "invoice:x", "customer:1"])
    def test_of_what_is_no_invoice_goes_out_all_the_same(self, bill: Invoice, about: str) -> None:
        assert self.mail(bill, about=about).attachments == []

    def test_of_what_cannot_be_printed_goes_out_all_the_same(self, november: time_machine.Traveller) -> None:
        made = make_customer("acme")
        put_on(made, plan_with("Growth", {make_meter(): STORY_RATE}), date(2026, 11, 1))
        live = live_invoice(made)
        Invoice.objects.filter(pk=live.pk).update(time_zone="Nowhere/Land")
        assert self.mail(live).attachments == []
        assert Mail.objects.get().status == Mail.Status.SENT


@pytest.mark.parametrize(
    ("number", "name"),
    [("2026-0042", "invoice-2026-0042"), ("R/2026/1", "invoice-R-2026-1"), ("../../etc/1", "invoice-etc-1"),
     ('a"b;c\r\n2026 1', "invoice-a-b-c-2026-1"), ("№2026/7", "invoice-2026-7"), ("2026.1.", "invoice-2026.1")],
)  # fmt: skip
def test_names_of_files_are_safe(number: str, name: str) -> None:
    assert safe_name("invoice", number) == name
