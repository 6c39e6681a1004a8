"""Books with nearly everything in them are in order, whatever has been done to them by the services."""

import pytest
import time_machine

from invoices.models import Correction, CreditEntry, CreditNote, Invoice, InvoiceLine
from tests.invoices.books import audit, findings, keep_books
from tests.invoices.late import at

pytestmark = pytest.mark.django_db


def test_books_that_are_kept_have_no_finding() -> None:
    with time_machine.travel(at(9, 1), tick=False) as clock:
        keep_books(clock)
        run = audit()
        assert findings(run) == []
        assert run.left_out == {}
        # They do have what the audit is about.
        assert {"final", "void", "open"} <= set(Invoice.objects.values_list("status", flat=True))
        assert set(InvoiceLine.objects.values_list("kind", flat=True)) >= {
            "usage", "fee", "promotion", "true_up", "tax", "correction", "tax_corr",
        }  # fmt: skip
        assert Invoice.objects.filter(is_correction=True).exists()
        assert CreditNote.objects.filter(lines__corrects_key__gt="").exists()
        assert Invoice.objects.filter(replaces__isnull=False).exists()
        assert Correction.objects.filter(invoice__status="final").exists()
        assert set(CreditEntry.objects.values_list("kind", flat=True)) >= {"granted", "drawn", "voided"}
        counted = run.checked
        assert counted["amounts"] == Invoice.objects.filter(is_correction=False).exclude(status="void").count()
        assert counted["numbers"] == Invoice.objects.exclude(number="").count() + CreditNote.objects.count()
        assert set(counted) == {
            "amounts", "corrections", "totals", "ledger", "settlement", "no_plan", "no_rate", "numbers",
        }  # fmt: skip
