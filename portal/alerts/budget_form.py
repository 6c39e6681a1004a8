"""The form of a customer's budget: so much a period, and where to tell."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from invoices.alerting.alerts import watchable_currencies
from invoices.alerting.budgets import MARKS, Budget, set_budget
from meters.models import Customer
from portal.alerts.form import LONGEST_NUMBER
from pricing.money import amount_text


class BudgetForm(forms.Form):
    """Shows the one budget that there is; of several, none."""

    budget = forms.CharField(
        required=False,
        max_length=LONGEST_NUMBER,
        label="Budget of a period",
        help_text="Before tax. A budget tells you; it does not stop usage.",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    currency = forms.ChoiceField(
        required=False, error_messages={"invalid_choice": "None of your running bills is in this currency."}
    )
    marks = forms.MultipleChoiceField(
        label="Send a mail when it is used up to",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=[(str(mark), f"{mark}%") for mark in MARKS],
        error_messages={"invalid_choice": "Choose among these."},
    )

    def __init__(self, data: Any, *, customer: Customer, budgets: Sequence[Budget]) -> None:
        self.customer = customer
        self.currencies = watchable_currencies(customer)
        super().__init__(data, auto_id="id_budget_%s", initial=self._stored(budgets))
        if len(self.currencies) == 1:
            del self.fields["currency"]
            self.fields["budget"].label = f"Budget of a period, in {self.currencies[0]}"
        else:
            field = self.fields["currency"]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", "Choose a currency"), *((code, code) for code in self.currencies)]

    def _stored(self, budgets: Sequence[Budget]) -> dict[str, Any]:
        every = [str(mark) for mark in MARKS]
        if len(budgets) != 1 or budgets[0].currency not in self.currencies:
            return {"marks": every}
        [one] = budgets
        return {
            "budget": amount_text(one.amount, one.currency),
            "currency": one.currency,
            "marks": [str(mark) for mark in MARKS if mark in one.thresholds] or every,
        }

    def save(self, actor: str) -> Budget | None:
        """Sets it; None where that is refused, which is told at the fields then."""
        try:
            return set_budget(
                self.customer,
                amount=self.cleaned_data["budget"],
                currency=self.cleaned_data.get("currency", ""),
                marks=[Decimal(mark) for mark in self.cleaned_data["marks"]],
                actor=actor,
            )
        except ValidationError as error:
            faults = error.error_dict if hasattr(error, "error_dict") else {None: error.error_list}
            for name, texts in faults.items():
                self.add_error(name if name in self.fields else None, texts)
            return None
