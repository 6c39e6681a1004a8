""" "View as this customer": begun from the pages of a customer and of an invoice, and listed for staff to see."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from invoices.admin.customers import BilledCustomerAdmin
from invoices.admin.invoices import InvoiceAdmin
from invoices.models import Invoice
from meters.admin.base import ModelAdmin, ReadOnly, chip, instant, require
from meters.models import Customer
from portal.access import visible_invoices
from portal.guests.looking_on import end_look, may_look, start_look
from portal.guests.seeing import LOOK_KEY, forget_guest, look_of
from portal.models import StaffView
from portal.people.addresses import address_of

admin.site.unregister(Customer)
admin.site.unregister(Invoice)


@admin.register(Customer)
class SeenCustomerAdmin(BilledCustomerAdmin):
    change_form_template = "admin/portal/customer_change_form.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"may_look": may_look(request.user), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)


@admin.register(Invoice)
class SeenInvoiceAdmin(InvoiceAdmin):
    change_form_template = "admin/portal/invoice_change_form.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"may_look": may_look(request.user), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)


@admin.register(StaffView)
class StaffViewAdmin(ReadOnly, ModelAdmin[StaffView]):
    list_display = ["staff_name", "customer", "began", "started_from", "until", "how"]
    list_filter = ["end"]
    list_select_related = ["customer"]
    search_fields = ["staff_name", "customer__key", "customer__name"]
    date_hierarchy = "started_at"
    show_full_result_count = False
    fields = ["staff_name", "customer", "began", "started_from", "came_from", "seen", "until", "how"]
    readonly_fields = ["began", "seen", "until", "how"]

    @admin.display(description="began", ordering="started_at")
    def began(self, look: StaffView) -> str:
        return instant(look.started_at)

    @admin.display(description="last seen")
    def seen(self, look: StaffView) -> str:
        return instant(look.last_seen_at)

    @admin.display(description="until", ordering="ends_at")
    def until(self, look: StaffView) -> str:
        return instant(look.ended_at or look.ends_at)

    @admin.display(description="end")
    def how(self, look: StaffView) -> SafeString:
        if look.ended_at is not None:
            return chip(look.get_end_display(), "quiet")
        # Nobody may have asked for anything since its time was up.
        is_over = look.ends_at <= timezone.now()
        return chip(StaffView.End.TIME.label, "quiet") if is_over else chip("Goes on", "busy")

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("customers/<int:pk>/", wrap(self.look_at_customer), name="portal_look_customer"),
            path("invoices/<int:pk>/", wrap(self.look_at_invoice), name="portal_look_invoice"),
            *super().get_urls(),
        ]

    def look_at_customer(self, request: HttpRequest, pk: int) -> HttpResponse:
        require(may_look(request.user))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        customer = get_object_or_404(Customer, pk=pk)
        _start(request, customer, reverse("admin:meters_customer_change", args=[pk]))
        return redirect("portal:overview")

    def look_at_invoice(self, request: HttpRequest, pk: int) -> HttpResponse:
        require(may_look(request.user))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        invoice = get_object_or_404(Invoice.objects.select_related("customer"), pk=pk)
        _start(request, invoice.customer, reverse("admin:invoices_invoice_change", args=[pk]))
        if visible_invoices(invoice.customer).filter(pk=pk).exists():
            return redirect("portal:invoice", pk)
        return redirect("portal:invoices")


def _start(request: HttpRequest, customer: Customer, came_from: str) -> None:
    assert isinstance(request.user, User)
    now = timezone.now()
    if earlier := look_of(request):
        end_look(earlier, StaffView.End.ANOTHER, now=now)
    forget_guest(request)
    look = start_look(staff=request.user, customer=customer, address=address_of(request), came_from=came_from, now=now)
    request.session[LOOK_KEY] = look.pk
