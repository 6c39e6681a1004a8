"""A customer's statement in the admin: the page, its PDF and its CSV."""

import csv
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.http import urlencode

from invoices.papers.pdf import pdf_of
from invoices.papers.statement_paper import statement_paper
from invoices.statements.query import StatementQuery
from invoices.statements.rows import csv_rows, file_name
from invoices.statements.running_bills import RunningBills, credits_words, running_bills
from invoices.statements.statement import Statement, headline_of, statement_of
from meters.admin.base import instant, require
from meters.models import Customer
from meters.words import day_words, period_words
from pricing.money import format_money, format_quantity


class StatementPage:
    """For the admin of customers."""

    def get_urls(self: Any) -> list[Any]:
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/statement/", view(self.statement_view), name="meters_customer_statement"),
            path("<int:pk>/statement.<str:ending>", view(self.statement_file_view), name="meters_customer_paper"),
        ]
        return [*own, *super().get_urls()]  # type: ignore[misc]

    def statement_view(self: Any, request: HttpRequest, pk: int) -> HttpResponse:
        customer, form = self._asked(request, pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Statement",
            "subtitle": str(customer),
            "customer": customer,
            "form": form,
        }
        if form.currencies and form.is_valid():
            context |= _shown(*_read(customer, form))
            context |= {"query": urlencode(form.cleaned_data), "title": f"Statement of {form.period_words}"}
        return TemplateResponse(request, "admin/invoices/customer/statement.html", context)

    def statement_file_view(self: Any, request: HttpRequest, pk: int, ending: str) -> HttpResponse:
        customer, form = self._asked(request, pk)
        if ending not in ("csv", "pdf") or not form.currencies or not form.is_valid():
            return HttpResponse("There is no such statement.", status=404, content_type="text/plain; charset=utf-8")
        statement, running = _read(customer, form)
        name = file_name(form.cleaned_data["period"], statement.currency, ending)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        if ending == "pdf":
            paper = pdf_of(statement_paper(statement, running))
            return HttpResponse(paper, content_type="application/pdf", headers=headers)
        response = HttpResponse(content_type="text/csv; charset=utf-8; header=present", headers=headers)
        csv.writer(response).writerows(csv_rows(statement))
        return response

    def _asked(self: Any, request: HttpRequest, pk: int) -> tuple[Customer, StatementQuery]:
        require(may_see(request))
        customer = get_object_or_404(Customer.objects.select_related("billing_profile"), pk=pk)
        return customer, StatementQuery(request.GET.dict(), customer=customer, now=timezone.now())


def may_see(request: HttpRequest) -> bool:
    may = request.user.has_perm
    return may("meters.view_customer") and may("invoices.view_invoice")


def _read(customer: Customer, form: StatementQuery) -> tuple[Statement, RunningBills]:
    now = timezone.now()
    period, currency = form.chosen_period, form.cleaned_data["currency"]
    statement = statement_of(customer, currency, period, now=now)
    return statement, running_bills(customer, currency, now=now, until=period.end)


def _shown(statement: Statement, running: RunningBills) -> dict[str, Any]:
    """Everything as text: the page formats nothing."""

    def money(amount: Any) -> str:
        return format_money(amount, statement.currency)

    return {
        "statement": statement,
        "headline": headline_of(statement),
        "period": f"{period_words(statement.period, statement.zone)}, days of {statement.zone.key}",
        "first": (day_words(statement.first_day), money(statement.opening)),
        "last": (day_words(statement.last_day), money(statement.closing)),
        "sums": [(words, money(amount)) for words, amount in statement.sums],
        "entries": [(one, day_words(one.day), money(one.amount), money(one.balance)) for one in statement.entries],
        "as_of": instant(running.as_of),
        "bills": [
            (
                bill,
                period_words(bill.invoice.period, bill.invoice.zone),
                money(bill.invoice.total),
                [
                    (one, "" if one.quantity is None else format_quantity(one.quantity), money(one.line.amount))
                    for one in bill.lines
                ],
            )
            for bill in running.bills
        ],
        "total": money(running.total),
        "paid": money(running.credits.copy_negate()) if running.credits else "",
        "left": money(running.left),
        "credits_left": credits_words(running, statement.zone),
    }
