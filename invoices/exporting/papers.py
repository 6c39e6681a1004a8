"""The PDFs of documents for an export."""

from collections.abc import Iterator, Sequence

from django.utils import timezone

from invoices.exporting.rows import CREDIT_NOTE, Document, invoices_by_id, notes_by_id
from invoices.papers.credit_note_paper import credit_note_paper
from invoices.papers.invoice_paper import invoice_paper
from invoices.papers.pdf import pdf_of


def papers_of(documents: Sequence[Document]) -> Iterator[bytes]:
    """The PDF of each of these documents, in their order. What takes a void invoice back has that invoice's, which says
    that it is void."""
    now = timezone.now()
    invoices = invoices_by_id([one.pk for one in documents if one.kind != CREDIT_NOTE])
    notes = notes_by_id([one.pk for one in documents if one.kind == CREDIT_NOTE])
    for one in documents:
        paper = (
            credit_note_paper(notes[one.pk]) if one.kind == CREDIT_NOTE else invoice_paper(invoices[one.pk], now=now)
        )
        yield pdf_of(paper)
