"""The rates of the taxes that a credit note takes back: they are those of the invoice's lines."""

from invoices.late.corrections import key_of
from invoices.lines.explained import TAXES, percent_of_tax
from invoices.models import CreditNote, CreditNoteLine, Invoice


def taxes_of(note: CreditNote, invoice: Invoice) -> list[tuple[CreditNoteLine, str]]:
    """Each tax of a note, and its rate in words: "19%". Empty where its invoice had no such tax."""
    taxes = [line for line in note.lines.all() if line.is_tax]
    if not taxes:
        return []
    lines = [line for line in invoice.lines.all() if line.kind in TAXES]
    percents = {line.pk: percent_of_tax(line) for line in lines}
    # A correction of usage is of no line, but of what one is about.
    by_key = {key_of(line): percents[line.pk] for line in lines}
    return [(tax, _words(percents.get(tax.invoice_line_id or 0) or by_key.get(tax.corrects_key, ""))) for tax in taxes]


def _words(percent: str) -> str:
    return f"{percent}%" if percent else ""
