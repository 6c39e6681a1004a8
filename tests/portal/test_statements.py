"""The statement page: for the owner of the customer, and nobody else."""

import csv
import io
import re
from datetime import date
from decimal import Decimal
from typing import Any

from django.test import Client
from pypdf import PdfReader

from invoices.models import Invoice
from invoices.prepaid.credits import grant_credits
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment
from meters.models import Customer
from tests.factories import put_on, run_sweep
from tests.invoices.plans import fee, plan_with
from tests.portal.conftest import SignIn


def text(response: Any, code: int = 200) -> str:
    assert response.status_code == code
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode().split("<main")[-1]).split())


def test_it_is_linked_from_the_invoices(owner: Client, october: Invoice) -> None:
    assert 'href="/statement/"' in owner.get("/invoices/").content.decode()


def test_documents_and_balance(owner: Client, october: Invoice) -> None:
    record_payment(october.pk, amount=Decimal(2), reference="TX secret", paid_on=date(2026, 11, 16), actor="ben")
    shown = text(owner.get("/statement/"))
    assert "1–30 Nov 2026 (UTC)" in shown
    assert "Owed on 18 Nov 2026 $3.00" in shown
    assert "1 Nov 2026 Opening balance $0.00" in shown
    assert f"Invoice {october.number} Growth, 1–31 Oct 2026" in shown
    assert f"Payment for invoice {october.number} on 16 Nov 2026 -$2.00 $3.00" in shown
    assert "18 Nov 2026 Closing balance $3.00" in shown
    # What the bank says is for staff.
    assert "TX secret" not in shown
    assert "ben" not in shown


def test_several_plans_on_one_statement(owner: Client, acme: Customer, november: Invoice) -> None:
    put_on(acme, plan_with("Support", {}, fee("support", "30")), date(2026, 11, 1))
    put_on(acme, plan_with("Tokyo", {}, fee("seat", "500"), currency="JPY"), date(2026, 11, 1))
    grant_credits(customer=acme, name="Welcome", currency="USD", amount=10)
    run_sweep()
    shown = text(owner.get("/statement/?currency=USD"))
    assert "Not issued yet An estimate as of 18 Nov 2026, 14:02 UTC ; not in the balance above." in shown
    assert "Growth 1–30 Nov 2026 $40.00 API calls 12,300 calls $40.00 Support 1–30 Nov 2026 $30.00 Support" in shown
    assert "Total so far $70.00 Would be paid by credits an estimate -$10.00 Left to pay an estimate $60.00" in shown
    assert "Prepaid credits left on 18 Nov 2026, 14:02 UTC: $10.00." in shown
    assert "¥" not in shown
    yen = text(owner.get("/statement/?currency=JPY"))
    assert "Tokyo 1–30 Nov 2026 ¥500" in yen
    assert "Nothing was issued or paid." in yen
    assert "$" not in yen


def test_a_month_and_a_year(owner: Client, october: Invoice) -> None:
    before = text(owner.get("/statement/?period=2026-10"))
    assert "Owed on 31 Oct 2026 $0.00" in before
    assert "Not issued yet" not in before
    whole = text(owner.get("/statement/?period=2026&currency=USD"))
    assert "1 Jan – 31 Dec 2026" in whole
    assert "Closing balance $5.00" in whole


def test_what_cannot_be_shown_is_said(owner: Client, october: Invoice) -> None:
    for query, said in (
        ("period=2027-01", "“2027-01” is not a month or a year that can be shown."),
        ("currency=EUR", "There are no invoices in “EUR”."),
    ):
        assert said in text(owner.get(f"/statement/?{query}"), 422)
        for file in ("csv", "pdf"):
            assert owner.get(f"/statement.{file}?{query}").status_code == 422


def test_who_has_no_invoices_is_told_so(sign_in: SignIn, clock: Any) -> None:
    person = sign_in("dora", Customer.objects.create(key="new"))
    assert "No invoices yet" in text(person.get("/statement/"))
    assert person.get("/statement.csv").status_code == 422


def test_as_csv(owner: Client, october: Invoice) -> None:
    issue_credit_note(october.pk, reason="=cmd()", actor="ben")
    answer = owner.get("/statement.csv?period=2026-11&currency=USD")
    assert answer["Content-Disposition"] == 'attachment; filename="statement-2026-11-USD.csv"'
    rows = list(csv.reader(io.StringIO(answer.content.decode(), newline="")))
    assert [row[1] for row in rows] == ["document", "opening balance", "Invoice", "Credit note", "closing balance"]
    assert [row[5] for row in rows[1:]] == ["0.00", "5.00", "0.00", "0.00"]


def test_as_pdf(owner: Client, october: Invoice, stranger: Client, client: Client) -> None:
    answer = owner.get("/statement.pdf")
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"] == 'attachment; filename="statement-2026-11-USD.pdf"'
    assert "no-store" in answer["Cache-Control"]
    shown = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)
    assert "Acme Corp" in shown
    assert "$5.00 owed on 18 Nov 2026" in shown
    theirs = " ".join(
        page.extract_text() for page in PdfReader(io.BytesIO(stranger.get("/statement.pdf").content)).pages
    )
    assert "Acme" not in theirs
    assert "$5.00" not in theirs
    assert client.get("/statement.pdf").status_code == 302
    assert owner.post("/statement.pdf").status_code == 405
