"""Invoices and credit notes as files."""

from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.decorators import action
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from invoices.models import CreditNote, Invoice
from invoices.papers.files import CSV, PDF, credit_note_pdf, download, invoice_csv, invoice_pdf
from meters.api.negotiation import Negotiation
from meters.api.usage import CsvRenderer

if TYPE_CHECKING:
    from rest_framework.viewsets import GenericViewSet

    class _Invoices(GenericViewSet[Invoice]): ...

    class _Notes(GenericViewSet[CreditNote]): ...
else:
    _Invoices = _Notes = object

A_PDF = OpenApiExample("A file", "%PDF-1.4 …", response_only=True, media_type=PDF, status_codes=["200"])
A_CSV = OpenApiExample(
    "A file",
    "number,status,customer,…,position,row,kind,meter,…,name,unit,quantity,amount,…,step_label,step_detail,step_amount,"
    "day,day_quantity\r\n"
    "2026-0042,final,acme,…,1,line,usage,ApiCalls,…,API calls,calls,12300,40.00,…,,,,,\r\n"
    '2026-0042,final,acme,…,1,step,,,…,,,,,…,Free tier,"5,000 of 5,000 free",0,,\r\n'
    "2026-0042,final,acme,…,1,day,,,…,,,,,…,,,,2026-11-02,12300\r\n",
    response_only=True,
    media_type=CSV,
    status_codes=["200"],
)


class PdfRenderer(JSONRenderer):
    """Stands for PDF where the answer's type is chosen. What it renders are problem documents, which stay JSON."""

    media_type = PDF


AS_PDF: dict[str, Any] = {"content_negotiation_class": Negotiation, "renderer_classes": [PdfRenderer, JSONRenderer]}
AS_CSV: dict[str, Any] = {"content_negotiation_class": Negotiation, "renderer_classes": [CsvRenderer, JSONRenderer]}


class InvoicePapers(_Invoices):
    """Joined to the view set of invoices, which are named by number or id."""

    @extend_schema(
        operation_id="get_invoice_pdf",
        responses={(200, PDF): OpenApiTypes.BINARY},
        examples=[A_PDF],
    )
    @action(detail=True, pagination_class=None, **AS_PDF)
    def pdf(self, request: Request, **_: Any) -> HttpResponse:
        """An invoice as a PDF file: lines with the steps to each amount, taxes, what has settled it and what is due.

        Of a final one it is the same file, byte for byte, until something more settles it. One that is not final is
        marked as an estimate.
        """
        return download(invoice_pdf(self.get_object(), now=timezone.now()))

    @extend_schema(
        operation_id="get_invoice_csv",
        responses={(200, CSV): OpenApiTypes.STR},
        examples=[A_CSV],
    )
    @action(detail=True, pagination_class=None, **AS_CSV)
    def csv(self, request: Request, **_: Any) -> HttpResponse:
        """An invoice as a CSV file: a row for each line, below it one for each of its steps and each day of its usage.

        `row` is `line`, `step` or `day`. `amount` is on rows of lines alone, so the column sums to the total. Text that
        a spreadsheet would take for a formula has an apostrophe in front.
        """
        return download(invoice_csv(self.get_object(), now=timezone.now()))


class CreditNotePapers(_Notes):
    """Joined to the view set of credit notes, which are named by number."""

    @extend_schema(
        operation_id="get_credit_note_pdf",
        responses={(200, PDF): OpenApiTypes.BINARY},
        examples=[A_PDF],
    )
    @action(detail=True, pagination_class=None, **AS_PDF)
    def pdf(self, request: Request, **_: Any) -> HttpResponse:
        """A credit note as a PDF file, the same one byte for byte whenever it is asked for."""
        return download(credit_note_pdf(self.get_object()))
