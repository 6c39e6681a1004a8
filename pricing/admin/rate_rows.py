"""The rows of the rate form: tiers, and the conditions of the filter."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms

MOST_TIERS = 100
MOST_CONDITIONS = 20

# What a tier of each model is made of beside its bound: what it must say, and what it may.
TIER_FIELDS: dict[str, tuple[list[str], list[str]]] = {
    "graduated": (["unit_price"], ["flat_fee"]),
    "volume": (["unit_price"], ["flat_fee"]),
    "graduated_block": (["block_size", "block_price"], ["flat_fee"]),
    "volume_block": (["block_size", "block_price"], ["flat_fee"]),
    "graduated_percentage": (["rate_percent"], ["flat_fee"]),
    "stairstep": (["flat_price"], []),
}

# The columns of the table of tiers, beside the bounds, with the models whose tiers have them.
TIER_COLUMNS = {
    name: " ".join(model for model, fields in TIER_FIELDS.items() if name in [*fields[0], *fields[1]])
    for name in ("unit_price", "block_size", "block_price", "rate_percent", "flat_price", "flat_fee")
}


def number_field(**kwargs: Any) -> forms.CharField:
    # Text and not a number input: browsers drop what they cannot read, and a price must not be guessed.
    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "class": "rate-number"})
    return forms.CharField(required=False, max_length=100, widget=widget, **kwargs)


class RowForm(forms.Form):
    """Fields without labels of their own: a table's heading names them, and the same to those who hear the page."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["aria-label"] = field.label


class TierForm(RowForm):
    up_to = number_field(label="Up to and including")
    unit_price = number_field(label="Price per unit")
    block_size = number_field(label="Units in a block")
    block_price = number_field(label="Price per block")
    rate_percent = number_field(label="Percent")
    flat_price = number_field(label="Price in all")
    flat_fee = number_field(label="Flat fee")

    @property
    def cells(self) -> list[tuple[forms.BoundField, str]]:
        """The fields beside the bound, each with the models whose tiers have it."""
        return [(self[name], models) for name, models in TIER_COLUMNS.items()]

    def typed(self, model: str) -> dict[str, str]:
        """What was typed into the fields that a tier of the model has; those of other models were never meant."""
        required, optional = TIER_FIELDS[model]
        return {name: self.cleaned_data.get(name) or "" for name in ("up_to", *required, *optional)}

    def parameters(self, model: str) -> dict[str, Any]:
        """The tier as `parse_rate` reads it."""
        typed = self.typed(model)
        required, _ = TIER_FIELDS[model]
        told = {name: text for name, text in typed.items() if text or name in required}
        return {**told, "up_to": typed["up_to"] or None}


class ConditionForm(RowForm):
    """One condition of a filter: a dimension, and the texts that count, one on a line."""

    dimension = forms.ChoiceField(label="Dimension", required=False)
    texts = forms.CharField(
        label="Is one of",
        required=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 2, "cols": 30, "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, dimensions: Iterable[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["dimension"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "All usage"), *((name, name) for name in dimensions)]

    def lines(self) -> list[str]:
        return lines_of(self.cleaned_data.get("texts") or "")


TierFormSet = forms.formset_factory(TierForm, extra=0, can_delete=True, max_num=MOST_TIERS, validate_max=True)
ConditionFormSet = forms.formset_factory(
    ConditionForm, extra=0, can_delete=True, max_num=MOST_CONDITIONS, validate_max=True
)


def lines_of(texts: str) -> list[str]:
    """The values that were typed: each once, without blanks around it and empty lines."""
    return list(dict.fromkeys(text.strip() for text in texts.splitlines() if text.strip()))


def condition_rows(where: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """A filter as what its rows begin with; an empty one for none."""
    return [{"dimension": name, "texts": "\n".join(texts)} for name, texts in sorted(where.items())] or [{}]


def typed_rows(data: Mapping[str, Any], prefix: str, fields: Iterable[str], most: int) -> list[dict[str, str]]:
    """What was typed into the rows of a formset, as it was typed."""
    total = str(data.get(f"{prefix}-TOTAL_FORMS", ""))
    # A number of rows with many digits is nobody's form.
    rows = min(int(total), most) if total.isascii() and total.isdigit() and len(total) < 9 else 0
    return [
        {name: data.get(f"{prefix}-{row}-{name}", "") for name in fields}
        for row in range(rows)
        if not data.get(f"{prefix}-{row}-DELETE")
    ]
