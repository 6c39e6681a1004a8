"""The page of one line: its price, span, days and steps, and to whoever may see events, those that it counts."""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone

from invoices.lines.events import csv_rows, file_name
from invoices.lines.opened import open_line
from invoices.lines.pages import line_page
from invoices.models import Invoice
from meters.admin.base import ModelAdmin, require

if TYPE_CHECKING:
    _Base = ModelAdmin[Invoice]
else:
    _Base = object

SEES_EVENTS = "meters.view_event"


class LinePages(_Base):
    """Joined to the admin of invoices."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/lines/<int:position>/", view(self.line_view), name="invoices_invoice_line"),
            path(
                "<int:pk>/lines/<int:position>/events.csv", view(self.line_events_csv), name="invoices_invoice_line_csv"
            ),
            *super().get_urls(),
        ]

    def line_view(self, request: HttpRequest, pk: int, position: int) -> HttpResponse:
        require(self.has_view_permission(request))
        invoice = _invoice(pk)
        sees_events = request.user.has_perm(SEES_EVENTS)
        state, cursor = request.GET.get("state", "all"), request.GET.get("cursor", "")
        try:
            page = line_page(invoice, position, now=timezone.now(), state=state, cursor=cursor, with_events=sees_events)
        except ValidationError as error:
            raise Http404 from error
        if page is None:
            raise Http404
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": page.name,
            "subtitle": invoice.number or "Estimate",
            "invoice": invoice,
            "page": page,
        }
        return TemplateResponse(request, "admin/invoices/invoice/line.html", context)

    def line_events_csv(self, request: HttpRequest, pk: int, position: int) -> HttpResponse:
        require(self.has_view_permission(request) and request.user.has_perm(SEES_EVENTS))
        invoice = _invoice(pk)
        opened = open_line(invoice, position, with_days=False)
        if opened is None or opened.events is None:
            raise Http404
        try:
            rows = csv_rows(opened.events, state=request.GET.get("state", "all"))
        except ValidationError as error:
            raise Http404 from error
        disposition = f'attachment; filename="{file_name(invoice, position)}"'
        return StreamingHttpResponse(  # type: ignore[return-value]
            rows, content_type="text/csv; charset=utf-8", headers={"Content-Disposition": disposition}
        )


def _invoice(pk: int) -> Invoice:
    return get_object_or_404(Invoice.objects.select_related("customer", "assignment", "plan_version__plan"), pk=pk)
