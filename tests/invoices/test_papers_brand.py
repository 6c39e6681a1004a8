"""Papers in the look of the brand that they were issued with; and nobody is asked to pay what is not to be paid."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from invoices.brand_changes import set_brand
from invoices.logos import logo_of
from invoices.models import CreditNote, Invoice
from invoices.papers.credit_note_paper import credit_note_paper
from invoices.papers.files import credit_note_pdf, invoice_pdf
from invoices.papers.invoice_paper import invoice_paper
from invoices.papers.paper import Look
from invoices.papers.statement_paper import statement_paper
from invoices.policy_changes import set_billing_policy
from invoices.seller import Seller, seller_of
from invoices.settling.credit_notes import issue_credit_note
from invoices.settling.payments import record_payment, write_off
from invoices.settling.voiding import void_invoice
from invoices.statements.running_bills import running_bills
from invoices.statements.statement import statement_of
from meters.models import Customer
from meters.periods import Period
from tests.factories import live_invoice, send
from tests.invoices.papers import reader, rows, text
from tests.invoices.pictures import picture
from tests.invoices.settled import DECEMBER, make_bill

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_brand")]

PAY = "Please pay to IBAN DE02"
LATER = datetime(2027, 6, 1, tzinfo=UTC)


def brand(**changes: Any) -> None:
    set_brand(changes=changes, by="ada", now=timezone.now())


@pytest.fixture
def branded(november: time_machine.Traveller) -> Invoice:
    set_billing_policy(changes={"seller_name": "Sellers GmbH", "paper_footer": PAY}, now=DECEMBER)
    brand(name="Tollgate", accent="#4346d6", logo=logo_of(picture()), legal_footer="HRB 1234\nBerlin")
    made = make_bill()
    november.move_to(DECEMBER)
    return made


def file_of(invoice: Invoice, now: datetime = DECEMBER) -> bytes:
    return invoice_pdf(Invoice.objects.get(pk=invoice.pk), now=now).content


def foot(invoice: Invoice) -> list[str]:
    return list(invoice_paper(Invoice.objects.get(pk=invoice.pk), now=DECEMBER).footer)


class TestTheLook:
    def test_an_invoice_has_logo_accent_and_both_footers_apart(self, branded: Invoice) -> None:
        paper = invoice_paper(branded, now=DECEMBER)
        assert (paper.look.logo_size, paper.look.accent) == ((240, 60), "#4346d6")
        assert (paper.footer, paper.look.legal) == ([PAY], ["HRB 1234", "Berlin"])
        pdf = file_of(branded)
        assert rows(pdf)[-4:-1] == [PAY, "HRB 1234", "Berlin"]
        [image] = reader(pdf).pages[0].images
        assert image.image is not None
        assert image.image.size == (240, 60)

    def test_it_is_sent_in_the_name_of_the_seller(self, branded: Invoice) -> None:
        assert invoice_paper(branded, now=DECEMBER).seller.name == "Sellers GmbH"

    def test_or_of_the_brand_where_there_is_no_other(self, november: time_machine.Traveller) -> None:
        brand(name="Tollgate")
        made = make_bill()
        assert invoice_paper(made, now=DECEMBER).seller.name == "Tollgate"

    def test_what_is_issued_stays_byte_for_byte_whatever_becomes_of_the_brand(
        self, branded: Invoice, november: time_machine.Traveller
    ) -> None:
        made = issue_credit_note(branded.pk, reason="No", amounts={1: Decimal(1)}, actor="ada")
        note = CreditNote.objects.get(pk=made.pk)
        before = file_of(branded), credit_note_pdf(note).content
        november.move_to(LATER)
        brand(name="Others", accent="#000000", logo=None, legal_footer="")
        assert (file_of(branded, LATER), credit_note_pdf(note).content) == before
        again = issue_credit_note(branded.pk, reason="No", amounts={1: Decimal(1)}, actor="ada")
        assert credit_note_paper(CreditNote.objects.get(pk=again.pk)).look == Look(accent="#000000", legal=[])

    def test_what_was_issued_before_there_was_a_brand_has_none(self, november: time_machine.Traveller) -> None:
        made = make_bill()
        november.move_to(DECEMBER)
        assert made.seller == {"name": "AwesomeIntegration", "address": "", "tax_id": "", "footer": "", "brand": 0}
        before = file_of(made)
        brand(name="Tollgate", accent="#4346d6", logo=logo_of(picture()), legal_footer="HRB")
        assert file_of(made) == before

    def test_sellers_that_were_kept_before_brands_read_on(self) -> None:
        kept = {"name": "Sellers GmbH", "address": "", "tax_id": "", "footer": ""}
        assert seller_of(Invoice(seller=kept)) == Seller("Sellers GmbH", brand=0)

    def test_an_estimate_follows_the_brand(self, acme: Customer) -> None:
        send("acme", "ApiCalls", 5500)
        brand(accent="#4346d6")
        assert invoice_paper(live_invoice(acme)).look.accent == "#4346d6"
        brand(accent="#000000")
        assert invoice_paper(live_invoice(acme)).look.accent == "#000000"

    def test_a_statement_has_the_brand_of_now(self, branded: Invoice) -> None:
        brand(accent="#000000", legal_footer="HRB 9")
        paper = statement_paper(*_statement(branded))
        assert (paper.look.accent, paper.look.legal) == ("#000000", ["HRB 9"])

    @pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
    def test_the_same_logo_is_the_same_file(self, format: str, november: time_machine.Traveller) -> None:
        brand(logo=logo_of(picture(format, (600, 150))))
        made = make_bill()
        assert file_of(made) == file_of(made)


class TestWhereToPayTo:
    def test_stands_on_what_is_to_be_paid(self, branded: Invoice) -> None:
        assert foot(branded) == [PAY]
        record_payment(branded.pk, amount=Decimal(10), reference="A", actor="ada")
        assert foot(branded) == [PAY]

    def test_not_on_what_is_paid(self, branded: Invoice) -> None:
        record_payment(branded.pk, amount=branded.total, reference="A", actor="ada")
        assert foot(branded) == []
        assert PAY not in text(file_of(branded))

    def test_not_on_what_is_written_off(self, branded: Invoice) -> None:
        write_off(branded.pk, reason="Bankrupt", actor="ada")
        assert foot(branded) == []

    def test_not_on_a_void_invoice(self, branded: Invoice) -> None:
        void_invoice(branded.pk, reason="No", actor="ada")
        assert foot(branded) == []
        assert "HRB 1234" in text(file_of(branded))

    def test_not_on_an_estimate(self, acme: Customer) -> None:
        set_billing_policy(changes={"paper_footer": PAY}, now=DECEMBER)
        send("acme", "ApiCalls", 12300)
        assert foot(live_invoice(acme)) == []

    def test_not_on_a_credit_note(self, branded: Invoice) -> None:
        made = issue_credit_note(branded.pk, reason="No", amounts={1: Decimal(1)}, actor="ada")
        assert PAY not in text(credit_note_pdf(CreditNote.objects.get(pk=made.pk)).content)

    def test_on_a_statement_with_a_balance_alone(self, branded: Invoice) -> None:
        assert statement_paper(*_statement(branded)).footer == [PAY]
        record_payment(branded.pk, amount=branded.total, reference="A", actor="ada")
        assert statement_paper(*_statement(branded)).footer == []


def _statement(invoice: Invoice) -> Any:
    year = Period(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    found = statement_of(invoice.customer, invoice.currency, year, now=timezone.now())
    return found, running_bills(invoice.customer, invoice.currency, now=timezone.now(), until=year.end)
