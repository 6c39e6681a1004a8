"""The PDFs of documents for an export."""

from collections.abc import Iterator, Sequence

from django.utils import timezone

from invoices.exporting.rows import INVOICE, Document, invoices_by_id, notes_by_id
from invoices.papers.credit_note_paper import credit_note_paper
from invoices.papers.invoice_paper import invoice_paper
from invoices.papers.pdf import pdf_of


def papers_of(documents: Sequence[Document]) -> Iterator[bytes]:
    """The PDF of each of these documents, in their order."""
    now = timezone.now()
    invoices = invoices_by_id([one.pk for one in documents if one.kind == INVOICE])
    notes = notes_by_id([one.pk for one in documents if one.kind != INVOICE])
    for one in documents:
        paper = invoice_paper(invoices[one.pk], now=now) if one.kind == INVOICE else credit_note_paper(notes[one.pk])
        yield pdf_of(paper)
