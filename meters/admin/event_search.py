"""Finding events on a table too large to count or to sort: every search here is bounded by an index."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db.models import BigIntegerField, Func, QuerySet

from meters.ids import key_of
from meters.models import Customer, Event, EventKey, Meter

# Who names neither a customer nor a span sees what arrived last; a span without a customer has no index of its own
# but the block ranges of time, so it is kept short.
NEWEST = 100_000
LONGEST_SPAN = timedelta(days=1)
# More than anybody pages through.
MOST = 1_000


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
    id = forms.CharField(required=False, max_length=200, label="Event id")

    def clean_customer(self) -> Customer | None:
        key = self.cleaned_data["customer"]
        if not key:
            return None
        customer = Customer.objects.filter(key=key).first()
        if customer is None:
            raise forms.ValidationError("There is no customer with this key.")
        return customer

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data.get("id") and not data.get("customer") and "customer" not in self.errors:
            self.add_error("customer", "An event id is unique for a customer only: name the customer.")
        start, end = data.get("start"), data.get("end")
        for name, bound in (("start", start), ("end", end)):
            # Far from where arithmetic with dates overflows.
            if bound and not 1970 <= bound.year <= 2200:
                self.add_error(name, "A year from 1970 to 2200.")
                return data
        if start and end and end <= start:
            self.add_error("end", "The end is after the start.")
        if not data.get("customer"):
            if start and not end:
                data["end"] = start + LONGEST_SPAN
            elif end and not start:
                data["start"] = end - LONGEST_SPAN
            elif start and end and end - start > LONGEST_SPAN:
                self.add_error("end", "Without a customer at most one day can be searched.")
        return data

    def events(self, events: "QuerySet[Event]") -> "QuerySet[Event]":
        """What was asked for; nothing while the question has errors."""
        if not self.is_valid():
            return events.none()
        data = self.cleaned_data
        customer, meter = data["customer"], data["meter"]
        if meter:
            events = events.filter(meter=meter)
        events = within(events, data["start"], data["end"])
        if customer:
            meters = [meter] if meter else list(Meter.objects.all())
            events = events.filter(customer=customer, meter__in=meters)
            return by_id(events, customer, meters, data["id"]) if data["id"] else newest(events, meters)
        if not data["start"]:
            events = events.filter(sequence__gt=LastSequence() - NEWEST)
        return events


class LastSequence(Func):
    """The sequence number of the event that arrived last. A subquery, so that it is looked up once."""

    template = "(SELECT pg_sequence_last_value(pg_get_serial_sequence('meters_event', 'sequence')::regclass))"
    arity = 0
    output_field = BigIntegerField()


def within(events: "QuerySet[Event]", start: datetime | None, end: datetime | None) -> "QuerySet[Event]":
    if start:
        events = events.filter(occurred_at__gte=start)
    return events.filter(occurred_at__lt=end) if end else events


def by_id(events: "QuerySet[Event]", customer: Customer, meters: Iterable[Meter], event_id: str) -> "QuerySet[Event]":
    """The events of one id, at most one for each meter. The guard's primary key knows when they occurred."""
    key = key_of(event_id)
    guards = EventKey.objects.filter(customer=customer, meter__in=meters, key=key)
    return events.filter(key=key, occurred_at__in=list(guards.values_list("occurred_at", flat=True)))


def newest(events: "QuerySet[Event]", meters: Iterable[Meter]) -> "QuerySet[Event]":
    """The newest MOST events of a customer, and perhaps some more.

    meters_event_customer_time orders the events of one meter only. An event older than the MOST newest of any one
    meter is not among the MOST newest of all, which leaves few to sort.
    """
    times = (
        events.filter(meter=meter).order_by("-occurred_at").values_list("occurred_at", flat=True)[MOST - 1 : MOST]
        for meter in meters
    )
    bounds = [time for meter_times in times for time in meter_times]
    return events.filter(occurred_at__gte=max(bounds)) if bounds else events


def newest_of_meter(meter: Meter, limit: int) -> list[Event]:
    """Of the events that arrived last, the newest of one meter."""
    events = Event.objects.filter(meter=meter, sequence__gt=LastSequence() - NEWEST)
    return list(events.select_related("customer", "meter", "dimension_set")[:limit])
