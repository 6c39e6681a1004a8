"""Invoices and credit notes as files, on their pages."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone

from invoices.models import CreditNote, Invoice
from invoices.papers.files import File, credit_note_pdf, download, invoice_csv, invoice_pdf
from meters.admin.base import require

if TYPE_CHECKING:
    from meters.admin.base import ModelAdmin

    class _Invoices(ModelAdmin[Invoice]): ...

    class _Notes(ModelAdmin[CreditNote]): ...
else:
    _Invoices = _Notes = object


class InvoicePapers(_Invoices):
    """Joined to the admin of invoices. Who may see an invoice may take it away."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.paper_view)
        return [
            path("<int:pk>.pdf", view, {"make": invoice_pdf}, name="invoices_invoice_pdf"),
            path("<int:pk>.csv", view, {"make": invoice_csv}, name="invoices_invoice_csv"),
            *super().get_urls(),
        ]

    def paper_view(self, request: HttpRequest, pk: int, make: Callable[..., File]) -> HttpResponse:
        require(self.has_view_permission(request))
        about = ("customer__billing_profile", "plan_version__plan", "replaces", "replaced_by")
        invoice = get_object_or_404(Invoice.objects.select_related(*about), pk=pk)
        return download(make(invoice, now=timezone.now()))


class CreditNotePapers(_Notes):
    """Joined to the admin of credit notes."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.paper_view)
        return [path("<int:pk>.pdf", view, name="invoices_creditnote_pdf"), *super().get_urls()]

    def paper_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        require(self.has_view_permission(request))
        notes = CreditNote.objects.select_related("invoice__customer", "invoice__plan_version__plan")
        return download(credit_note_pdf(get_object_or_404(notes, pk=pk)))
