"""The query string of the usage page. What is missing has a default; what is wrong is said beside its field."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.http import urlencode

from meters.charts import MOST_SERIES
from meters.models import Customer, Meter
from meters.periods import Period, local_date, read_day
from portal.access import visible_invoices, visible_meters
from portal.usage.periods import FIRST_YEAR, MOST_DAYS, RANGE, Calendar, Span
from portal.usage.report import Question

DAILY, CUMULATIVE = "daily", "cumulative"
UNITS, COST = "units", "cost"
PREVIOUS = "previous"
EACH = {"hour": "Hourly", "day": "Daily", "month": "Monthly"}
LAST_YEAR = 2200
# As in the API: filter[source]=crm.
FILTER = re.compile(r"filter\[(.+)\]", re.DOTALL)
# Of invoices that are offered by their period; older ones are found by months and days.
OFFERED_INVOICES = 24
NO_DAY = "Write the day as 2026-12-31."


class UsageQuery(forms.Form):
    """`span`, `meter`, `group`, `filters` (one text by dimension) and the rest are there once it is valid."""

    period = forms.CharField(label="Period", widget=forms.Select)
    meter = forms.ChoiceField(
        label="Meter", error_messages={"invalid_choice": "There is no usage of “%(value)s” to show."}
    )
    group = forms.CharField(label="Group by", required=False, widget=forms.Select)
    view = forms.ChoiceField(label="Show", choices=[(DAILY, "Daily"), (CUMULATIVE, "Cumulative")])
    measure = forms.ChoiceField(label="In", choices=[(UNITS, "Units"), (COST, "Cost")])
    compare = forms.ChoiceField(
        label="Compare with", required=False, choices=[("", "Nothing"), (PREVIOUS, "As many days before")]
    )

    def __init__(self, query: Mapping[str, Any], *, calendar: Calendar, meters: Sequence[Meter]) -> None:
        self.calendar = calendar
        self.meters = {meter.key: meter for meter in meters}
        self.notices: list[str] = []
        self.span: Span = calendar.default
        data = {name: str(query.get(name) or "") for name in (*self.base_fields, "from", "to")}
        data["period"] = data["period"] or (RANGE if data["from"] or data["to"] else calendar.default.key)
        data["meter"] = data["meter"] or next(iter(self.meters), "")
        data["view"] = data["view"] or DAILY
        data["measure"] = data["measure"] or UNITS
        chosen = self.meters.get(data["meter"])
        asked = {match[1]: str(text) for name, text in query.items() if (match := FILTER.fullmatch(name))}
        declared = chosen.dimensions if chosen else []
        self.filters = {name: text for name, text in asked.items() if name in declared and "\0" not in text}
        # The choice of a meter may leave dimensions behind that the meter before it had: that is no mistake.
        if chosen and data["group"] and data["group"] not in chosen.dimensions:
            self.notices.append(f"{chosen} is not split by “{data['group'][:100]}”, so the total is shown.")
            data["group"] = ""
        for name in asked:
            if chosen and name not in chosen.dimensions:
                self.notices.append(f"{chosen} is not split by “{name[:100]}”, so that filter is left out.")
        super().__init__(data)
        if data["period"] == RANGE:
            self._add_days(data)
        self._offer("period", self._periods(data["period"]))
        self._offer("meter", [(meter.key, str(meter)) for meter in meters])
        self._offer("group", [("", "Nothing"), *((name, name) for name in (chosen.dimensions if chosen else []))])
        for name in self.fields:
            if isinstance(self.fields[name].widget, forms.Select):
                # What changes the page at once, where there is JavaScript; days are typed to their end first.
                self.fields[name].widget.attrs["class"] = "at-once"

    def _offer(self, name: str, choices: Any) -> None:
        field = self.fields[name]
        if isinstance(field, forms.ChoiceField):
            field.choices = choices
        else:
            assert isinstance(field.widget, forms.Select)
            field.widget.choices = choices

    def _periods(self, chosen: str) -> list[tuple[str, list[tuple[str, str]]]]:
        groups = self.calendar.groups()
        span = self.calendar.named(chosen)
        if span and not any(chosen == key for _, named in groups for key, _ in named):
            groups.insert(0, ("Chosen", [(chosen, span.words)]))
        return groups

    def _add_days(self, data: dict[str, str]) -> None:
        """Two more fields; who has just chosen to name days begins with those of the default."""
        if not data["from"] and not data["to"]:
            shown = self.calendar.default
            today = local_date(self.calendar.now, self.calendar.zone)
            data["from"], data["to"] = shown.first.isoformat(), min(shown.last, today).isoformat()
        kept = dict(self.fields)
        self.fields.clear()
        for name, field in kept.items():
            self.fields[name] = field
            if name == "period":
                self.fields["from"] = forms.CharField(label="From", required=False, widget=_DayInput())
                self.fields["to"] = forms.CharField(label="To, with this day", required=False, widget=_DayInput())

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        key = data.get("period", "")
        if key == RANGE:
            self._clean_days(data)
        elif span := self.calendar.named(key):
            self.span = span
        elif key:
            self.add_error("period", f"“{key[:100]}” is not a period that can be shown.")
        self._offer("view", [(DAILY, EACH[self.span.cut]), (CUMULATIVE, "Cumulative")])
        return data

    def _clean_days(self, data: dict[str, Any]) -> None:
        days = {}
        for name in ("from", "to"):
            try:
                days[name] = read_day(data.get(name, ""))
                if not FIRST_YEAR <= days[name].year <= LAST_YEAR:
                    raise ValidationError(f"A year from {FIRST_YEAR} to {LAST_YEAR}.")
            except ValidationError as error:
                self.add_error(name, error)
            except ValueError:
                self.add_error(name, NO_DAY)
        if self.errors:
            return
        first, last = days["from"], days["to"]
        if last < first:
            self.add_error("to", "The last day is not before the first.")
        elif (last - first).days >= MOST_DAYS:
            self.add_error("to", f"At most {MOST_DAYS} days, which is about 13 months.")
        elif first > local_date(self.calendar.now, self.calendar.zone):
            self.add_error("from", "That day is still to come.")
        else:
            self.span = self.calendar.own(first, last)

    def question(self, most: int = MOST_SERIES) -> Question:
        data = self.cleaned_data
        return Question(
            meter=self.meters[data["meter"]],
            span=self.span,
            group=data["group"],
            filters=self.filters,
            is_cumulative=data["view"] == CUMULATIVE,
            is_compared=bool(data["compare"]),
            most=most,
        )

    @property
    def is_cost(self) -> bool:
        return bool(self.cleaned_data["measure"] == COST)

    @property
    def chosen_group(self) -> str:
        return str(self.cleaned_data["group"])

    def address(self, *, span: Span | None = None, filters: Mapping[str, str] | None = None, **changes: str) -> str:
        """The query string of the same question, or of one that differs in this; without what is so anyway."""
        asked = {name: self.cleaned_data[name] for name in ("meter", "group", "view", "measure", "compare")} | changes
        plain = {"view": DAILY, "measure": UNITS}
        kept = {name: text for name, text in asked.items() if text and plain.get(name) != text}
        named = {f"filter[{name}]": text for name, text in (self.filters if filters is None else filters).items()}
        return urlencode({**(span or self.span).address, **kept, **named})


class _DayInput(forms.DateInput):
    input_type = "date"


def usage_query_of(customer: Customer, asked: Mapping[str, Any], *, now: datetime) -> UsageQuery:
    """What a customer is asked about, with the periods and meters that it can choose from."""
    begun = visible_invoices(customer).filter(period_start__lte=now, is_correction=False)
    bounds = begun.exclude(status="void").values_list("period_start", "period_end")
    billed = [Period(start, end) for start, end in bounds.order_by("-period_start", "id")[:OFFERED_INVOICES]]
    calendar = Calendar(billed, now=now, zone=customer.zone)
    return UsageQuery(asked, calendar=calendar, meters=visible_meters(customer))
