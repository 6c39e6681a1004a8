"""The form of an alert, with the fields of its kind and no others."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from invoices.alerting.alerts import MOST_RECIPIENTS, NEEDS, change_alert, create_alert, new_alert
from invoices.models import Alert
from meters.admin.fields import NumberField
from meters.models import Customer
from pricing.models import ProductItem, account_currency

Kind, Audience = Alert.Kind, Alert.Audience
# What each kind is for.
KINDS = {
    Kind.AMOUNT: "When a bill has come to so much, before tax.",
    Kind.BUDGET: "When a share of what a period may come to is used up: 50% of $500.00, say.",
    Kind.QUANTITY: "When so many units of a product item are used in a period.",
    Kind.FREE_TIER: "When a share of the units that are free is used up, by the price that each customer has.",
}
THRESHOLDS = {
    Kind.AMOUNT: ("Amount", "Before tax, after promotions; fees are in it."),
    Kind.BUDGET: ("Percent of the budget", "For example 80."),
    Kind.QUANTITY: ("Units", "In a period, whatever they cost."),
    Kind.FREE_TIER: ("Percent of the free units", "For example 80. Where nothing is free, nothing is told."),
}


class CustomerField(forms.CharField):
    """A customer by its key. There may be too many to choose from."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"})
        super().__init__(required=False, widget=widget, **kwargs)

    def clean(self, value: Any) -> Customer | None:
        key = super().clean(value)
        customer = Customer.objects.filter(key=key).first() if key and "\0" not in key else None
        if key and customer is None:
            raise ValidationError("There is no customer with this key.")
        return customer


class AddressesField(forms.CharField):
    """Mail addresses, a line each; commas do as well."""

    widget = forms.Textarea(attrs={"rows": 3, "cols": 40, "spellcheck": "false"})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.clean(data) != (initial or []))

    def clean(self, value: Any) -> list[str]:
        return [one.strip() for one in super().clean(value).replace(",", "\n").splitlines() if one.strip()]


class AlertForm(forms.Form):
    """`alert` is the one that is changed; without it, a new one of a kind."""

    name = forms.CharField(
        max_length=200,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="What stands at the head of its mails.",
    )
    product_item = forms.ModelChoiceField(ProductItem.objects.none(), empty_label="Choose a product item")
    budget = NumberField(label="Budget of a period", help_text="Before tax.")
    threshold = NumberField()
    currency = forms.CharField(max_length=20, help_text="Bills in others are not watched.")
    customer = CustomerField(help_text="Its key. Empty: each customer, by itself.")
    audience = forms.ChoiceField(
        label="Who is told",
        choices=Audience.choices,
        initial=Audience.STAFF,
        widget=forms.RadioSelect,
        help_text="An alert for the customer is on its page Alerts in the portal, and it may change or remove it. It "
        "does not see those for staff.",
    )
    recipients = AddressesField(
        label="Mail addresses",
        required=False,
        help_text=f"A line each, at most {MOST_RECIPIENTS}; of a customer's alert its own address and its portal "
        "members. Empty: staff get none, those of the customer all do.",
    )
    enabled = forms.BooleanField(label="Switched on", required=False, initial=True)
    look_at = CustomerField(
        label="Look at customer",
        help_text="Only for looking, where the alert is of each customer: whose bill to show. Its key.",
    )

    def __init__(self, data: Any, *, kind: str, alert: Alert | None = None, initial: Any = None) -> None:
        self.kind, self.alert = kind, alert
        super().__init__(data, initial={"currency": account_currency()} | (initial or {}))
        for name in ("product_item", "budget", "currency"):
            if name not in NEEDS[kind] or (name == "product_item" and alert is not None):
                del self.fields[name]
        if alert is not None:
            del self.fields["customer"], self.fields["audience"]
            self.initial = {name: getattr(alert, name) for name in self.fields if name != "look_at"}
            if alert.customer_id is not None:
                del self.fields["look_at"]
        threshold = self.fields["threshold"]
        threshold.label, threshold.help_text = THRESHOLDS[Kind(kind)]
        for name in {"threshold", "budget"} & set(self.fields):
            self.fields[name].required = True
        items = self.fields.get("product_item")
        if isinstance(items, forms.ModelChoiceField):
            items.queryset = ProductItem.objects.filter(retired_at=None)

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).strip().upper()

    def clean(self) -> dict[str, Any]:
        """Where a field is no good in itself, the service is not asked: tells what else is wrong all the same."""
        if self.errors:
            try:
                self.drafted("")
            except ValidationError as error:
                for name, faults in error.error_dict.items():
                    if name in self.fields and name not in self.errors:
                        self.add_error(name, faults)
        return self.cleaned_data

    @property
    def values(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if name != "look_at"}

    def drafted(self, actor: str) -> Alert:
        """The alert as it would be, not stored. Raises ValidationError by field."""
        if self.alert is None:
            return new_alert(kind=self.kind, actor=actor, **self.values)
        fixed = {name: getattr(self.alert, name) for name in ("kind", "audience", "customer", "product_item")}
        kept = {name: getattr(self.alert, name) for name in ("budget", "currency")}
        return new_alert(**fixed, **(kept | self.values), now=self.alert.created_at)

    def save(self, actor: str) -> Alert:
        """Makes or changes it. Raises ValidationError by field."""
        if self.alert is None:
            return create_alert(kind=self.kind, actor=actor, **self.values)
        changed = {name: value for name, value in self.values.items() if name in self.changed_data}
        return change_alert(self.alert, changes=changed) if changed else self.alert


class TestMailForm(forms.Form):
    __test__ = False

    address = forms.EmailField(
        label="To",
        max_length=254,
        widget=forms.EmailInput(attrs={"class": "vTextField"}),
        help_text="It goes here only, also while mails of alerts are switched off.",
    )
