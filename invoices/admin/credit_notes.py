"""Credit notes, to look at: they are issued on the page of an invoice, and never change."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from invoices.admin.papers import CreditNotePapers
from invoices.models import CreditNote
from invoices.settling.note_taxes import taxes_of
from meters.admin.base import ModelAdmin, ReadOnly, instant, link
from pricing.money import format_money


@admin.register(CreditNote)
class CreditNoteAdmin(CreditNotePapers, ReadOnly, ModelAdmin[CreditNote]):
    list_display = ["number", "invoice_link", "customer", "amount", "issued", "reason"]
    list_select_related = ["invoice__customer"]
    list_per_page = 50
    show_full_result_count = False
    search_fields = ["number", "invoice__number", "invoice__customer__key", "invoice__customer__name"]
    search_help_text = "Number, invoice or customer"
    change_form_template = "admin/invoices/creditnote/change_form.html"
    readonly_fields = ["number", "invoice_link", "customer_link", "issued", "reason", "by"]
    fields = ["number", "invoice_link", "customer_link", "issued", "reason", "by"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[CreditNote]":
        return super().get_queryset(request).select_related("invoice__customer")

    @admin.display(description="invoice", ordering="invoice__number")
    def invoice_link(self, note: CreditNote) -> SafeString:
        return link(reverse("admin:invoices_invoice_change", args=[note.invoice_id]), note.invoice)

    @admin.display(description="customer", ordering="invoice__customer__key")
    def customer(self, note: CreditNote) -> str:
        return str(note.invoice.customer)

    @admin.display(description="customer")
    def customer_link(self, note: CreditNote) -> SafeString:
        customer = note.invoice.customer
        return link(reverse("admin:meters_customer_change", args=[customer.pk]), customer)

    @admin.display(description="total", ordering="total")
    def amount(self, note: CreditNote) -> str:
        return format_money(note.total, note.invoice.currency)

    @admin.display(description="issued", ordering="issued_at")
    def issued(self, note: CreditNote) -> str:
        return instant(note.issued_at)

    @admin.display(description="issued by")
    def by(self, note: CreditNote) -> str:
        return note.actor or "Tollmeter"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        note = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if note is not None:
            currency = note.invoice.currency
            charges = [line for line in note.lines.all() if not line.is_tax]
            context = {
                "charges": [(line, format_money(line.amount, currency)) for line in charges],
                "taxes": [
                    (line, rate, format_money(line.amount, currency)) for line, rate in taxes_of(note, note.invoice)
                ],
                "subtotal": format_money(note.subtotal, currency),
                "total": format_money(note.total, currency),
            }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})
