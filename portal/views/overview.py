"""The first page: what is owed so far, where it is heading, and why."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseStopPolling

from portal.access import PortalRequest, for_customer, wants_fragment
from portal.bills.budgets import budget_panel
from portal.bills.comparison import by_this_day
from portal.bills.overview import overview_of


@require_safe
@for_customer
def overview(request: PortalRequest) -> HttpResponse:
    now = timezone.now()
    view = overview_of(request.customer, now=now)
    context = {
        "view": view,
        "zone": request.customer.zone,
        "then": by_this_day(view.bills, view.last_invoices, now=now),
        "budgets": budget_panel(request.customer, view.bills),
    }
    if not wants_fragment(request):
        return render(request, "portal/overview.html", context)
    # What moves no more need not be asked for again.
    status = HttpResponseStopPolling.status_code if view.is_over else 200
    return render(request, "portal/overview.html#figures", context, status=status)
