"""Invoices: the running ones as estimates, the final ones as documents."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseStopPolling

from invoices.addressee import addressee_of
from invoices.lines.opened import open_lines
from invoices.listing import listing_of
from invoices.models import Invoice
from invoices.seller import seller_of
from invoices.settling.settled import invoice_credits, settled_of
from portal.access import PortalRequest, for_customer, visible_invoices, wants_fragment
from portal.bills.invoice_list import InvoiceQuery
from portal.bills.invoice_page import headline_of
from portal.bills.lines import opened_lines
from portal.bills.overview import freshness, trials_of

PAGE = 24


@require_safe
@for_customer
def invoice_list(request: PortalRequest) -> HttpResponse:
    now = timezone.now()
    invoices = visible_invoices(request.customer)
    if wants_fragment(request):
        return _running(request)
    listing = listing_of(invoices, now=now)
    form = InvoiceQuery(request.GET.dict(), years=listing.years)
    if not form.is_valid():
        return render(request, "portal/invoice_list.html", {"form": form, "listing": listing}, status=422)
    issued = form.narrowed(invoices.exclude(status__in=Invoice.LIVE), now=now)
    page = Paginator(issued, PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "listing": listing, "page": page}
    if page.number == 1 and not form.is_narrowed:
        context |= _running_context(request)
    return render(request, "portal/invoice_list.html", context)


def _running(request: PortalRequest) -> HttpResponse:
    """The part of the list that moves."""
    context = _running_context(request)
    status = 200 if context["live"] else HttpResponseStopPolling.status_code
    return render(request, "portal/invoice_list.html#running", context, status=status)


def _running_context(request: PortalRequest) -> dict[str, object]:
    live = list(visible_invoices(request.customer).filter(status__in=Invoice.LIVE))
    fresh = freshness(request.customer, live, now=timezone.now()) if live else None
    return {"live": live, "freshness": fresh, "zone": request.customer.zone}


@require_safe
@for_customer
def invoice_detail(request: PortalRequest, pk: int) -> HttpResponse:
    invoices = visible_invoices(request.customer).select_related("assignment", "customer__billing_profile", "replaces")
    invoice = get_object_or_404(invoices, pk=pk)
    now = timezone.now()
    drawn = invoice_credits(invoice, now=now)
    context = {
        "invoice": invoice,
        "seller": seller_of(invoice),
        "addressee": addressee_of(invoice),
        "trial_end": trials_of([invoice]).get(invoice.pk),
        "lines": opened_lines(open_lines(invoice, now=now), now=now),
        "freshness": freshness(request.customer, [invoice], now=now) if invoice.is_live else None,
        "credits": drawn,
        "headline": headline_of(invoice, drawn),
        "settled": settled_of(invoice),
    }
    if not wants_fragment(request):
        return render(request, "portal/invoice_detail.html", context)
    # What will never change again need not be asked for again.
    status = 200 if invoice.is_live else HttpResponseStopPolling.status_code
    return render(request, "portal/invoice_detail.html#document", context, status=status)
