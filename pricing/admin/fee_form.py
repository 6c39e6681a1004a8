"""The form of a fee, of which only the fields of the chosen kind count."""

import re
import unicodedata
from typing import Any

from django import forms

from meters.admin.fields import NumberField
from pricing.inputs import key_taken
from pricing.models import Fee, PlanVersion
from pricing.plans import set_fee

KINDS = [
    (Fee.Kind.RECURRING, "Recurring: in every period"),
    (Fee.Kind.ONE_TIME, "One-time: in a customer's first period"),
    (Fee.Kind.PERCENT, "Percent: of what usage and other fees come to"),
]


class FeeForm(forms.Form):
    name = forms.CharField(max_length=200, help_text="What customers read on the bill, for example Seats.")
    kind = forms.ChoiceField(choices=KINDS, widget=forms.RadioSelect, initial=Fee.Kind.RECURRING)
    amount = NumberField(min_value=0)
    percent = NumberField(min_value=0, help_text="For example 10.")
    quantity = NumberField(
        min_value=0, help_text="How many. An assignment can say otherwise, for example a customer's number of seats."
    )
    unit = forms.CharField(
        max_length=40, required=False, help_text="What is counted, plural, for example seats. Empty: nothing to count."
    )
    prorated = forms.BooleanField(
        required=False,
        initial=True,
        help_text="A first or last period that is not a whole one owes its share by calendar days.",
    )
    key = forms.CharField(
        max_length=100,
        required=False,
        help_text="What imports and the API call it; the same in every version. Empty: made of the name.",
    )

    def __init__(self, data: Any = None, *, version: PlanVersion, fee: Fee | None = None) -> None:
        self.version, self.fee = version, fee
        names = ("name", "kind", "amount", "percent", "quantity", "unit", "prorated")
        super().__init__(data, initial={name: getattr(fee, name) for name in names} if fee else {"quantity": 1})
        self.fields["amount"].help_text = f"In {version.currency}, of one, for a whole period."
        if fee is not None:
            # Quantities of assignments and the bills before know the fee by its key.
            del self.fields["key"]

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        needed = "percent" if data.get("kind") == Fee.Kind.PERCENT else "amount"
        if needed not in self.errors and data.get(needed) is None:
            self.add_error(needed, "Write a number." if needed == "percent" else "Write a number; 0 is one too.")
        if self.fee is None:
            self._clean_new_key(data)
        return data

    def _clean_new_key(self, data: dict[str, Any]) -> None:
        data["key"] = data.get("key") or key_of_name(data.get("name", ""))
        if not data["key"] and "name" not in self.errors:
            self.add_error("key", "No key can be made of this name: write one.")
        elif self.version.fees.filter(key=data["key"]).exists():
            self.add_error("key", key_taken(Fee))

    def save(self) -> Fee:
        """Puts the fee into the draft. Raises ValidationError where the draft refuses it."""
        data = self.cleaned_data
        key = self.fee.key if self.fee else data["key"]
        if data["kind"] == Fee.Kind.PERCENT:
            return set_fee(self.version, key=key, name=data["name"], kind=data["kind"], percent=data["percent"])
        # An emptied quantity means what a fee means that nobody counts.
        quantity = 1 if data["quantity"] is None else data["quantity"]
        return set_fee(
            self.version,
            key=key,
            name=data["name"],
            kind=data["kind"],
            amount=data["amount"],
            quantity=quantity,
            unit=data["unit"],
            prorated=data["prorated"] if data["kind"] == Fee.Kind.RECURRING else True,
        )


def key_of_name(name: str) -> str:
    """ "Priority support" is "priority-support"; empty where no letter to begin with is left."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-0123456789")[:100] if re.search("[a-z]", letters) else ""
