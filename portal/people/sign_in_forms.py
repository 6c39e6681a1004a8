"""What people type, checked: the sign-in and which customer to look at."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, UsernameField

from meters.models import Customer
from portal.people.accounts import account_named


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
        user = account_named(name)
        return name if user is None else user.get_username()


class SwitchForm(forms.Form):
    """Which of a person's customers to look at."""

    customer = forms.ModelChoiceField(Customer.objects.none())

    def __init__(self, data: Mapping[str, Any], *, customers: Sequence[Customer]) -> None:
        super().__init__(data)
        field = self.fields["customer"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Customer.objects.filter(pk__in=[customer.pk for customer in customers])
