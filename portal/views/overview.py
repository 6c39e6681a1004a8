"""The first page: what is owed so far, where it is heading, and why."""

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from portal.access import PortalRequest, for_customer, wants_fragment
from portal.bills import overview_of


@require_safe
@for_customer
def overview(request: PortalRequest) -> HttpResponse:
    template = "portal/overview.html#figures" if wants_fragment(request) else "portal/overview.html"
    view = overview_of(request.customer, now=timezone.now())
    return render(request, template, {"view": view, "zone": request.customer.zone})
