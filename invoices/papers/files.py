"""Invoices and credit notes as files that people take away: how they are called, and what is in them."""

import re
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse

from invoices.models import CreditNote, Invoice
from invoices.papers.credit_note_paper import credit_note_paper
from invoices.papers.csv import csv_of
from invoices.papers.invoice_paper import invoice_paper
from invoices.papers.pdf import pdf_of
from meters.periods import local_date

PDF, CSV = "application/pdf", "text/csv"
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class File:
    name: str
    media_type: str
    content: bytes


def invoice_pdf(invoice: Invoice, *, now: datetime) -> File:
    return File(f"{invoice_name(invoice)}.pdf", PDF, pdf_of(invoice_paper(invoice, now=now)))


def invoice_csv(invoice: Invoice, *, now: datetime) -> File:
    return File(f"{invoice_name(invoice)}.csv", CSV, csv_of(invoice, now=now).encode())


def credit_note_pdf(note: CreditNote) -> File:
    return File(f"{safe_name('credit-note', note.number)}.pdf", PDF, pdf_of(credit_note_paper(note)))


def invoice_name(invoice: Invoice) -> str:
    """ "invoice-2026-0042"; of one without a number "estimate-2026-11-01-17", by the first day of its period."""
    if invoice.number:
        return safe_name("invoice", invoice.number)
    return f"estimate-{local_date(invoice.period_start, invoice.zone).isoformat()}-{invoice.pk}"


def safe_name(kind: str, number: str) -> str:
    """A name that every file system takes: a number may hold slashes and whatever else staff have put in its format."""
    return f"{kind}-{UNSAFE.sub('-', number).strip('-.')}"


def download(file: File) -> HttpResponse:
    types = {CSV: f"{CSV}; charset=utf-8; header=present"}
    return HttpResponse(
        file.content,
        content_type=types.get(file.media_type, file.media_type),
        headers={"Content-Disposition": f'attachment; filename="{file.name}"'},
    )
