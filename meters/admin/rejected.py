"""What events were refused for in the last days, so that a wrong integration is found in a minute."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from meters.admin.base import ModelAdmin, ReadOnly, instant, link
from meters.admin.fields import is_storable
from meters.models import Meter, RejectedEvent
from meters.periods import read_day
from meters.words import day_words

RECENT = timedelta(hours=24)
NAMED = 3  # reasons in the hint

REASONS = {
    "unknown_meter": "Unknown meter",
    "unknown_customer": "Unknown customer",
    "forbidden_customer": "Customer of another API key",
    "missing_dimension": "Dimension missing",
    "invalid": "Not a valid event",
    "conflict": "Id sent before with other content",
    "too_old": "Too old",
    "too_far_ahead": "Too far ahead",
}


def reason(code: str) -> str:
    """The code in words; one that has none here reads well enough as it is: "Too many dimensions"."""
    return REASONS.get(code) or code.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Refusals:
    """What the hint says: the reasons of the last 24 hours, the latest first, and how many more there are."""

    reasons: tuple[str, ...]
    more: int
    url: str


def recent_refusals(request: HttpRequest) -> Refusals | None:
    """For the hint on the front page and the list of meters; None where there are none, or are not to be seen."""
    if not request.user.has_perm("meters.view_rejectedevent"):
        return None
    recent = RejectedEvent.objects.filter(last_at__gte=timezone.now() - RECENT).values_list("code", "meter")
    said = (f"{reason(code).lower()} ({meter})" if meter else reason(code).lower() for code, meter in recent[:200])
    reasons = list(dict.fromkeys(said))
    if not reasons:
        return None
    url = reverse("admin:meters_rejectedevent_changelist")
    return Refusals(tuple(reasons[:NAMED]), max(len(reasons) - NAMED, 0), url)


class CodeFilter(admin.SimpleListFilter):
    title = "reason"
    parameter_name = "code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        codes = RejectedEvent.objects.order_by("code").values_list("code", flat=True).distinct()
        return [(code, reason(code)) for code in codes]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[RejectedEvent]") -> "QuerySet[RejectedEvent]":
        code = self.value() or ""
        if not is_storable(code):
            raise Http404
        return queryset.filter(code=code) if code else queryset


class DayFilter(admin.SimpleListFilter):
    title = "day (UTC)"
    parameter_name = "on"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        days = RejectedEvent.objects.order_by("-day").values_list("day", flat=True).distinct()
        return [(day.isoformat(), day_words(day)) for day in days]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[RejectedEvent]") -> "QuerySet[RejectedEvent]":
        try:
            day = read_day(self.value() or "")
        except ValueError:
            return queryset
        return queryset.filter(day=day)


@admin.register(RejectedEvent)
class RejectedEventAdmin(ReadOnly, ModelAdmin[RejectedEvent]):
    list_display = ["last_seen", "reason_words", "meter", "pointer", "sender", "customer", "times"]
    list_display_links = ["last_seen", "reason_words"]
    list_filter = [CodeFilter, DayFilter]
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["meter", "customer", "sender"]
    search_help_text = "Meter, customer or sender"
    ordering = ["-last_at", "-id"]
    readonly_fields = [
        *("reason_words", "detail", "pointer", "meter_words", "sender", "customer"),
        *("times", "first_seen", "last_seen", "example_words"),
    ]
    fieldsets = [
        (None, {"fields": ["reason_words", "detail", "pointer", "meter_words", "sender", "customer"]}),
        ("How often", {"fields": ["times", "first_seen", "last_seen"]}),
        ("The latest of them", {"fields": ["example_words"]}),
    ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        rejected = self.get_object(request, object_id)
        context = {"title": "Rejected event", "subtitle": reason(rejected.code)} if rejected else {}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @admin.display(description="reason", ordering="code")
    def reason_words(self, rejected: RejectedEvent) -> str:
        return reason(rejected.code)

    @admin.display(description="times", ordering="count")
    def times(self, rejected: RejectedEvent) -> str:
        return f"{rejected.count:,}"

    @admin.display(description="first seen", ordering="first_at")
    def first_seen(self, rejected: RejectedEvent) -> str:
        return instant(rejected.first_at)

    @admin.display(description="last seen", ordering="last_at")
    def last_seen(self, rejected: RejectedEvent) -> str:
        return instant(rejected.last_at)

    @admin.display(description="meter")
    def meter_words(self, rejected: RejectedEvent) -> SafeString | str:
        """Where to go from here: to the meter, or, where there is none of that key, to making it."""
        key = rejected.meter
        meter = Meter.objects.filter(key=key).first() if key else None
        if meter is not None:
            return link(reverse("admin:meters_meter_change", args=[meter.pk]), key)
        if rejected.code != "unknown_meter" or not _is_meter_key(key):
            return key or "-"
        url = f"{reverse('admin:meters_meter_add')}?{urlencode({'key': key})}"
        return format_html('{} (<a href="{}">make this meter</a>)', key, url)

    @admin.display(description="event")
    def example_words(self, rejected: RejectedEvent) -> SafeString:
        return format_html('<pre class="example"><code>{}</code></pre>', pretty(rejected.example))


def _is_meter_key(key: str) -> bool:
    try:
        Meter(key=key).clean_fields(exclude={field.name for field in Meter._meta.fields} - {"key"})
    except ValidationError:
        return False
    return True


def pretty(text: str) -> str:
    """JSON on lines of its own, its numbers as they were sent; what is no JSON, or was cut off, as it is."""
    try:
        return msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError):
        return text
