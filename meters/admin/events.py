from functools import cached_property
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from meters.admin.base import ModelAdmin, ReadOnly, link, number
from meters.admin.event_search import MOST, EventSearch
from meters.models import Event


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages through the first MOST rows; how many more there are would take reading them all."""

    @cached_property
    def count(self) -> int:
        found: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return found.order_by()[:MOST].count()


class EventChangeList(ChangeList):
    """Filtered by a search form in place of Django's filters, which would read all values of a column."""

    search: EventSearch

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        all_params = super().get_filters_params(params)
        return {name: value for name, value in all_params.items() if name not in EventSearch.base_fields}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> "QuerySet[Any]":
        self.search = EventSearch(request.GET)
        return self.search.events(super().get_queryset(request, exclude_parameters))


@admin.register(Event)
class EventAdmin(ReadOnly, ModelAdmin[Event]):
    """The events as they came in. Callables as columns, so that none can be sorted by: no index would serve it."""

    list_display = ["time", "customer_key", "meter_key", "amount", "dimension_text", "event_id"]
    list_display_links = ["time"]
    list_select_related = ["customer", "meter", "dimension_set"]
    paginator = BoundedPaginator
    show_full_result_count = False
    readonly_fields = [
        "event_id",
        "time",
        "received",
        "customer_link",
        "meter_link",
        "amount",
        "dimension_text",
        "sequence",
    ]
    fields = [*readonly_fields]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EventChangeList

    @admin.display(description="time (UTC)")
    def time(self, event: Event) -> str:
        return f"{event.occurred_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="received (UTC)")
    def received(self, event: Event) -> str:
        return f"{event.received_at:%Y-%m-%d %H:%M:%S}"

    @admin.display(description="customer")
    def customer_key(self, event: Event) -> str:
        return str(event.customer.key)

    @admin.display(description="meter")
    def meter_key(self, event: Event) -> str:
        return str(event.meter.key)

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
