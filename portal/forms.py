"""What people type, checked: the sign-in and the query of the usage page."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import AuthenticationForm, UsernameField

from meters.models import Customer, Meter
from meters.periods import Period, local_date, month_of, windows
from meters.words import INSTANT

RECENT_MONTHS = 6


class SignInForm(AuthenticationForm):
    """Takes the user name, or the e-mail address where exactly one account has it."""

    username = UsernameField(
        label="E-mail or user name", widget=forms.TextInput(attrs={"autofocus": True, "autocapitalize": "none"})
    )
    error_messages = AuthenticationForm.error_messages | {
        "invalid_login": "That e-mail or user name and password do not go together. Check both and try again.",
    }

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        users = get_user_model().objects
        if "@" not in name or users.filter(username=name).exists():
            return name
        named = list(users.filter(email__iexact=name, is_active=True)[:2])
        return named[0].get_username() if len(named) == 1 else name


class SwitchForm(forms.Form):
    """Which of a person's customers to look at."""

    customer = forms.ModelChoiceField(Customer.objects.none())

    def __init__(self, data: Mapping[str, Any], *, customers: Sequence[Customer]) -> None:
        super().__init__(data)
        field = self.fields["customer"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Customer.objects.filter(pk__in=[customer.pk for customer in customers])


class UsageQuery(forms.Form):
    """The query string of the usage page. What is missing has a default; what is wrong is said beside its field."""

    period = forms.ChoiceField(
        label="Month", error_messages={"invalid_choice": "“%(value)s” is not a month that can be shown."}
    )
    meter = forms.ChoiceField(
        label="Meter", error_messages={"invalid_choice": "There is no usage of “%(value)s” to show."}
    )
    group = forms.CharField(label="Group by", required=False, widget=forms.Select)

    def __init__(self, query: Mapping[str, Any], *, months: Sequence[Period], meters: Sequence[Meter], zone: ZoneInfo):
        self.months = {month_key(month, zone): month for month in months}
        self.meters = {meter.key: meter for meter in meters}
        self.notice = ""
        defaults = {"period": next(iter(self.months), ""), "meter": next(iter(self.meters), ""), "group": ""}
        data = {name: query.get(name) or default for name, default in defaults.items()}
        chosen = self.meters.get(data["meter"])
        # The choice of a meter may leave a dimension behind that the meter before it had: that is no mistake.
        if chosen and data["group"] and data["group"] not in chosen.dimensions:
            self.notice = f"{chosen} is not split by “{data['group'][:100]}”, so the total is shown."
            data["group"] = ""
        super().__init__(data)
        self._offer("period", [(key, f"{local_date(month.start, zone):%B %Y}") for key, month in self.months.items()])
        self._offer("meter", [(meter.key, str(meter)) for meter in meters])
        widget = self.fields["group"].widget
        assert isinstance(widget, forms.Select)
        widget.choices = [("", "Nothing"), *((name, name) for name in (chosen.dimensions if chosen else []))]

    def _offer(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    @property
    def chosen_month(self) -> Period:
        return self.months[self.cleaned_data["period"]]

    @property
    def chosen_meter(self) -> Meter:
        return self.meters[self.cleaned_data["meter"]]


def month_key(month: Period, zone: ZoneInfo) -> str:
    """ "2026-11"."""
    return f"{local_date(month.start, zone):%Y-%m}"


def offered_months(invoiced: Iterable[Period], *, now: datetime, zone: ZoneInfo) -> list[Period]:
    """This month and those before it, and those up to now that an invoice is about, newest first."""
    this = month_of(now, zone)
    spans = [period.clip(end=this.end) for period in invoiced]
    months = {month_of(part.start, zone) for span in spans for part in windows(span, "month", zone)}
    month = this
    for _ in range(RECENT_MONTHS):
        months.add(month)
        month = month_of(month.start - INSTANT, zone)
    return sorted(months, reverse=True)
