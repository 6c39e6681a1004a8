"""The customer page, extended by what customers owe for the running period."""

from typing import Any

from django.contrib import admin
from django.db.models import Prefetch, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from invoices.admin.credit_panel import credit_panel
from invoices.admin.statement_page import StatementPage
from invoices.models import Invoice, InvoiceLine
from meters.admin.customers import Link
from meters.models import Customer
from pricing.admin.customers import AssignedCustomerAdmin
from pricing.money import format_money

admin.site.unregister(Customer)


@admin.register(Customer)
class BilledCustomerAdmin(StatementPage, AssignedCustomerAdmin):
    list_display = ["key", "name", "plans", "charges", "source", "created"]
    change_form_template = "admin/invoices/customer_change_form.html"

    def get_list_display(self, request: HttpRequest) -> Any:
        may_see = request.user.has_perm("invoices.view_invoice")
        return [name for name in self.list_display if may_see or name != "charges"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Customer]":
        live = Invoice.objects.filter(status=Invoice.Status.OPEN).order_by("period_start", "pk")
        return super().get_queryset(request).prefetch_related(Prefetch("invoices", live, to_attr="open_invoices"))

    @admin.display(description="charges so far")
    def charges(self, customer: Any) -> SafeString:
        return format_html_join(
            ", ",
            '<a href="{}">{}</a>',
            (
                (
                    reverse("admin:invoices_invoice_change", args=[invoice.pk]),
                    format_money(invoice.total, invoice.currency),
                )
                for invoice in customer.open_invoices
            ),
        )

    def taken_off(self, request: HttpRequest, customer: Customer) -> dict[int, str] | None:
        if not request.user.has_perm("invoices.view_invoice"):
            return None
        lines = InvoiceLine.objects.filter(invoice__customer=customer, promotion__isnull=False)
        sums = lines.exclude(invoice__status=Invoice.Status.VOID).values_list("promotion", "invoice__currency")
        found: dict[int, list[str]] = {}
        for promotion, currency, amount in sums.annotate(Sum("amount")).order_by("promotion", "invoice__currency"):
            found.setdefault(promotion, []).append(format_money(-amount, currency))
        return {promotion: ", ".join(amounts) for promotion, amounts in found.items()}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        customer = self.get_object(request, object_id)
        context = {"credits": credit_panel(request, customer)} if customer else {}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def links(self, customer: Customer) -> list[Link]:
        url = reverse("admin:invoices_invoice_changelist")
        statement = reverse("admin:meters_customer_statement", args=[customer.pk])
        of_it = f"?customer__id__exact={customer.pk}"
        alerts = reverse("admin:invoices_alert_changelist")
        more = [("Invoices", f"{url}{of_it}"), ("Statement", statement), ("Alerts", f"{alerts}{of_it}")]
        return [*super().links(customer), *more]
