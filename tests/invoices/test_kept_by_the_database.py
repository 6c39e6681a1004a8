"""What is final never changes, whoever tries and by whichever way: the database itself refuses."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Model

from invoices.models import CreditEntry, CreditGrant, CreditNote, CreditNoteLine, Invoice, InvoiceLine, Payment
from invoices.services import close
from meters.models import Customer
from tests.factories import live_invoice, send
from tests.invoices.november import MONTH_END, NOW

pytestmark = pytest.mark.usefixtures("november")

LATER = MONTH_END + timedelta(days=2)


@pytest.fixture
def final(acme: Customer) -> Invoice:
    send("acme", "ApiCalls", 12300)
    return close(live_invoice(acme).pk, now=LATER)


def refused(change: Callable[[], Any], what: str) -> None:
    with pytest.raises(IntegrityError, match=what), transaction.atomic():
        change()


def sql(statement: str, *parameters: Any) -> Callable[[], None]:
    def run() -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)

    return run


# What settles a final invoice, and what it is rated again by, is kept beside it.
BESIDE = {"voided_at", "credits_applied", "credited", "paid", "written_off", "payment_status", "rerated_version"}
FROZEN = sorted(
    field.attname
    for field in Invoice._meta.concrete_fields
    if field.attname not in {*BESIDE, "id", "status", "replaces_id", "created_at"}
)


class TestAnInvoice:
    @pytest.mark.parametrize("name", FROZEN)
    def test_keeps_every_column(self, final: Invoice, name: str) -> None:
        """None may be missing here: a new column is kept as well, unless the trigger names it."""
        field = next(field for field in Invoice._meta.concrete_fields if field.attname == name)
        others = {
            "BooleanField": "NOT {0}", "CharField": "'x' || left({0}, 1)", "TextField": "{0} || 'x'",
            "DateTimeField": "now()", "DateField": "'2001-01-01'", "JSONField": "'[1]'",
        }  # fmt: skip
        changed = others.get(field.get_internal_type(), "coalesce({0}, 0) + 1").format(name)
        refused(sql(f"UPDATE invoices_invoice SET {name} = {changed} WHERE id = %s", final.pk), "is final and never")

    def test_is_not_deleted(self, final: Invoice) -> None:
        refused(sql("DELETE FROM invoices_invoice WHERE id = %s", final.pk), "2026-0001 is final and never changes")
        refused(final.delete, "is final|are final")
        refused(Invoice.objects.all().delete, "is final|are final")

    @pytest.mark.parametrize("status", ["open", "grace"])
    def test_is_not_opened_again(self, final: Invoice, status: str) -> None:
        refused(lambda: Invoice.objects.update(status=status), "is final and never changes")

    def test_may_become_void_and_stays_that(self, final: Invoice) -> None:
        assert Invoice.objects.filter(pk=final.pk).update(status="void", voided_at=LATER) == 1
        for status in ("final", "open", "grace"):
            refused(lambda status=status: Invoice.objects.update(status=status), "is final and never changes")
        refused(lambda: Invoice.objects.update(total=0), "is final and never changes")

    def test_may_be_settled(self, final: Invoice) -> None:
        settled = {"paid": Decimal(40), "payment_status": "paid", "credited": Decimal(0), "rerated_version": 7}
        assert Invoice.objects.filter(pk=final.pk).update(**settled) == 1

    def test_is_not_saved_with_another_total(self, final: Invoice) -> None:
        final.total += 1
        refused(final.save, "is final and never changes")

    def test_that_is_live_may_change_and_go(self, acme: Customer) -> None:
        assert Invoice.objects.update(total=7) == 1
        assert Invoice.objects.all().delete()[0] >= 1


class TestItsLines:
    def test_are_not_changed(self, final: Invoice) -> None:
        refused(lambda: final.lines.update(amount=1), "the lines of invoice 2026-0001 are final")
        refused(sql("UPDATE invoices_invoiceline SET name = 'x' WHERE invoice_id = %s", final.pk), "are final")

    def test_are_not_deleted(self, final: Invoice) -> None:
        refused(final.lines.all().delete, "are final")
        refused(sql("DELETE FROM invoices_invoiceline"), "are final")

    def test_are_not_added_to(self, final: Invoice) -> None:
        refused(lambda: InvoiceLine.objects.create(invoice=final, position=9, name="More", amount=1), "are final")

    def test_do_not_move_to_another_invoice_nor_from_one(self, final: Invoice) -> None:
        other = Invoice.objects.create(
            customer=final.customer,
            assignment=final.assignment,
            plan_version=final.plan_version,
            period_start=final.period_end,
            period_end=final.period_end + timedelta(days=30),
            closes_at=final.period_end,
            time_zone="UTC",
            currency="USD",
        )
        line = InvoiceLine.objects.create(invoice=other, position=9, name="More", amount=1)
        refused(lambda: InvoiceLine.objects.filter(pk=line.pk).update(invoice=final), "are final")
        refused(lambda: final.lines.update(invoice=other), "are final")
        line.delete()

    def test_of_a_void_one_stay_too(self, final: Invoice) -> None:
        Invoice.objects.update(status="void")
        refused(lambda: final.lines.update(amount=1), "are final")


class TestWhatSettlesIt:
    @pytest.fixture(params=["payment", "credit note", "its line", "ledger"])
    def row(self, request: pytest.FixtureRequest, final: Invoice) -> Model:
        if request.param == "payment":
            return Payment.objects.create(invoice=final, amount=40, paid_on=LATER.date(), actor="ada")
        if request.param == "ledger":
            grant = CreditGrant.objects.create(
                customer=final.customer, name="Prepaid", currency="USD", amount=5, starts_at=NOW
            )
            return CreditEntry.objects.create(grant=grant, kind="granted", amount=5, balance=5, at=NOW)
        note = CreditNote.objects.create(
            invoice=final, number="CN-2026-0001", reason="Goodwill", subtotal=1, total=1, issued_at=LATER
        )
        if request.param == "credit note":
            return note
        return CreditNoteLine.objects.create(credit_note=note, position=1, name="Calls", amount=1)

    def test_is_only_added_to(self, row: Model) -> None:
        table = row._meta.db_table
        column = "total" if isinstance(row, CreditNote) else "amount"
        for change in (
            sql(f"UPDATE {table} SET {column} = {column} + 1"),
            sql(f"DELETE FROM {table}"),
            row.save,
            row.delete,
        ):
            refused(change, "only ever added to")
        assert type(row)._default_manager.filter(pk=row.pk).exists()
