"""The forms of a customer's own alert: with the fields of its kind and no others, and of its test mail."""

import re
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from invoices.alerting.alerts import (
    MOST_PERCENT,
    NEEDS,
    change_own_alert,
    create_own_alert,
    new_alert,
    watchable_currencies,
    watchable_items,
)
from invoices.mailing.recipients import recipients_of
from invoices.models import Alert
from meters.aggregation import plain
from meters.models import Customer
from pricing.models import ProductItem
from pricing.money import amount_text

Kind = Alert.Kind
# By kind: what it is called, and what it is for.
KINDS = {
    Kind.AMOUNT: ("An amount", "When a bill has come to so much, before tax."),
    Kind.BUDGET: ("A budget", "When a share of what you want to spend in a period is used up: 80% of $500.00, say."),
    Kind.FREE_TIER: ("Free units", "When a share of what is free for you is used up, before usage begins to cost."),
    Kind.QUANTITY: ("Usage", "When so many units are used in a period, whatever they cost."),
}
THRESHOLDS = {
    Kind.AMOUNT: ("Amount", "Before tax, after promotions; fees are in it."),
    Kind.BUDGET: ("Percent of the budget", f"For example 80, and at most {MOST_PERCENT:,}."),
    Kind.FREE_TIER: ("Percent of the free units", f"For example 80, and at most {MOST_PERCENT:,}."),
    Kind.QUANTITY: ("Units", "In a period."),
}
# A number of any length is told to be too large, and this is more than the largest has.
LONGEST_NUMBER = 60


def offered_kinds(customer: Customer) -> list[Kind]:
    """Those for which there is something on the customer's running bills."""
    has = {"currency": bool(watchable_currencies(customer)), "product_item": watchable_items(customer).exists()}
    return [kind for kind in KINDS if all(has.get(name, True) for name in NEEDS[kind])]


_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)")


class _Numeric(forms.CharField):
    """Decimal text, which the service reads. Empty: None."""

    widget = forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"})

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, max_length=LONGEST_NUMBER, empty_value=None, **kwargs)

    def clean(self, value: Any) -> str | None:
        text: str | None = super().clean(value)
        if text is not None and not _NUMBER.fullmatch(text):
            raise ValidationError("Write a number in digits, with a point where it has decimals: 1250.50.")
        return text


class OwnAlertForm(forms.Form):
    """`alert` is the one that is changed; without it, a new one of a kind. What is missing the service tells, all of
    it at once."""

    name = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text="What stands at the head of its mails.",
    )
    product_item = forms.ModelChoiceField(
        ProductItem.objects.none(),
        label="Item",
        required=False,
        empty_label="Choose an item",
        error_messages={"invalid_choice": "Your bill has no such item."},
    )
    currency = forms.ChoiceField(
        required=False,
        help_text="Bills in others are not watched.",
        error_messages={"invalid_choice": "None of your running bills is in this currency."},
    )
    budget = _Numeric(label="Budget of a period", help_text="Before tax.")
    threshold = _Numeric()
    recipients = forms.MultipleChoiceField(
        label="Who gets the mail",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: all of them, and whoever joins them later.",
        error_messages={"invalid_choice": "%(value)s is neither this customer’s address nor a portal member’s."},
    )

    def __init__(self, data: Any, *, customer: Customer, kind: str, alert: Alert | None = None) -> None:
        self.customer, self.kind, self.alert = customer, kind, alert
        super().__init__(data)
        self.currencies = watchable_currencies(customer)
        if alert is not None and alert.currency:
            self.currencies = sorted({*self.currencies, alert.currency})
        people = recipients_of(customer)
        self._leave_out(people)
        self._name_threshold()
        self._offer(people)
        if alert is not None:
            self.initial = self._stored(alert, people)

    def _leave_out(self, people: Sequence[str]) -> None:
        needs = NEEDS[self.kind]
        is_there = {
            # An alert about something else is another one.
            "product_item": "product_item" in needs and self.alert is None,
            "budget": "budget" in needs,
            # One goes without saying.
            "currency": "currency" in needs and len(self.currencies) != 1,
            "recipients": bool(people),
        }
        for name, stays in is_there.items():
            if not stays:
                del self.fields[name]

    def _name_threshold(self) -> None:
        threshold = self.fields["threshold"]
        threshold.label, threshold.help_text = THRESHOLDS[Kind(self.kind)]
        money = self.fields.get("budget", threshold if self.kind == Kind.AMOUNT else None)
        if money is not None and len(self.currencies) == 1:
            money.label = f"{money.label}, in {self.currencies[0]}"

    def _offer(self, people: Sequence[str]) -> None:
        items, currency, recipients = (self.fields.get(name) for name in ("product_item", "currency", "recipients"))
        if isinstance(items, forms.ModelChoiceField):
            items.queryset = watchable_items(self.customer)
        if isinstance(currency, forms.ChoiceField):
            currency.choices = [("", "Choose a currency"), *((code, code) for code in self.currencies)]
        if isinstance(recipients, forms.MultipleChoiceField):
            recipients.choices = [(address, address) for address in people]

    def _stored(self, alert: Alert, people: Sequence[str]) -> dict[str, Any]:
        given = {address.casefold() for address in alert.recipients}
        is_money = alert.kind == Kind.AMOUNT
        return {
            "name": alert.name,
            "currency": alert.currency,
            "budget": None if alert.budget is None else amount_text(alert.budget, alert.currency),
            "threshold": amount_text(alert.threshold, alert.currency) if is_money else plain(alert.threshold),
            "recipients": [address for address in people if address.casefold() in given],
        }

    def clean(self) -> dict[str, Any]:
        """Where a field is no good in itself, the service is not asked: tells what else is wrong all the same."""
        if self.errors:
            try:
                new_alert(customer=self.customer, audience=Alert.Audience.CUSTOMER, **self._drafted())
            except ValidationError as error:
                self.add_errors(error)
        return self.cleaned_data

    def _drafted(self) -> dict[str, Any]:
        needs = NEEDS[self.kind]
        fixed: dict[str, Any] = {"kind": self.kind}
        if "currency" in needs and len(self.currencies) == 1:
            fixed["currency"] = self.currencies[0]
        if "product_item" in needs and self.alert is not None:
            fixed["product_item"] = self.alert.product_item
        return fixed | self.cleaned_data

    def add_errors(self, error: ValidationError) -> None:
        """What the service refuses, at its fields; what has none, or has its fault already, is not told twice."""
        faults = error.error_dict if hasattr(error, "error_dict") else {None: error.error_list}
        for name, texts in faults.items():
            if name not in self.fields:
                self.add_error(None, texts)
            elif name not in self.errors:
                self.add_error(name, texts)

    def save(self, actor: str) -> Alert:
        """Makes or changes it. Raises ValidationError by field."""
        if self.alert is None:
            return create_own_alert(self.customer, kind=self.kind, actor=actor, **self.cleaned_data)
        changes = {name: value for name, value in self.cleaned_data.items() if name in self.changed_data}
        return change_own_alert(self.customer, self.alert.pk, changes=changes) if changes else self.alert


class OwnTestForm(forms.Form):
    """To whom a test mail goes."""

    address = forms.ChoiceField(
        label="To",
        required=False,
        error_messages={"invalid_choice": "%(value)s is neither this customer’s address nor a portal member’s."},
    )

    def __init__(self, data: Any, *, people: Sequence[str], own: str) -> None:
        mine = [address for address in people if address.casefold() == own.casefold()]
        super().__init__(data, initial={"address": (mine or people or [""])[0]})
        field = self.fields["address"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(address, address) for address in people]
