"""What staff ask the event list for: a form in place of Django's filters, which would read all values of a column."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from meters.admin.base import add_errors
from meters.event_log import LONGEST_SPAN, EventQuery, validate
from meters.models import Customer, Event, EventKey, Meter
from meters.voiding import EventRef

STATES = (("all", "All"), ("counted", "Counted"), ("voided", "Voided"))


class EventSearch(forms.Form):
    """The query string of the event list."""

    customer = forms.CharField(required=False, max_length=200, label="Customer key")
    meter = forms.ModelChoiceField(Meter.objects.all(), required=False, empty_label="All", to_field_name="key")
    start = forms.DateTimeField(
        required=False, label="From (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    end = forms.DateTimeField(
        required=False, label="To (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    id = forms.CharField(required=False, max_length=200, strip=False, label="Event id")
    dimension = forms.CharField(
        required=False, label="Dimension", widget=forms.TextInput(attrs={"placeholder": "source=crm"})
    )
    state = forms.ChoiceField(required=False, choices=STATES, label="State")

    def __init__(self, data: QueryDict) -> None:
        super().__init__(data)
        self.query = EventQuery()

    def clean_customer(self) -> Customer | None:
        key = self.cleaned_data["customer"]
        if not key:
            return None
        customer = Customer.objects.filter(key=key).first()
        if customer is None:
            raise ValidationError("There is no customer with this key.")
        return customer

    def clean_dimension(self) -> dict[str, str]:
        text = self.cleaned_data["dimension"]
        if not text:
            return {}
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise ValidationError("Write it as name=value.")
        return {name.strip(): value.strip()}

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if self.errors:
            return data
        start, end = data["start"], data["end"]
        if not data["customer"]:
            start, end = _both_ends(start, end)
        self.query = EventQuery(
            customer=data["customer"],
            meter=data["meter"],
            start=start,
            end=end,
            event_id=data["id"],
            dimensions=data["dimension"],
            state=data["state"] or "all",
        )
        try:
            validate(self.query)
        except ValidationError as error:
            add_errors(self, error)
        return data

    @property
    def is_narrow(self) -> bool:
        """Whether all that matches can be voided at once: it names a customer, or a meter and a span."""
        return bool(self.query.customer or (self.query.meter and self.query.start))


def _both_ends(start: datetime | None, end: datetime | None) -> tuple[datetime | None, datetime | None]:
    """The longest span that a search without a customer may have, where one end of it is named."""
    try:
        if start and not end:
            return start, start + LONGEST_SPAN
        if end and not start:
            return end - LONGEST_SPAN, end
    except OverflowError:
        pass
    return start, end


def token_of(event: Event) -> str:
    """Names an event in an address, so that the guard's primary key finds it."""
    return f"{event.customer_id}-{event.meter_id}-{event.key.hex}"


def refs_of(tokens: list[str]) -> list[EventRef]:
    """The events that these tokens name; what names none is left out."""
    wanted = set(tokens)
    parts = [token.split("-") for token in wanted]
    named = [part for part in parts if len(part) == 3 and part[0].isdigit() and part[1].isdigit()]
    try:
        ids = {"customer_id__in": [int(part[0]) for part in named], "meter_id__in": [int(part[1]) for part in named]}
        keys = EventKey.objects.filter(**ids, key__in=[part[2] for part in named])
        times = list(keys.values_list("occurred_at", flat=True))
    except (ValidationError, ValueError):
        return []
    events = Event.objects.filter(**ids, key__in=[part[2] for part in named], occurred_at__in=times)
    found = [event for event in events.select_related("customer", "meter") if token_of(event) in wanted]
    return [EventRef(event.customer.key, event.event_id, event.meter.key) for event in found]
