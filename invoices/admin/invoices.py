from datetime import date, timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import DateField, Exists, F, Func, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from invoices.addressee import addressee_of
from invoices.admin.credit_panel import invoice_credits
from invoices.admin.holding import ACTIONS, do_hold, holding_panel
from invoices.admin.invoice_page import audit_trail, page_of
from invoices.admin.line_page import LinePages
from invoices.admin.overdue_page import OverdueFilter, OverduePage
from invoices.admin.papers import InvoicePapers
from invoices.admin.settling import STATE_CHIPS, SettlingPages, settling_panel
from invoices.admin.settling_forms import FORMS
from invoices.due import lacks_approval, overtaken
from invoices.models import Invoice, InvoiceLine
from invoices.services import recalculate
from invoices.settling.settlement import local_day
from invoices.states import money_state
from meters.admin.base import ModelAdmin, ReadOnly, chip, instant, link, require
from meters.periods import next_month
from meters.words import period_words
from pricing.money import format_money

CHIPS = {
    Invoice.Status.OPEN: "busy",
    Invoice.Status.GRACE: "busy",
    Invoice.Status.FINAL: "good",
    Invoice.Status.VOID: "quiet",
}
MONTHS_LISTED = 12


class MonthFilter(admin.SimpleListFilter):
    """The month of a period, in the invoice's own time zone; a date hierarchy would take it in UTC."""

    title = "month"
    parameter_name = "month"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        month = timezone.localdate().replace(day=1)
        months = []
        for _ in range(MONTHS_LISTED):
            months.append((f"{month:%Y-%m}", f"{month:%B %Y}"))
            month = (month - timedelta(days=1)).replace(day=1)
        return months

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        if self.value() not in dict(self.lookup_choices):
            return queryset
        first = date.fromisoformat(f"{self.value()}-01")
        local_day = Func(
            F("time_zone"), F("period_start"), template="timezone(%(expressions)s)::date", output_field=DateField()
        )
        found: QuerySet[Any] = queryset.annotate(local_day=local_day)
        return found.filter(local_day__gte=first, local_day__lt=next_month(first))


class UnpricedFilter(admin.SimpleListFilter):
    title = "unpriced usage"
    parameter_name = "unpriced"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "Has unpriced usage")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        return queryset.filter(has_unpriced=True) if self.value() == "1" else queryset


class WaitingFilter(admin.SimpleListFilter):
    """What becomes final only once staff have done something."""

    title = "waits for"
    parameter_name = "waits"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("release", "Release: it is held"), ("approval", "Approval")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        match self.value():
            case "release":
                return queryset.filter(is_held=True)
            case "approval":
                return queryset.filter(is_to_approve=True)
        return queryset


@admin.register(Invoice)
class InvoiceAdmin(InvoicePapers, LinePages, OverduePage, SettlingPages, ReadOnly, ModelAdmin[Invoice]):
    list_display = ["label", "customer", "amount", "statuses", "period", "updated"]
    list_display_links = ["label"]
    list_filter = ["status", OverdueFilter, WaitingFilter, MonthFilter, UnpricedFilter]
    list_select_related = ["customer"]
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["number", "customer__key", "customer__name"]
    search_help_text = "Number or customer"
    actions = ["recalculate_selected"]
    change_form_template = "admin/invoices/invoice/change_form.html"
    readonly_fields = ["customer_link", "written_to", "plan_link", "period_in_zone", "status_chip", "amount"]
    readonly_fields += ["counted_until", "computed", "closing", "finalized", "usage_version"]

    def get_fieldsets(self, request: HttpRequest, obj: Invoice | None = None) -> Any:
        last = "closing" if obj is not None and obj.is_live else "finalized"
        shown = ["customer_link", "written_to", "plan_link", "period_in_zone", "status_chip", "amount"]
        return [
            (None, {"fields": [*shown, "counted_until", "computed", last]}),
            ("For support", {"fields": ["usage_version"], "classes": ["collapse"]}),
        ]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Invoice]":
        unpriced = InvoiceLine.objects.filter(invoice=OuterRef("pk"), kind=InvoiceLine.Kind.UNPRICED)
        live = Q(status__in=Invoice.LIVE)
        return (
            super()
            .get_queryset(request)
            .select_related("customer", "assignment", "plan_version__plan")
            .annotate(has_unpriced=Exists(unpriced), is_behind=live & overtaken())
            .annotate(is_held=live & Q(held_at__isnull=False), lacks_approval=live & lacks_approval())
            .annotate(is_to_approve=Q(lacks_approval=True, period_end__lte=timezone.now()))
        )

    def has_recalculate_permission(self, request: HttpRequest) -> bool:
        """Nobody changes an invoice by hand; who has Django's "change" may have it computed anew."""
        return request.user.has_perm("invoices.change_invoice")

    @admin.display(description="invoice", ordering="number")
    def label(self, invoice: Invoice) -> str:
        return invoice.number or "Estimate"

    @admin.display(description="period", ordering="period_start")
    def period(self, invoice: Invoice) -> str:
        return period_words(invoice.period, invoice.zone)

    @admin.display(description="status", ordering="status")
    def status_chip(self, invoice: Invoice) -> SafeString:
        return chip(str(invoice.get_status_display()), CHIPS[Invoice.Status(invoice.status)])

    @admin.display(description="total", ordering="total")
    def amount(self, invoice: Invoice) -> str:
        return format_money(invoice.total, invoice.currency)

    @admin.display(description="status", ordering="status")
    def statuses(self, invoice: Any) -> SafeString:
        """The status, and beside it how it is paid, what it waits for and whether some usage has no price."""
        shown = [self.status_chip(invoice)]
        if invoice.status == Invoice.Status.FINAL:
            state = money_state(invoice, local_day(invoice, timezone.now()))
            shown.append(chip(state.words, STATE_CHIPS[state.kind]))
        for applies, label, kind in (
            (invoice.is_held, "Held", "bad"),
            (invoice.is_to_approve, "To approve", "bad"),
            (invoice.has_unpriced, "Unpriced", "bad"),
        ):
            shown += [chip(label, kind)] if applies else []
        return format_html_join(" ", "{}", ([part] for part in shown))

    @admin.display(description="updated", ordering="computed_at")
    def updated(self, invoice: Invoice) -> str:
        return instant(invoice.computed_at)

    @admin.display(description="period")
    def period_in_zone(self, invoice: Invoice) -> str:
        return f"{self.period(invoice)}, days of {invoice.time_zone}"

    @admin.display(description="counts usage received until")
    def counted_until(self, invoice: Any) -> str:
        if invoice.usage_at is None and not invoice.is_behind:
            return "no usage yet"
        exact = f"{instant(invoice.usage_at)}: exact up to usage version {invoice.usage_version}"
        return f"{exact}. Newer usage, or another change, waits to be worked in" if invoice.is_behind else exact

    @admin.display(description="computed at")
    def computed(self, invoice: Invoice) -> str:
        return instant(invoice.computed_at) or "not yet"

    @admin.display(description="grace time ends at")
    def closing(self, invoice: Any) -> str:
        waits = invoice.is_held or invoice.lacks_approval
        return f"{instant(invoice.closes_at)}; late usage counts until {'it is final' if waits else 'then'}"

    @admin.display(description="final since")
    def finalized(self, invoice: Invoice) -> str:
        return instant(invoice.finalized_at) or "-"

    @admin.display(description="customer")
    def customer_link(self, invoice: Invoice) -> SafeString:
        return link(reverse("admin:meters_customer_change", args=[invoice.customer_id]), invoice.customer)

    @admin.display(description="billed to")
    def written_to(self, invoice: Invoice) -> SafeString:
        """The head of the invoice, a line for each part that it has."""
        to = addressee_of(invoice)
        tax_id = f"Tax ID {to.tax_id}" if to.tax_id else ""
        parts = [part for part in (to.name, *to.address.splitlines(), tax_id, to.note) if part]
        return format_html_join("", "{}<br>", ([part] for part in parts))

    @admin.display(description="plan")
    def plan_link(self, invoice: Invoice) -> SafeString:
        return link(
            reverse("admin:pricing_plan_change", args=[invoice.plan_version.plan_id]), str(invoice.plan_version)
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        invoice: Any = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if invoice is not None:
            may = invoice.is_live and self.has_recalculate_permission(request)
            context = {
                "page": page_of(invoice),
                "settling": settling_panel(invoice, request),
                "events": audit_trail(invoice),
                "may_recalculate": may,
                "credits": invoice_credits(request, invoice),
                "waiting": holding_panel(invoice, lacks_approval=invoice.lacks_approval, may=may),
            }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    # --- Computing anew ---

    def get_urls(self) -> list[Any]:
        view, held = self.admin_site.admin_view(self.recalculate_view), self.admin_site.admin_view(self.holding_view)
        return [
            path("<int:pk>/recalculate/", view, name="invoices_invoice_recalculate"),
            *(
                path(f"<int:pk>/{action}/", held, {"action": action}, name=f"invoices_invoice_{action}")
                for action in ACTIONS
            ),
            path("overdue/", self.admin_site.admin_view(self.overdue_view), name="invoices_invoice_overdue"),
            *(
                path(
                    f"<int:pk>/{action}/",
                    self.admin_site.admin_view(self.settling_view),
                    {"action": action},
                    name=f"invoices_invoice_{action}",
                )
                for action in FORMS
            ),
            *super().get_urls(),
        ]

    def holding_view(self, request: HttpRequest, pk: int, action: str) -> HttpResponse:
        require(self.has_recalculate_permission(request))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        do_hold(self, request, get_object_or_404(Invoice, pk=pk), action)
        return HttpResponseRedirect(reverse("admin:invoices_invoice_change", args=[pk]))

    def recalculate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        require(self.has_recalculate_permission(request))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self._recalculate(request, [get_object_or_404(Invoice, pk=pk)])
        return HttpResponseRedirect(reverse("admin:invoices_invoice_change", args=[pk]))

    @admin.action(description="Recalculate", permissions=["recalculate"])
    def recalculate_selected(self, request: HttpRequest, queryset: "QuerySet[Invoice]") -> None:
        self._recalculate(request, list(queryset[:1000]))

    def _recalculate(self, request: HttpRequest, invoices: list[Invoice]) -> None:
        live = [invoice for invoice in invoices if invoice.is_live]
        changed = sum(recalculate(invoice.pk) for invoice in live)
        if live:
            text = f"Recalculated: {len(live)}. Lines changed: {changed}."
            self.message_user(request, text, messages.SUCCESS)
        if left := len(invoices) - len(live):
            text = f"Left alone, because final and void invoices never change: {left}."
            self.message_user(request, text, messages.WARNING)
