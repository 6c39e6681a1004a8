"""Invoices and credit notes as files."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_safe

from invoices.models import CreditNote
from invoices.papers.files import credit_note_pdf, download, invoice_csv, invoice_pdf
from portal.access import PortalRequest, for_customer, visible_invoices

INVOICE = ("customer__billing_profile", "replaces", "replaced_by")
NOTE = ("invoice__customer", "invoice__plan_version__plan")


@require_safe
@for_customer
def invoice_as_pdf(request: PortalRequest, pk: int) -> HttpResponse:
    invoice = get_object_or_404(visible_invoices(request.customer).select_related(*INVOICE), pk=pk)
    return download(invoice_pdf(invoice, now=timezone.now()))


@require_safe
@for_customer
def invoice_as_csv(request: PortalRequest, pk: int) -> HttpResponse:
    invoice = get_object_or_404(visible_invoices(request.customer), pk=pk)
    return download(invoice_csv(invoice, now=timezone.now()))


@require_safe
@for_customer
def credit_note_as_pdf(request: PortalRequest, pk: int) -> HttpResponse:
    notes = CreditNote.objects.filter(invoice__customer=request.customer).select_related(*NOTE)
    return download(credit_note_pdf(get_object_or_404(notes, pk=pk)))
