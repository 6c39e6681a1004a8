from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from meters.admin.base import KeepsRows, ModelAdmin, ServiceAdmin, ServiceForm, number
from meters.admin.event_search import newest_of_meter
from meters.admin.fields import NamesField
from meters.metering import FIXED_ONCE_USED, has_usage, save_meter
from meters.models import Meter

# The style sheet shows the field only beside the aggregation that needs it.
HELP = {
    "unique_dimension": "Only for “Number of different values of a dimension”: which dimension, for example user_id.",
}


class MeterForm(ServiceForm):
    dimensions = NamesField(
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Names that usage can be filtered and grouped by, with commas between them: source, target.",
    )

    def call_service(self) -> Meter:
        return save_meter(self.instance, changes=self.cleaned_data)


@admin.register(Meter)
class MeterAdmin(ServiceAdmin, KeepsRows, ModelAdmin[Meter]):
    form = MeterForm
    list_display = ["key", "name", "aggregation", "unit", "dimension_names", "used_for_billing"]
    list_filter = ["used_for_billing", "aggregation"]
    search_fields = ["key", "name"]
    fieldsets = [
        (None, {"fields": ["key", "name", "used_for_billing"]}),
        ("How events become a quantity", {"fields": ["aggregation", "unit", "dimensions", "unique_dimension"]}),
    ]

    @admin.display(description="dimensions")
    def dimension_names(self, meter: Meter) -> str:
        return ", ".join(meter.dimensions)

    def get_readonly_fields(self, request: HttpRequest, obj: Meter | None = None) -> Any:
        return FIXED_ONCE_USED if obj is not None and has_usage(obj) else ()

    def get_form(self, request: HttpRequest, obj: Meter | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **({"help_texts": HELP} | kwargs))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        meter = self.get_object(request, object_id)
        events = newest_of_meter(meter, 10) if meter else []
        context = {"recent_events": [(event, number(event.value)) for event in events]}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})
