"""Invoices: the running ones as estimates, the final ones as documents."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseStopPolling

from invoices.addressee import addressee_of
from invoices.lines.opened import open_lines
from invoices.models import Invoice
from invoices.seller import seller_of
from invoices.settling.settled import invoice_credits, settled_of
from portal.access import PortalRequest, for_customer, visible_invoices, wants_fragment
from portal.bills import freshness, trials_of
from portal.lines import opened_lines

PAGE = 12


@require_safe
@for_customer
def invoice_list(request: PortalRequest) -> HttpResponse:
    invoices = visible_invoices(request.customer)
    page = Paginator(invoices.exclude(status__in=Invoice.LIVE), PAGE).get_page(request.GET.get("page"))
    live = list(invoices.filter(status__in=Invoice.LIVE)) if page.number == 1 else []
    return render(request, "portal/invoice_list.html", {"page": page, "live": live})


@require_safe
@for_customer
def invoice_detail(request: PortalRequest, pk: int) -> HttpResponse:
    invoices = visible_invoices(request.customer).select_related("assignment", "customer__billing_profile", "replaces")
    invoice = get_object_or_404(invoices, pk=pk)
    now = timezone.now()
    context = {
        "invoice": invoice,
        "seller": seller_of(invoice),
        "addressee": addressee_of(invoice),
        "trial_end": trials_of([invoice]).get(invoice.pk),
        "lines": opened_lines(open_lines(invoice, with_days=False, now=now)),
        "freshness": freshness(request.customer, [invoice], now=now) if invoice.is_live else None,
        "credits": invoice_credits(invoice, now=now),
        "settled": settled_of(invoice),
    }
    if not wants_fragment(request):
        return render(request, "portal/invoice_detail.html", context)
    # What will never change again need not be asked for again.
    status = 200 if invoice.is_live else HttpResponseStopPolling.status_code
    return render(request, "portal/invoice_detail.html#document", context, status=status)
