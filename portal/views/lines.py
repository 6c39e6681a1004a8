"""One line of an invoice: its price, span, days and steps, and the events that it counts."""

from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from invoices.lines.events import csv_rows, file_name
from invoices.lines.opened import open_line
from invoices.lines.pages import line_page
from invoices.models import Invoice
from portal.access import PortalRequest, for_customer, visible_invoices, wants_fragment


@require_safe
@for_customer
def invoice_line(request: PortalRequest, pk: int, position: int) -> HttpResponse:
    invoice = _invoice(request, pk)
    state, cursor, is_part = request.GET.get("state", "all"), request.GET.get("cursor", ""), wants_fragment(request)
    try:
        page = line_page(invoice, position, now=timezone.now(), state=state, cursor=cursor, with_days=not is_part)
    except ValidationError as error:
        raise Http404 from error
    if page is None:
        raise Http404
    template = "portal/invoice_line.html#events" if is_part else "portal/invoice_line.html"
    return render(request, template, {"invoice": invoice, "page": page})


@require_safe
@for_customer
def line_events_csv(request: PortalRequest, pk: int, position: int) -> HttpResponse:
    """The events of the page's list, all of them."""
    invoice = _invoice(request, pk)
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


def _invoice(request: PortalRequest, pk: int) -> Invoice:
    return get_object_or_404(visible_invoices(request.customer).select_related("assignment"), pk=pk)
