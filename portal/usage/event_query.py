"""The query string of the event log. What is wrong is said beside its field."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.http import urlencode

from meters.event_log import FIRST_YEAR, LAST_YEAR, STATES, EventQuery
from meters.models import Customer, Meter
from meters.periods import read_day
from portal.usage.query import FILTER

STATE_NAMES = {"all": "All", "counted": "Counted", "voided": "Voided"}
NO_TIME = "Write the time as 2026-12-31T14:00, or a day as 2026-12-31."
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?", re.ASCII)
MOST_FILTERS = 10


class EventLogQuery(forms.Form):
    """`query` is what to look for, once it is valid. Times are those of the customer's zone, the end not included; a
    day stands for all of it."""

    meter = forms.ChoiceField(
        label="Meter", required=False, error_messages={"invalid_choice": "There is no meter “%(value)s” here."}
    )
    state = forms.ChoiceField(label="State", required=False, choices=list(STATE_NAMES.items()))
    dimension = forms.CharField(label="Dimension", required=False, max_length=100)
    value = forms.CharField(label="Its value", required=False, max_length=200, strip=False)

    def __init__(
        self, query: Mapping[str, Any], *, customer: Customer, meters: Sequence[Meter], zone: ZoneInfo
    ) -> None:
        self.customer, self.zone = customer, zone
        self.meters = {meter.key: meter for meter in meters}
        self.query = EventQuery(customer=customer)
        self.filters = _filters(query)
        data = {name: str(query.get(name) or "") for name in (*self.base_fields, "from", "to")}
        data["from"], data["to"] = _whole_day(data["from"], 0), _whole_day(data["to"], 1)
        super().__init__(data)
        rest = {name: self.fields.pop(name) for name in ("dimension", "value")}
        for name, label in (("from", "From"), ("to", "Until")):
            self.fields[name] = forms.CharField(label=label, required=False, widget=_TimeInput())
        self.fields |= rest
        meter_field = self.fields["meter"]
        assert isinstance(meter_field, forms.ChoiceField)
        meter_field.choices = [("", "All"), *((meter.key, str(meter)) for meter in meters)]
        for name in ("meter", "state"):
            self.fields[name].widget.attrs["class"] = "at-once"
        self.fields["dimension"].widget.attrs |= {"list": "dimension-names", "autocapitalize": "none"}

    @property
    def dimension_names(self) -> list[str]:
        """What can be typed, of the meter that is chosen or of all."""
        chosen = self.meters.get(self.data["meter"])
        return sorted({name for meter in ([chosen] if chosen else self.meters.values()) for name in meter.dimensions})

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        start, end = self._instant("from"), self._instant("to")
        if start and end and end <= start:
            self.add_error("to", "The end is after the start.")
        if data.get("dimension"):
            self.filters[data["dimension"]] = data.get("value", "")
        elif data.get("value"):
            self.add_error("dimension", "Name the dimension that has this value.")
        if not self.errors:
            self.query = EventQuery(
                customer=self.customer,
                meter=self.meters.get(data["meter"]),
                start=start,
                end=end,
                dimensions=self.filters,
                state=data["state"] or STATES[0],
            )
        return data

    def _instant(self, name: str) -> datetime | None:
        text = self.cleaned_data.get(name, "")
        if not text:
            return None
        try:
            local = datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
        except ValueError:
            local = None
        if local is None:
            self.add_error(name, NO_TIME)
        elif not FIRST_YEAR <= local.year <= LAST_YEAR:
            self.add_error(name, f"A year from {FIRST_YEAR} to {LAST_YEAR}.")
        else:
            return local.replace(tzinfo=self.zone).astimezone(UTC)
        return None

    def address(self, *, filters: Mapping[str, str] | None = None, cursor: str = "") -> str:
        """The query string of the same question, or of one with other filters; from a place in the list on."""
        asked = {name: self.cleaned_data[name] for name in ("meter", "state", "from", "to")} | {"cursor": cursor}
        kept = {name: text for name, text in asked.items() if text and (name, text) != ("state", STATES[0])}
        named = {f"filter[{name}]": text for name, text in (self.filters if filters is None else filters).items()}
        return urlencode({**kept, **named})


def _filters(query: Mapping[str, Any]) -> dict[str, str]:
    found = {match[1]: str(text) for name, text in query.items() if (match := FILTER.fullmatch(name))}
    return {name: text for name, text in list(found.items())[:MOST_FILTERS] if "\0" not in name + text}


def _whole_day(text: str, days: int) -> str:
    """Where a day is meant, its first instant or that of the next."""
    try:
        day = read_day(text) + timedelta(days=days)
    except (ValueError, OverflowError):
        return text
    return f"{day}T00:00"


class _TimeInput(forms.DateTimeInput):
    input_type = "datetime-local"
