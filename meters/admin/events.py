from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString, mark_safe

from meters import event_log
from meters.admin.base import ModelAdmin, ReadOnly, chip, link, number, require
from meters.admin.event_search import EventSearch, token_of
from meters.admin.voids import may_void, unvoid_page, void_page
from meters.models import Event
from meters.retention import retired_before

PER_PAGE = 50


@admin.register(Event)
class EventAdmin(ReadOnly, ModelAdmin[Event]):
    """The events as they came in, a page at a time, by the one search that the API has too."""

    change_form_template = "admin/meters/event/change_form.html"
    readonly_fields = [
        "event_id",
        "state",
        "time",
        "received",
        "customer_link",
        "meter_link",
        "amount",
        "dimension_text",
        "sequence",
    ]
    fields = [*readonly_fields]
    list_select_related = ["customer", "meter", "dimension_set", "void"]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("void/", view(self.void_view), name="meters_event_void"),
            path("unvoid/", view(self.unvoid_view), name="meters_event_unvoid"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(self.has_view_permission(request))
        search = EventSearch(request.GET)
        page = event_log.EventPage([], None, None)
        wrong_cursor = False
        if search.is_valid():
            try:
                page = event_log.page(search.query, limit=PER_PAGE, cursor=request.GET.get("cursor"))
            except ValidationError:
                wrong_cursor = True
        asked = request.GET.copy()
        asked.pop("cursor", None)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Events",
            "search": search,
            "asked": asked.urlencode(),
            "rows": [(event, token_of(event), number(event.value), state_of(event)) for event in page.events],
            "wrong_cursor": wrong_cursor,
            "retired_before": retired_before(),
            "newer": _address(asked, page.previous),
            "older": _address(asked, page.next),
            "may_void": may_void(request),
            "may_void_all": may_void(request) and search.is_valid() and search.is_narrow,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/meters/event/change_list.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        event = self.get_object(request, object_id)
        if event is not None and may_void(request):
            name = "unvoid" if event.void_id else "void"
            query = urlencode({"event": token_of(event)})
            address = {"change_address": f"{reverse(f'admin:meters_event_{name}')}?{query}", "change_name": name}
            extra_context = {**address, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra_context)

    def void_view(self, request: HttpRequest) -> HttpResponse:
        return void_page(self, request)

    def unvoid_view(self, request: HttpRequest) -> HttpResponse:
        return unvoid_page(self, request)

    @admin.display(description="state")
    def state(self, event: Event) -> SafeString:
        if event.void:
            record = link(reverse("admin:meters_voidrecord_change", args=[event.void_id]), event.void)
            return format_html("{} {}: {}", state_of(event), record, event.void.reason)
        return state_of(event)

    @admin.display(description="time (UTC)")
    def time(self, event: Event) -> str:
        return f"{event.occurred_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="received (UTC)")
    def received(self, event: Event) -> str:
        return f"{event.received_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="value")
    def amount(self, event: Event) -> str:
        return number(event.value)

    @admin.display(description="dimensions")
    def dimension_text(self, event: Event) -> str:
        return ", ".join(f"{name}={value}" for name, value in event.dimensions.items())

    @admin.display(description="customer")
    def customer_link(self, event: Event) -> SafeString:
        return link(reverse("admin:meters_customer_change", args=[event.customer_id]), event.customer)

    @admin.display(description="meter")
    def meter_link(self, event: Event) -> SafeString:
        return link(reverse("admin:meters_meter_change", args=[event.meter_id]), event.meter)


def state_of(event: Event) -> SafeString:
    if event.void_id:
        return chip("Voided", "bad")
    if not event_log.in_filter(event):
        return chip("Outside of the meter's filter", "quiet")
    # Nearly all do: said quietly.
    return mark_safe('<span class="quiet">Counts</span>')


def _address(asked: Any, cursor: str | None) -> str:
    """The list from there on; empty where there is nothing."""
    if cursor is None:
        return ""
    query = asked.copy()
    query["cursor"] = cursor
    return f"?{query.urlencode()}"
