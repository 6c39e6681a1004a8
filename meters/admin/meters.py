from typing import Any

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from meters.admin.base import KeepsRows, ModelAdmin, ServiceAdmin, ServiceForm, number
from meters.admin.customers import Link
from meters.admin.fields import ConditionsField, NamesField, NumberField, condition_lines, is_storable
from meters.admin.meter_live import live_context, live_view, may_see_events
from meters.admin.meter_usage import READ_EVENTS, aggregation_words, usage_view
from meters.admin.rejected import recent_refusals
from meters.admin.trial_events import send_view, void_view
from meters.aggregation import ONE
from meters.facts import MAX_PLACES
from meters.metering import COPIED, FIXED_ONCE_USED, has_usage, save_meter
from meters.models import Meter

Kind = Meter.Aggregation

# Which aggregations have an option; the style sheet shows it beside those only, and what was typed for another one
# is not taken.
OPTIONS = {
    "unique_dimension": {Kind.UNIQUE_COUNT},
    "percentile": {Kind.PERCENTILE},
    "time_unit": {Kind.TIME_WEIGHTED_SUM},
    "value_dimension": set(Kind) - {Kind.COUNT, Kind.UNIQUE_COUNT},
}
NONE: dict[str, Any] = {"unique_dimension": "", "percentile": None, "time_unit": "", "value_dimension": ""}

HELP = {
    "unique_dimension": "For “Number of different values”: which one, for example user_id. It need not be declared.",
    "time_unit": "For “Value times the time”: seats that hold for days make seat-days.",
    "value_dimension": "For example bytes. Empty: the value that the event has of its own. It need not be declared.",
    "rounding": "Of the quantity that is asked for, so rounded days need not sum to the rounded month.",
    "rounding_places": "0 makes whole numbers, 2 hundredths.",
}


class MeterForm(ServiceForm):
    dimensions = NamesField(
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Names that usage can be filtered and grouped by, with commas between them: source, target.",
    )
    where = ConditionsField(
        required=False,
        label="Only events where",
        help_text="One declared dimension a line, with the texts that count: <code>region = eu, us</code>. An event "
        "counts when all lines match; the others are stored and listed, and no figure has them. Empty: all count.",
    )
    percentile = NumberField(
        decimal_places=20, help_text="For “Percentile of the values”: which one, from 0 to 100, for example 95."
    )
    multiplier = NumberField(
        decimal_places=30,
        empty_value=ONE,
        initial=ONE,
        help_text="The quantity is multiplied by this: 0.001 counts in thousands. Any price is then of such a unit.",
    )

    rounding = forms.ChoiceField(required=False, choices=Meter.Rounding.choices, help_text=HELP["rounding"])
    rounding_places = forms.IntegerField(
        required=False, min_value=0, max_value=MAX_PLACES, label="To decimal places", help_text=HELP["rounding_places"]
    )

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        for name, kinds in OPTIONS.items():
            if data.get("aggregation") not in (None, *kinds) and name in data:
                data[name] = NONE[name]
        if "rounding" in data:
            data["rounding"] = data["rounding"] or Meter.Rounding.NONE
        if "rounding_places" in data and (
            data["rounding_places"] is None or data.get("rounding") == Meter.Rounding.NONE
        ):
            data["rounding_places"] = 0
        return data

    def call_service(self) -> Meter:
        return save_meter(self.instance, changes=self.cleaned_data)


@admin.register(Meter)
class MeterAdmin(ServiceAdmin, KeepsRows, ModelAdmin[Meter]):
    form = MeterForm
    list_display = ["key", "name", "aggregation_words", "unit", "dimension_names", "used_for_billing"]
    list_filter = ["used_for_billing"]
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["key", "name"]

    @admin.display(description="dimensions")
    def dimension_names(self, meter: Meter) -> str:
        return ", ".join(meter.dimensions)

    @admin.display(description="aggregation", ordering="aggregation")
    def aggregation_words(self, meter: Meter) -> str:
        return aggregation_words(meter)

    @admin.display(description="value")
    def value_words(self, meter: Meter) -> str:
        return f"Dimension {meter.value_dimension}" if meter.value_dimension else "The event's value"

    @admin.display(description="only events where")
    def where_words(self, meter: Meter) -> SafeString | str:
        return format_html("<code>{}</code>", condition_lines(meter.where)) if meter.where else "All events count"

    @admin.display(description="multiplier")
    def multiplier_words(self, meter: Meter) -> str:
        return number(meter.multiplier)

    @admin.display(description="rounding")
    def rounding_words(self, meter: Meter) -> str:
        if meter.rounding == Meter.Rounding.NONE:
            return "Not rounded"
        places = meter.rounding_places
        return f"{meter.get_rounding_display()}, to {f'{places} decimal places' if places else 'whole numbers'}"

    def get_fieldsets(self, request: HttpRequest, obj: Meter | None = None) -> Any:
        if obj is not None and self._is_settled(request, obj):
            kind = obj.aggregation
            value = [] if kind not in OPTIONS["value_dimension"] else ["value_words"]
            settled = ["aggregation_words", *value, "where_words", "multiplier_words", "rounding_words"]
            return [
                (None, {"fields": ["key", "name", "unit", "dimensions", "used_for_billing"]}),
                ("What its figures mean", {"fields": settled, "description": self._settled_words(request, obj)}),
            ]
        aggregation = ["aggregation", "unique_dimension", "percentile", "time_unit", "value_dimension", "unit"]
        return [
            (None, {"fields": ["key", "name", "used_for_billing"]}),
            ("How events become a quantity", {"fields": aggregation}),
            ("Dimensions", {"fields": ["dimensions", "where"]}),
            ("Conversion", {"fields": ["multiplier", "rounding", "rounding_places"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Meter | None = None) -> Any:
        if obj is None or not self._is_settled(request, obj):
            return ()
        # The fields themselves too: the form has those that it declares, shown or not, unless they are read-only.
        words = ("aggregation_words", "value_words", "where_words", "multiplier_words", "rounding_words")
        return (*FIXED_ONCE_USED, *words)

    def _is_settled(self, request: HttpRequest, meter: Meter) -> bool:
        """Whether the options are only shown. Asked several times for a page, and answered once."""
        known: dict[int, bool] = request.__dict__.setdefault("settled_meters", {})
        if meter.pk not in known:
            # A form that was open when the first event came in still has them, and is refused field by field.
            was_open = request.method == "POST" and "aggregation" in request.POST
            may_change = self.has_change_permission(request, meter)
            known[meter.pk] = not may_change or (not was_open and has_usage(meter))
        return known[meter.pk]

    def _settled_words(self, request: HttpRequest, meter: Meter) -> SafeString | str:
        if not self.has_change_permission(request, meter):
            return ""
        words = "The meter has usage, so this stays as it is. To count differently, make a new meter"
        if not self.has_add_permission(request):
            return f"{words}."
        return format_html('{}: <a href="{}">make a copy</a>.', words, self._copy_url(meter))

    def _copy_url(self, meter: Meter) -> str:
        return f"{reverse('admin:meters_meter_add')}?{urlencode({'copy': meter.key})}"

    def get_form(self, request: HttpRequest, obj: Meter | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **({"help_texts": HELP} | kwargs))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        copied = initial.pop("copy", "")
        if not is_storable(copied):
            raise Http404
        original = Meter.objects.filter(key=copied).first()
        if original is not None and self.has_view_permission(request, original):
            initial |= {name: getattr(original, name) for name in COPIED}
        return initial

    def links(self, request: HttpRequest, meter: Meter) -> list[Link]:
        """Where else to look: label and address, shown at the top of a meter's page."""
        links = [("Usage", reverse("admin:meters_meter_usage", args=[meter.pk]))]
        if may_see_events(request):
            events = f"{reverse('admin:meters_event_changelist')}?{urlencode({'meter': meter.key})}"
            links.append(("Events", events))
        return [*links, ("Make a copy", self._copy_url(meter))] if self.has_add_permission(request) else links

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        meter = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if meter is not None and self.has_view_permission(request, meter):
            context = {
                "links": self.links(request, meter),
                "loads_usage": meter.aggregation not in READ_EVENTS,
                "settles": not self._is_settled(request, meter),
                **live_context(self, request, meter),
            }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"refusals": recent_refusals(request)}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        pages = {"live": live_view, "usage": usage_view, "test-event": send_view, "void-test-event": void_view}

        def bound(view: Any) -> Any:
            return self.admin_site.admin_view(lambda request, pk: view(self, request, pk))

        own = [path(f"<int:pk>/{name}/", bound(view), name=f"meters_meter_{name}") for name, view in pages.items()]
        return [*own, *super().get_urls()]
