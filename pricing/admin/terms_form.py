"""The form of a version's terms: how often it bills, in what, and what it charges beside usage and fees."""

from decimal import Decimal
from typing import Any

from django import forms

from meters.admin.fields import NumberField
from pricing.models import PlanVersion
from pricing.plans import set_terms

NONE, MINIMUM, COMMITMENT = "none", "minimum", "commitment"
INTERVALS = [(value, f"{label}(s)".lower()) for value, label in PlanVersion.Interval.choices]


class TermsForm(forms.Form):
    interval_count = forms.IntegerField(
        label="Every", min_value=1, max_value=366, widget=forms.NumberInput(attrs={"class": "short-number"})
    )
    interval = forms.ChoiceField(choices=INTERVALS, widget=forms.Select(attrs={"aria-label": "Unit of time"}))
    alignment = forms.ChoiceField(
        label="Periods begin",
        choices=[
            (PlanVersion.Alignment.CALENDAR, "By the calendar: on Mondays, on the 1st, on 1 January"),
            (PlanVersion.Alignment.ANNIVERSARY, "On the customer's anniversary: the day that it began"),
        ],
        widget=forms.RadioSelect,
    )
    currency = forms.CharField(
        min_length=3,
        max_length=3,
        widget=forms.TextInput(attrs={"class": "short-number", "autocomplete": "off"}),
        help_text="Three letters, such as USD, EUR or JPY. Prices keep their numbers when it changes.",
    )
    trial_days = forms.IntegerField(
        label="Trial days",
        min_value=0,
        max_value=3650,
        widget=forms.NumberInput(attrs={"class": "short-number"}),
        help_text="Nothing is charged for a customer's first days on the plan. 0: no trial.",
    )
    floor = forms.ChoiceField(
        label="A period comes to",
        choices=[
            (NONE, "What usage and fees come to"),
            (MINIMUM, "At least a minimum: what is missing is added"),
            (COMMITMENT, "At least a commitment; what goes beyond it is charged times a factor"),
        ],
        widget=forms.RadioSelect,
    )
    minimum = NumberField(min_value=0)
    commitment = NumberField(min_value=0)
    overage_factor = NumberField(
        min_value=0,
        empty_value=Decimal(1),
        help_text="1: no surcharge. 1.25: what goes beyond the commitment costs 25% more.",
    )

    def __init__(self, data: Any = None, *, version: PlanVersion) -> None:
        self.version = version
        super().__init__(data, initial=_initial(version))
        if version.plan.is_private:
            del self.fields["currency"]  # that of its base plan
        for name in ("minimum", "commitment"):
            self.fields[name].help_text = f"In {version.currency}, for a whole period, before tax."

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).upper()

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        floor = data.get("floor")
        if floor in (MINIMUM, COMMITMENT) and floor not in self.errors and not data.get(floor):
            self.add_error(floor, "Write an amount above 0.")
        return data

    def save(self) -> PlanVersion:
        """Gives the draft what differs from what it has. Raises ValidationError where the draft refuses it."""
        data = dict(self.cleaned_data)
        floor = data.pop("floor")
        if floor != MINIMUM:
            data["minimum"] = Decimal(0)
        if floor != COMMITMENT:
            data |= {"commitment": None, "overage_factor": Decimal(1)}
        return set_terms(self.version, **{n: v for n, v in data.items() if v != getattr(self.version, n)})


def _initial(version: PlanVersion) -> dict[str, Any]:
    names = ("interval_count", "interval", "alignment", "currency", "trial_days", "overage_factor", "commitment")
    floor = COMMITMENT if version.commitment is not None else MINIMUM if version.minimum else NONE
    return {name: getattr(version, name) for name in names} | {"floor": floor, "minimum": version.minimum or None}
