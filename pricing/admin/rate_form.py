"""The form of a rate: what staff type becomes the parameters that `pricing.rates.parse_rate` reads, and what it
refuses goes back beside the field, or into the row, that it is about."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction

from meters.admin.base import add_errors
from meters.models import Meter
from pricing.admin.rate_rows import (
    MOST_CONDITIONS,
    MOST_TIERS,
    TIER_FIELDS,
    ConditionForm,
    ConditionFormSet,
    TierForm,
    TierFormSet,
    condition_rows,
    lines_of,
    number_field,
    typed_rows,
)
from pricing.models import PlanVersion, ProductItem, Rate
from pricing.plans import remove_rate, set_rate
from pricing.rate_fields import read_number
from pricing.rate_models import PRORATE, ROUND_DOWN, ROUND_UP
from pricing.rates import RateError, parse_rate

MODELS = [
    ("per_unit", "Per unit: every unit at one price"),
    ("block", "Block: a price for each block of units"),
    ("graduated", "Graduated: each tier prices the units inside it"),
    ("volume", "Volume: the tier that the total falls in prices all units"),
    ("graduated_block", "Graduated blocks: each tier prices the units inside it in blocks"),
    ("volume_block", "Volume blocks: the tier that the total falls in prices all units in blocks"),
    ("percentage", "Percentage: a share of an amount of money"),
    ("graduated_percentage", "Graduated percentage: each tier takes its share of the amount inside it"),
    ("stairstep", "Stairstep: one price for the tier that the total falls in"),
]
EVENT_FIELDS = ["fixed_fee_per_event", "per_event_min", "per_event_max", "free_events", "free_amount"]
# What each model has beside tiers: what it must say, and what it may.
FIELDS: dict[str, tuple[list[str], list[str]]] = {
    "per_unit": (["unit_price"], []),
    "block": (["block_size", "block_price"], []),
    "percentage": (["rate_percent"], EVENT_FIELDS),
}
OPTIONAL = ["included_units", "minimum", "maximum"]

# What parse_rate says to programs, in the words of this form.
WORDS = {
    "must be null in the last tier": (
        "The last tier takes everything above: leave its bound empty, or add a tier below it."
    ),
    "must be a number in every tier but the last": "Fill in the bound: only the last tier is without one.",
    "must be greater than the up_to of the tier before": "Must be greater than the bound of the tier before.",
    'must be a number written as text, such as "12.5"': "Write a number, such as 1000 or 12.5.",
    "must not be below the per_event_min": "Must not be below the minimum of an event.",
}
_TIER_PATH = re.compile(r"tiers\[([0-9]+)\](?:\.(\w+))?")


class RateForm(forms.Form):
    product_item = forms.ModelChoiceField(ProductItem.objects.none(), empty_label="Choose a product item")
    model = forms.ChoiceField(label="Rate model", choices=MODELS, widget=forms.RadioSelect, initial="per_unit")
    included_units = number_field(help_text="Free in every period, before anything is priced. Empty: none.")
    unit_price = number_field(label="Price per unit")
    block_size = number_field(help_text="Units in a block.")
    block_price = number_field(label="Price per block")
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
    rate_percent = number_field(label="Percent", help_text="Of the amount that the meter measures, for example 2.9.")
    fixed_fee_per_event = number_field(label="Fee per event", help_text="Beside the percentage. Empty: none.")
    per_event_min = number_field(label="Minimum of an event", help_text="Percentage and fee together. Empty: none.")
    per_event_max = number_field(label="Maximum of an event", help_text="Percentage and fee together. Empty: no limit.")
    free_events = number_field(help_text="So many first events of a period are free.")
    free_amount = number_field(
        help_text="Events are free until they have come to this; with free events too, while both last."
    )
    minimum = number_field(
        label="Minimum amount", help_text="Owed in every period, with or without usage. Empty: none."
    )
    maximum = number_field(label="Maximum amount", help_text="A period never costs more. Empty: no limit.")
    prorated = forms.BooleanField(
        required=False,
        help_text="In a part of a period, what is free and the tiers shrink by its calendar days. Prices stay.",
    )

    def __init__(
        self,
        data: Any = None,
        *,
        version: PlanVersion,
        rate: Rate | None = None,
        begin: Mapping[str, Any] | None = None,
    ) -> None:
        """`data` was sent to be saved; `begin` is what the fields and rows begin with, by default the rate's own."""
        self.version, self.rate = version, rate
        if begin is None:
            begin = _begin_of(rate) if rate else {}
        super().__init__(data, initial={name: value for name, value in begin.items() if name in self.base_fields})
        if rate is None:
            items = self.fields["product_item"]
            assert isinstance(items, forms.ModelChoiceField)
            items.queryset = items_to_add(version)
        else:
            del self.fields["product_item"]
        tiers = None if data is not None else begin.get("tiers") or [{}, {}]
        self.tiers = TierFormSet(data, prefix="tiers", initial=tiers)
        conditions = None if data is not None else begin.get("where") or [{}]
        dimensions = self._dimensions()
        self.has_dimensions = bool(dimensions)
        self.conditions = ConditionFormSet(
            data, prefix="where", initial=conditions, form_kwargs={"dimensions": dimensions}
        )

    def is_valid(self) -> bool:
        return super().is_valid() and not self._rows_have_errors()

    @property
    def has_errors(self) -> bool:
        return self.is_bound and not self.is_valid()

    def clean(self) -> dict[str, Any]:
        """Only the fields of the chosen model count: what is left in the others was never meant."""
        data = self.cleaned_data
        self._check_conditions()
        model = data.get("model")
        if model is None:
            return data
        required, optional = FIELDS.get(model, ([], []))
        for name in [*required, *optional, *OPTIONAL]:
            self._check(self, name, data.get(name), required=name in required)
        if model in TIER_FIELDS:
            self._check_tiers(model)
        if not self.errors and not self._rows_have_errors():
            try:
                parse_rate(self.parameters())
            except RateError as error:
                self._refuse(error)
            self._check_other_rates()
        return data

    def parameters(self) -> dict[str, Any]:
        """What was typed as the JSON form of a rate."""
        data = self.cleaned_data
        model = data["model"]
        required, optional = FIELDS.get(model, ([], []))
        names = [*required, *optional, *OPTIONAL, *(["partial_block"] if model == "block" else [])]
        parameters = {"model": model} | {name: data[name] for name in names if data.get(name)}
        if model in TIER_FIELDS:
            parameters["tiers"] = [form.parameters(model) for form in self.used_tiers()]
        return parameters

    def where(self) -> dict[str, list[str]]:
        """The filter that was typed; empty for none."""
        typed = {form.cleaned_data["dimension"]: form.lines() for form in self._used_conditions()}
        if self.rate is not None and typed == _as_typed(self.rate.where):
            # Left as it was: a value may have blanks around it, which nobody can type here.
            return dict(self.rate.where)
        return typed

    def used_tiers(self) -> list[TierForm]:
        """The rows that are tiers: those not removed and not wholly empty."""
        model = self.cleaned_data["model"]
        return [
            form
            for form in self.tiers.forms
            if form.is_valid() and not form.cleaned_data.get("DELETE") and any(form.typed(model).values())
        ]

    def save(self) -> Rate | None:
        """Puts the price into the draft; with another filter than before, in place of the one it had before. None,
        with the errors in the form, where the draft refuses it."""
        try:
            with transaction.atomic():
                saved = set_rate(
                    self.version,
                    product_item=self._item(),
                    parameters=self.parameters(),
                    where=self.where(),
                    prorated=self.cleaned_data["prorated"],
                )
                if self.rate is not None and saved.pk != self.rate.pk:
                    remove_rate(self.rate)
                return saved
        except ValidationError as error:
            add_errors(self, error)
        return None

    def _item(self) -> ProductItem:
        item: ProductItem = self.rate.product_item if self.rate else self.cleaned_data["product_item"]
        return item

    def _dimensions(self) -> list[str]:
        """Those that can be chosen: of the item, or before there is one, of all items."""
        if self.rate is not None:
            return sorted({*self.rate.product_item.meter.dimensions, *self.rate.where})
        items = items_to_add(self.version)
        return sorted({name for item in items for name in item.meter.dimensions})

    def whose_dimensions(self) -> list[tuple[str, str]]:
        """Where there is no item yet, which dimensions belong to which; nothing where that needs no saying."""
        if self.rate is not None:
            return []
        declared = [(str(item), ", ".join(item.meter.dimensions) or "none") for item in items_to_add(self.version)]
        return declared if len({names for _, names in declared}) > 1 else []

    def _rows_have_errors(self) -> bool:
        return any(form.errors for rows in (self.tiers, self.conditions) for form in rows.forms)

    # --- Tiers ---

    def _check_tiers(self, model: str) -> None:
        if not self.tiers.is_valid() and self.tiers.non_form_errors():
            self.add_error(None, self.tiers.non_form_errors().as_data()[0])
        tiers = self.used_tiers()
        if not tiers:
            self.add_error(None, "Add at least one tier.")
        required, _ = TIER_FIELDS[model]
        for tier in tiers:
            for name, text in tier.typed(model).items():
                self._check(tier, name, text, required=name in required)

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

    # --- The filter ---

    def _used_conditions(self) -> list[ConditionForm]:
        """The rows that are conditions: those not removed and not wholly empty."""
        return [
            form
            for form in self.conditions.forms
            if form.is_valid()
            and not form.cleaned_data.get("DELETE")
            and (form.cleaned_data.get("dimension") or form.lines())
        ]

    def _check_conditions(self) -> None:
        if not self.conditions.is_valid() and self.conditions.non_form_errors():
            self.add_error(None, self.conditions.non_form_errors().as_data()[0])
        meter: Meter | None = self._item().meter if self.rate or self.cleaned_data.get("product_item") else None
        seen: set[str] = set()
        for row in self._used_conditions():
            name = row.cleaned_data.get("dimension")
            if not name:
                row.add_error("dimension", "Choose the dimension that has these values.")
            elif meter is not None and name not in meter.dimensions:
                declared = ", ".join(meter.dimensions) or "none"
                row.add_error("dimension", f"This is no dimension of {meter}, which declares {declared}.")
            elif name in seen:
                row.add_error("dimension", f"Put all values of {name} into one row.")
            elif not row.lines():
                row.add_error("texts", "Write the values that this price is for, one on a line.")
            seen.add(name or "")

    def _check_other_rates(self) -> None:
        """A price must not be put in place of another one unseen."""
        others = self.version.rates.filter(product_item=self._item())
        if self.rate is not None:
            others = others.exclude(pk=self.rate.pk)
        wanted = {name: set(texts) for name, texts in self.where().items()}
        if any({name: set(texts) for name, texts in other.where.items()} == wanted for other in others):
            only = "where exactly this is so" if wanted else "without a condition"
            field = "product_item" if "product_item" in self.fields else None
            self.add_error(field, f"{self._item()} has a price {only} already: edit that one.")


def _as_typed(where: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {row["dimension"]: lines_of(row["texts"]) for row in condition_rows(where) if row}


def _begin_of(rate: Rate) -> dict[str, Any]:
    return {**rate.parameters, "prorated": rate.prorated, "where": condition_rows(rate.where)}


def one_row_more(data: Mapping[str, Any], rows: str) -> dict[str, Any]:
    """What was typed so far, and one more of the rows "tiers" or "where": "Add" where no JavaScript adds the row."""
    begin: dict[str, Any] = {name: data[name] for name in RateForm.base_fields if name in data}
    begin["tiers"] = typed_rows(data, "tiers", TierForm.base_fields, MOST_TIERS)
    begin["where"] = typed_rows(data, "where", ConditionForm.base_fields, MOST_CONDITIONS)
    begin[rows].append({})
    return begin


def items_to_add(version: PlanVersion) -> Any:
    """The product items that a draft has no price for, and those that can have several: of meters with dimensions."""
    priced = version.rates.values("product_item")
    items = ProductItem.objects.filter(retired_at=None).select_related("meter")
    return items.exclude(pk__in=priced, meter__dimensions=[])


def worded(message: str) -> str:
    return WORDS.get(message, f"{message[:1].upper()}{message[1:]}.")
