"""The "Try it" panel of a plan: what a typed quantity of one product item costs by the draft and the active version."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.http import QueryDict

from pricing.admin.rate_form import worded
from pricing.explain import Row, rows
from pricing.models import PlanVersion, Rate
from pricing.money import format_money, format_quantity
from pricing.rate_fields import RateError, read_number
from pricing.rates import charge


@dataclass(frozen=True, slots=True)
class Trial:
    """What the typed quantity costs by one version: the amount as it is billed, and the steps to it."""

    version: PlanVersion
    quantity: str
    amount: str
    rows: Sequence[Row]


class TryForm(forms.Form):
    """The query string of "Try it": a product item of the plan and a quantity."""

    item = forms.ChoiceField(label="Product item")
    quantity = forms.CharField(
        max_length=100, widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "size": 12})
    )

    def __init__(self, data: QueryDict | None, *, items: dict[int, str]) -> None:
        super().__init__(data)
        field = self.fields["item"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(items.items())

    def clean_quantity(self) -> Decimal:
        text = self.cleaned_data["quantity"].strip()
        if "," in text:
            raise forms.ValidationError("Leave out thousands separators: 12300.")
        try:
            return read_number(text, "quantity")
        except RateError as error:
            raise forms.ValidationError(worded(error.message)) from None


def try_panel(versions: Sequence[PlanVersion], query: QueryDict) -> dict[str, Any]:
    """The context of `plan/_try_it.html`. `versions` have their rates, items and meters at hand."""
    rates = [rate for version in versions for rate in version.rates.all()]
    items = {rate.product_item_id: str(rate.product_item) for rate in rates}
    form = TryForm(query if "quantity" in query else None, items=items)
    tried = form.is_bound and form.is_valid()
    return {"try_form": form if items else None, "trials": _trials(versions, form) if tried else []}


def _trials(versions: Sequence[PlanVersion], form: TryForm) -> list[Trial]:
    item, quantity = int(form.cleaned_data["item"]), form.cleaned_data["quantity"]
    return [
        _trial(version, rate, quantity)
        for version in versions
        for rate in version.rates.all()
        if rate.product_item_id == item
    ]


def _trial(version: PlanVersion, rate: Rate, quantity: Decimal) -> Trial:
    charged = charge(rate.parsed, quantity)
    unit = rate.product_item.meter.unit
    return Trial(
        version=version,
        quantity=f"{format_quantity(quantity)} {unit or 'units'}",
        amount=format_money(charged.amount, version.currency),
        rows=rows(charged.steps, unit=unit, currency=version.currency),
    )
