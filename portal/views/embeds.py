"""Pieces of the portal for frames in the vendor's own app. Each is opened by a token, and shows."""

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseStopPolling

from invoices.branding import css_of
from invoices.models import Invoice
from invoices.papers.files import download, invoice_pdf
from portal.access import visible_invoices
from portal.bills.budgets import budget_panel
from portal.bills.overview import freshness, overview_of
from portal.embedding.access import EmbedRequest, for_token
from portal.embedding.look import digits_of, readable_accents
from portal.embedding.plans import plan_cards
from portal.embedding.usage import embed_usage_query
from portal.models import EmbedToken
from portal.usage.cost import cost_report
from portal.usage.report import usage_report
from portal.views.papers import INVOICE

PAGE = 6
View = EmbedToken.View


@for_token(View.CHARGES)
def charges(request: EmbedRequest) -> HttpResponse:
    view = overview_of(request.customer, now=timezone.now())
    budgets = budget_panel(request.customer, view.bills)
    context = {"view": view, "budgets": budgets, "zone": request.customer.zone}
    return _show(request, "charges", context, moves=not view.is_over)


@for_token(View.USAGE)
def usage(request: EmbedRequest) -> HttpResponse:
    now = timezone.now()
    query = embed_usage_query(request.customer, request.GET.dict(), now=now)
    if query is None:
        return _show(request, "usage", {})
    report_of = cost_report if query.is_cost else usage_report
    report = report_of(request.customer, query.question(), now=now)
    context = {"form": query, "report": report, "now": now}
    return _show(request, "usage", context, asked=query.address(), moves=report.is_running)


@for_token(View.INVOICES)
def invoices(request: EmbedRequest) -> HttpResponse:
    now = timezone.now()
    found = visible_invoices(request.customer)
    page = Paginator(found.exclude(status__in=Invoice.LIVE), PAGE).get_page(request.GET.get("page"))
    live = list(found.filter(status__in=Invoice.LIVE)) if page.number == 1 else []
    context = {
        "page": page,
        "invoices": [*live, *page.object_list],
        "freshness": freshness(request.customer, live, now=now),
        "zone": request.customer.zone,
    }
    asked = f"page={page.number}" if page.number > 1 else ""
    return _show(request, "invoices", context, asked=asked, moves=bool(live))


@for_token(View.PLANS)
def plans(request: EmbedRequest) -> HttpResponse:
    cards = plan_cards(request.customer, now=timezone.now())
    return _show(request, "plans", {"cards": cards, "zone": request.customer.zone})


@for_token(View.INVOICES)
def invoice_as_pdf(request: EmbedRequest, pk: int) -> HttpResponse:
    invoice = get_object_or_404(visible_invoices(request.customer).select_related(*INVOICE), pk=pk)
    return download(invoice_pdf(invoice, now=timezone.now()))


@require_safe
def accent(request: HttpRequest) -> HttpResponse:
    """The colour of a page in a frame as a style sheet, since no style may stand in the page itself. It is the same
    for everybody, and needs no token."""
    digits = digits_of(request.GET.get("c", ""))
    if not digits:
        return HttpResponse("/* c is six digits from 0 to f */", status=400, content_type="text/css")
    headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
    return HttpResponse(css_of(readable_accents(digits)), content_type="text/css; charset=utf-8", headers=headers)


def _show(
    request: EmbedRequest, name: str, context: dict[str, Any], *, asked: str = "", moves: bool = True
) -> HttpResponse:
    """The page, or the part of it that htmx asks for by the name of what it replaces. `asked` is what it was asked
    for beside its token and look, as a query string; what `moves` no more need not be asked for again."""
    kept = urlencode(request.kept)
    context |= {"kept": kept, "again": f"{request.path}?{'&'.join(filter(None, (kept, asked)))}"}
    target = request.htmx.target if request.htmx else None
    if target == "live":
        status = 200 if moves else HttpResponseStopPolling.status_code
        return render(request, f"portal/embed/_{name}.html", context, status=status)
    # The one with choices on it is all that has this part.
    part = "#embed" if target == "embed" and name == View.USAGE else ""
    return render(request, f"portal/embed/{name}.html{part}", context)
