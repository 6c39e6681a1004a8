"""What should have been paid: the filter of the invoice list, and a page of its own."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from invoices.models import Invoice
from invoices.settling.settlement import days_over, local_day, overdue
from meters.admin.base import require
from meters.words import day_words
from pricing.admin.form_page import list_crumb
from pricing.money import format_money, total_of

PAGE = 100


class OverdueFilter(admin.SimpleListFilter):
    title = "payment"
    parameter_name = "payment"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("overdue", "Overdue"), *Invoice.PaymentStatus.choices]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        if self.value() == "overdue":
            return overdue(queryset, timezone.now())
        if self.value() in Invoice.PaymentStatus.values:
            return queryset.filter(status=Invoice.Status.FINAL, payment_status=self.value())
        return queryset


@dataclass(frozen=True, slots=True)
class OverdueRow:
    invoice: Invoice
    due: str
    days: int
    amount: str


class OverduePage:
    """For the admin of invoices."""

    def overdue_view(self: Any, request: HttpRequest) -> HttpResponse:
        require(self.has_view_permission(request))
        now = timezone.now()
        invoices = overdue(Invoice.objects.select_related("customer"), now).order_by("due_on", "id")
        page = Paginator(invoices, PAGE).get_page(request.GET.get("page"))
        rows = [
            OverdueRow(
                invoice,
                day_words(invoice.due_on) if invoice.due_on else "",
                days_over(invoice, local_day(invoice, now)),
                format_money(invoice.amount_due, invoice.currency),
            )
            for invoice in page.object_list
        ]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Overdue",
            "crumbs": [list_crumb(Invoice)],
            "page": page,
            "rows": rows,
            "sums": _sums(invoices),
        }
        return TemplateResponse(request, "admin/invoices/invoice/overdue.html", context)


def _sums(invoices: "QuerySet[Invoice]") -> list[str]:
    """What is due of all of them, by currency."""
    due = F("total") - F("credits_applied") - F("credited") - F("paid") - F("written_off")
    found: dict[str, list[Decimal]] = defaultdict(list)
    for currency, amount in invoices.order_by().values_list("currency", due):
        found[currency].append(amount)
    return [format_money(total_of(amounts), currency) for currency, amounts in sorted(found.items())]
