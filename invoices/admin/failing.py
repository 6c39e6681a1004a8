"""Work that fails, for staff: what it is, why, and having it tried again."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from invoices.failing import parked, try_again
from invoices.models import FailingWork
from meters.admin.base import ModelAdmin, ReadOnly, chip, instant

Kind = FailingWork.Kind
# The page of what it is about; events of the outbox have none.
PAGES = {
    Kind.ONBOARD: "admin:meters_customer_change",
    Kind.RERATE: "admin:meters_customer_change",
    Kind.EXPIRE: "admin:meters_customer_change",
    Kind.FOLLOW_CREDIT: "admin:meters_customer_change",
    Kind.OPEN: "admin:pricing_assignment_change",
    Kind.RECALCULATE: "admin:invoices_invoice_change",
    Kind.CLOSE: "admin:invoices_invoice_change",
}


class IsParked(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("parked", "Parked"), ("again", "Tried again by itself")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[FailingWork]") -> "QuerySet[FailingWork]":
        if self.value() in ("parked", "again"):
            return queryset.filter(next_try_at__isnull=self.value() == "parked")
        return queryset


@admin.register(FailingWork)
class FailingWorkAdmin(ReadOnly, ModelAdmin[FailingWork]):
    list_display = ["work", "about", "state", "tries", "first", "last", "error"]
    list_display_links = None
    list_filter = [IsParked, "kind"]
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    actions = ["try_selected_again"]

    def has_try_permission(self, request: HttpRequest) -> bool:
        """Nobody changes it by hand; who has Django's "change" may have it tried again."""
        return request.user.has_perm("invoices.change_failingwork")

    @admin.display(description="what", ordering="kind")
    def work(self, row: FailingWork) -> str:
        return str(row.get_kind_display())

    @admin.display(description="about", ordering="object_id")
    def about(self, row: FailingWork) -> SafeString | str:
        page = PAGES.get(Kind(row.kind))
        if page is None:
            return f"event {row.object_id}"
        noun = page.split("_")[-2]
        return format_html('<a href="{}">{} {}</a>', reverse(page, args=[row.object_id]), noun, row.object_id)

    @admin.display(description="state", ordering="next_try_at")
    def state(self, row: FailingWork) -> SafeString | str:
        return chip("Parked", "bad") if row.is_parked else f"Next try {instant(row.next_try_at)}"

    @admin.display(description="first failed", ordering="first_at")
    def first(self, row: FailingWork) -> str:
        return instant(row.first_at)

    @admin.display(description="last failed", ordering="last_at")
    def last(self, row: FailingWork) -> str:
        return instant(row.last_at)

    @admin.action(description="Try again", permissions=["try"])
    def try_selected_again(self, request: HttpRequest, queryset: "QuerySet[FailingWork]") -> None:
        rows = list(queryset.order_by("pk")[:1000])
        for row in rows:
            self.log_change(request, row, "Tried again.")
        try_again(FailingWork.objects.filter(pk__in=[row.pk for row in rows]))
        self.message_user(request, f"To be tried again within seconds: {len(rows)}.", messages.SUCCESS)


def parked_words(request: HttpRequest) -> str:
    """ "3 pieces of work are parked.", for who may see them; empty where there are none."""
    if not request.user.has_perm("invoices.view_failingwork"):
        return ""
    count = parked().count()
    return f"{count:,} {'piece of work is' if count == 1 else 'pieces of work are'} parked." if count else ""
