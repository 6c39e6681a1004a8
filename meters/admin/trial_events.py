"""Sending a test event from a meter's page. It goes the way of any event, so it says what would happen to one."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from meters.admin.base import messages_of, require
from meters.admin.fields import NumberField, is_storable
from meters.admin.voids import may_void
from meters.aggregation import ONE
from meters.decoding import MAX_DIMENSION_TEXT, EventIn, escape
from meters.events import Outcome, record_events
from meters.ids import uuid7
from meters.metering import has_usage
from meters.models import Customer, Event, Meter
from meters.voiding import EventRef, select_events, void_events

ID_START = "admin-test-"


def is_trial_event(event: Event) -> bool:
    return event.event_id.startswith(ID_START)


class TrialEventForm(forms.Form):
    """A customer, and a value or the dimensions that the meter looks at."""

    customer = forms.CharField(label="Customer key", max_length=200)
    value = NumberField(empty_value=ONE, initial=ONE)

    def __init__(self, meter: Meter, data: QueryDict | None = None) -> None:
        super().__init__(data, prefix="trial")
        self.meter = meter
        if meter.value_dimension or meter.aggregation in (Meter.Aggregation.COUNT, Meter.Aggregation.UNIQUE_COUNT):
            del self.fields["value"]
        needed = [name for name in (meter.unique_dimension, meter.value_dimension) if name]
        names = dict.fromkeys([*needed, *meter.dimensions])
        self.dimensions = {f"dimension-{index}": name for index, name in enumerate(names)}
        for field, name in self.dimensions.items():
            self.fields[field] = forms.CharField(
                label=name, max_length=MAX_DIMENSION_TEXT, required=name in needed, strip=False
            )

    def clean_customer(self) -> str:
        """A typing error must not make a customer, whom a rule would put on a plan."""
        key: str = self.cleaned_data["customer"]
        if not Customer.objects.filter(key=key).exists():
            raise ValidationError("There is no customer with this key.")
        return key

    def event(self) -> EventIn:
        data = self.cleaned_data
        said = {name: data[field] for field, name in self.dimensions.items() if data[field]}
        value = {"value": data["value"]} if "value" in data else {}
        return EventIn(customer=data["customer"], meter=self.meter.key, id=ID_START + uuid7(), dimensions=said, **value)

    def refuse(self, outcome: Outcome) -> None:
        """Puts why ingest refused the event beside the field that it points at."""
        pointers = {f"/dimensions/{escape(name)}": field for field, name in self.dimensions.items()}
        pointers |= {"/customer": "customer", "/value": "value"}
        field = pointers.get(outcome.pointer)
        self.add_error(field if field in self.fields else None, outcome.detail)


def send_view(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, pk: int) -> HttpResponse:
    """The form by itself, where what was typed has faults or JavaScript is off; the meter page has it, too."""
    meter = get_object_or_404(Meter, pk=pk)
    require(model_admin.has_change_permission(request, meter))
    form = TrialEventForm(meter, request.POST or None)
    if request.method == "POST" and form.is_valid():
        event = form.event()
        recorded = record_events([event])
        if recorded.accepted:
            model_admin.log_change(request, meter, f"Sent the test event {event.id} for {event.customer}.")
            messages.success(
                request, f"The test event for {event.customer} was taken. Void it below when you are done."
            )
            return _back_to(meter)
        for outcome in recorded.outcomes:
            form.refuse(outcome)
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Send a test event",
        "subtitle": str(meter),
        "meter": meter,
        "trial_form": form,
        "settles": not has_usage(meter),
    }
    return TemplateResponse(request, "admin/meters/meter/test_event.html", context)


def void_view(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, pk: int) -> HttpResponse:
    """Takes one test event out of the figures; other events are voided from the event list."""
    meter = get_object_or_404(Meter, pk=pk)
    require(model_admin.has_view_permission(request, meter) and may_void(request))
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    ref = EventRef(request.POST.get("customer", ""), request.POST.get("event", ""), meter.key)
    require(ref.id.startswith(ID_START))
    if not (is_storable(ref.customer) and is_storable(ref.id)):
        raise Http404
    try:
        voided = void_events(select_events(refs=[ref]), reason="A test event.", actor=request.user.get_username())
    except ValidationError as error:
        messages.error(request, messages_of(error))
        return _back_to(meter)
    if voided.events:
        model_admin.log_change(request, meter, f"Voided the test event {ref.id} for {ref.customer}.")
        messages.success(request, "The test event is voided: no figure counts it any more.")
    elif voided.unknown:
        messages.error(request, "There is no such test event.")
    else:
        messages.info(request, "The test event was voided already.")
    return _back_to(meter)


def _back_to(meter: Meter) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:meters_meter_change", args=[meter.pk]) + "#live")
