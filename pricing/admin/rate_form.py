"""The form of a rate: what staff type becomes the parameters that `pricing.rates.parse_rate` reads, and what it
refuses goes back beside the field, or into the tier row, that it is about."""

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from meters.admin.base import add_errors
from pricing.models import PlanVersion, ProductItem, Rate
from pricing.plans import set_rate
from pricing.rate_fields import read_number
from pricing.rate_models import PRORATE, ROUND_DOWN, ROUND_UP
from pricing.rates import RateError, parse_rate

MODELS = [
    ("per_unit", "Per unit: every unit at one price"),
    ("block", "Block: a price for each block of units"),
    ("graduated", "Graduated: each tier prices the units inside it"),
    ("volume", "Volume: the tier that the total falls in prices all units"),
]
REQUIRED = {"per_unit": ["unit_price"], "block": ["block_size", "block_price"], "graduated": [], "volume": []}
OPTIONAL = ["included_units", "minimum", "maximum"]
TIERED = ("graduated", "volume")
MOST_TIERS = 100

# What parse_rate says to programs, in the words of this form.
WORDS = {
    "must be null in the last tier": (
        "The last tier takes everything above: leave its bound empty, or add a tier below it."
    ),
    "must be a number in every tier but the last": "Fill in the bound: only the last tier is without one.",
    "must be greater than the up_to of the tier before": "Must be greater than the bound of the tier before.",
    'must be a number written as text, such as "12.5"': "Write a number, such as 1000 or 12.5.",
}
_TIER_PATH = re.compile(r"tiers\[([0-9]+)\](?:\.(\w+))?")


def _number(**kwargs: Any) -> forms.CharField:
    # Text and not a number input: browsers drop what they cannot read, and a price must not be guessed.
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "class": "rate-number"})
    return forms.CharField(required=False, max_length=100, widget=widget, **kwargs)


class TierForm(forms.Form):
    up_to = _number(label="Up to and including")
    unit_price = _number(label="Price per unit")
    flat_fee = _number(label="Flat fee")

    @property
    def values(self) -> dict[str, str]:
        return {name: self.cleaned_data.get(name) or "" for name in ("up_to", "unit_price", "flat_fee")}


TierFormSet = forms.formset_factory(TierForm, extra=0, can_delete=True, max_num=MOST_TIERS, validate_max=True)


class RateForm(forms.Form):
    product_item = forms.ModelChoiceField(ProductItem.objects.none(), empty_label="Choose a product item")
    model = forms.ChoiceField(label="Rate model", choices=MODELS, widget=forms.RadioSelect, initial="per_unit")
    included_units = _number(help_text="Free in every period, before anything is priced. Empty: none.")
    unit_price = _number(label="Price per unit")
    block_size = _number(help_text="Units in a block.")
    block_price = _number(label="Price per block")
    partial_block = forms.ChoiceField(
        choices=[
            (ROUND_UP, "Counts in full"),
            (ROUND_DOWN, "Is free"),
            (PRORATE, "Counts in proportion"),
        ],
        label="A started block",
        required=False,
        initial=ROUND_UP,
    )
    minimum = _number(label="Minimum amount", help_text="Owed in every period, with or without usage. Empty: none.")
    maximum = _number(label="Maximum amount", help_text="A period never costs more. Empty: no limit.")

    def __init__(
        self,
        data: Any = None,
        *,
        version: PlanVersion,
        rate: Rate | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """`data` was sent to be saved; `parameters` is what the fields begin with, by default the rate's own."""
        self.version, self.rate = version, rate
        if parameters is None:
            parameters = rate.parameters if rate else {}
        super().__init__(data, initial={name: value for name, value in parameters.items() if name != "tiers"})
        if rate is None:
            items = self.fields["product_item"]
            assert isinstance(items, forms.ModelChoiceField)
            items.queryset = items_to_add(version)
        else:
            del self.fields["product_item"]
        begin = None if data is not None else parameters.get("tiers") or [{}, {}]
        self.tiers = TierFormSet(data, prefix="tiers", initial=begin)

    def is_valid(self) -> bool:
        return super().is_valid() and not any(form.errors for form in self.tiers.forms)

    def clean(self) -> dict[str, Any]:
        """Only the fields of the chosen model count: what is left in the others was never meant."""
        data = self.cleaned_data
        model = data.get("model")
        if model is None:
            return data
        for name in [*REQUIRED[model], *OPTIONAL]:
            self._check(self, name, data.get(name), required=name in REQUIRED[model])
        if model in TIERED:
            self._check_tiers()
        if not self.errors and not any(form.errors for form in self.tiers.forms):
            try:
                parse_rate(self.parameters())
            except RateError as error:
                self._refuse(error)
        return data

    def parameters(self) -> dict[str, Any]:
        """What was typed as the JSON form of a rate."""
        data = self.cleaned_data
        model = data["model"]
        names = [*REQUIRED[model], *OPTIONAL, *(["partial_block"] if model == "block" else [])]
        parameters = {"model": model} | {name: data[name] for name in names if data.get(name)}
        if model in TIERED:
            parameters["tiers"] = [_tier(form) for form in self.used_tiers()]
        return parameters

    def used_tiers(self) -> list[TierForm]:
        """The rows that are tiers: those not removed and not wholly empty."""
        return [
            form
            for form in self.tiers.forms
            if form.is_valid() and not form.cleaned_data.get("DELETE") and any(form.values.values())
        ]

    def save(self) -> Rate | None:
        """Puts the price into the draft. None, with the errors in the form, where the draft refuses it."""
        item = self.rate.product_item if self.rate else self.cleaned_data["product_item"]
        try:
            return set_rate(self.version, product_item=item, parameters=self.parameters())
        except ValidationError as error:
            add_errors(self, error)
        return None

    def _check_tiers(self) -> None:
        if not self.tiers.is_valid() and self.tiers.non_form_errors():
            self.add_error(None, self.tiers.non_form_errors().as_data()[0])
        tiers = self.used_tiers()
        if not tiers:
            self.add_error(None, "Add at least one tier.")
        for tier in tiers:
            for name, text in tier.values.items():
                self._check(tier, name, text, required=name == "unit_price")

    @staticmethod
    def _check(form: forms.Form, name: str, text: str | None, *, required: bool) -> None:
        if not text:
            if required:
                form.add_error(name, "Write a number; 0 is one too.")
            return
        if "," in text:
            form.add_error(name, "Leave out thousands separators, and write decimals with a point: 5000 or 0.25.")
            return
        try:
            read_number(text, name)
        except RateError as error:
            form.add_error(name, worded(error.message))

    def _refuse(self, error: RateError) -> None:
        message = worded(error.message)
        if match := _TIER_PATH.fullmatch(error.path):
            field = match[2] if match[2] in TierForm.base_fields else None
            self.used_tiers()[int(match[1])].add_error(field, message)
        else:
            self.add_error(error.path if error.path in self.fields else None, message)


def one_tier_more(data: Mapping[str, Any]) -> dict[str, Any]:
    """What was typed so far and an empty tier behind it: "Add tier" where no JavaScript adds the row."""
    total = str(data.get("tiers-TOTAL_FORMS", ""))
    rows = min(int(total), MOST_TIERS) if total.isascii() and total.isdigit() else 0
    tiers = [{name: data.get(f"tiers-{row}-{name}", "") for name in TierForm.base_fields} for row in range(rows)]
    return {name: data[name] for name in RateForm.base_fields if name in data} | {"tiers": [*tiers, {}]}


def items_to_add(version: PlanVersion) -> Any:
    """The product items that a draft has no price for."""
    priced = version.rates.values("product_item")
    return ProductItem.objects.filter(retired_at=None).exclude(pk__in=priced).select_related("meter")


def worded(message: str) -> str:
    return WORDS.get(message, f"{message[:1].upper()}{message[1:]}.")


def _tier(form: TierForm) -> dict[str, Any]:
    values = form.values
    tier: dict[str, Any] = {"up_to": values["up_to"] or None, "unit_price": values["unit_price"]}
    return tier | ({"flat_fee": values["flat_fee"]} if values["flat_fee"] else {})
