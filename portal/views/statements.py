"""What was owed and what came of it, by currency; and what runs now."""

import csv
from datetime import datetime

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from invoices.papers.pdf import pdf_of
from invoices.papers.statement_paper import statement_paper
from invoices.seller import seller_now
from invoices.statements.query import StatementQuery
from invoices.statements.rows import csv_rows, file_name
from invoices.statements.running_bills import RunningBills, credits_words, running_bills
from invoices.statements.statement import Statement, headline_of, statement_of
from portal.access import PortalRequest, for_customer


@require_safe
@for_customer
def statement(request: PortalRequest) -> HttpResponse:
    now = timezone.now()
    form = StatementQuery(request.GET.dict(), customer=request.customer, now=now)
    if not form.currencies:
        return render(request, "portal/statement.html", {"form": None})
    if not form.is_valid():
        return render(request, "portal/statement.html", {"form": form}, status=422)
    found, running = _read(request, form, now)
    context = {
        "form": form,
        "seller": seller_now(),
        "statement": found,
        "running": running,
        "credits": credits_words(running, found.zone),
        "headline": headline_of(found),
        "query": urlencode(form.cleaned_data),
    }
    return render(request, "portal/statement.html", context)


@require_safe
@for_customer
def statement_csv(request: PortalRequest) -> HttpResponse:
    now = timezone.now()
    form = StatementQuery(request.GET.dict(), customer=request.customer, now=now)
    if not form.currencies or not form.is_valid():
        return _refused(form)
    found, _ = _read(request, form, now)
    response = HttpResponse(content_type="text/csv; charset=utf-8; header=present", headers=_attached(form, "csv"))
    csv.writer(response).writerows(csv_rows(found))
    return response


@require_safe
@for_customer
def statement_pdf(request: PortalRequest) -> HttpResponse:
    now = timezone.now()
    form = StatementQuery(request.GET.dict(), customer=request.customer, now=now)
    if not form.currencies or not form.is_valid():
        return _refused(form)
    found, running = _read(request, form, now)
    return HttpResponse(
        pdf_of(statement_paper(found, running)), content_type="application/pdf", headers=_attached(form, "pdf")
    )


def _read(request: PortalRequest, form: StatementQuery, now: datetime) -> tuple[Statement, RunningBills]:
    period, currency = form.chosen_period, form.cleaned_data["currency"]
    return (
        statement_of(request.customer, currency, period, now=now),
        running_bills(request.customer, currency, now=now, until=period.end),
    )


def _refused(form: StatementQuery) -> HttpResponse:
    text = form.errors.as_text() if form.currencies else "There are no invoices yet."
    return HttpResponse(text, status=422, content_type="text/plain; charset=utf-8")


def _attached(form: StatementQuery, ending: str) -> dict[str, str]:
    name = file_name(form.cleaned_data["period"], form.cleaned_data["currency"], ending)
    return {"Content-Disposition": f'attachment; filename="{name}"'}
