from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from meters.admin.base import KeepsRows, ModelAdmin, ModelForm, number
from meters.admin.event_search import newest_of_meter
from meters.admin.fields import NamesField
from meters.models import Customer, Meter, UsageBucket


class MeterForm(ModelForm[Meter]):
    dimensions = NamesField(
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Names that usage can be filtered and grouped by, with commas between them: source, target.",
    )


@admin.register(Meter)
class MeterAdmin(KeepsRows, ModelAdmin[Meter]):
    form = MeterForm
    list_display = ["key", "name", "aggregation", "unit", "dimension_names", "used_for_billing"]
    list_filter = ["used_for_billing", "aggregation"]
    search_fields = ["key", "name"]
    fieldsets = [
        (None, {"fields": ["key", "name", "used_for_billing"]}),
        ("How events become a quantity", {"fields": ["aggregation", "unit", "dimensions", "unique_dimension"]}),
    ]
    # A change of these would change what past usage means.
    settled_by_usage = ("key", "aggregation", "unique_dimension")

    @admin.display(description="dimensions")
    def dimension_names(self, meter: Meter) -> str:
        return ", ".join(meter.dimensions)

    def get_readonly_fields(self, request: HttpRequest, obj: Meter | None = None) -> Any:
        return self.settled_by_usage if obj is not None and has_events(obj) else ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        meter = self.get_object(request, object_id)
        events = newest_of_meter(meter, 10) if meter else []
        context = {"recent_events": [(event, number(event.value)) for event in events]}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})


def has_events(meter: Meter) -> bool:
    """Looks customer by customer, as the primary key of the usage buckets begins with the customer."""
    used = UsageBucket.objects.filter(meter_id=meter.pk, customer_id__in=Customer.objects.values("pk"))
    return used.exists()
