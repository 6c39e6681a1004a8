"""The forms of the settings page: the customer's billing details, and what a person chooses for itself."""

import zoneinfo
from collections.abc import Mapping
from functools import cache
from itertools import groupby
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString

from meters.models import Customer
from portal.models import Membership
from portal.own.settings import MAILS, MailChoice

OFFERED = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")


class BillingForm(forms.Form):
    """Each field comes with what the page had in it, so that only what somebody has changed is changed."""

    legal_name = forms.CharField(
        label="Billing name",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "organization"}),
    )
    address = forms.CharField(
        label="Billing address",
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "street-address"}),
        help_text="As it is to stand on invoices: street, town and country, a line each.",
    )
    tax_id = forms.CharField(
        label="Tax ID",
        required=False,
        max_length=50,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="Such as a VAT number; it is printed on invoices.",
    )
    email = forms.EmailField(
        label="E-mail for bills",
        required=False,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        help_text="Gets every mail about bills, whatever people choose for themselves.",
    )

    def __init__(self, data: Any, *, customer: Customer, stored: Mapping[str, str]) -> None:
        super().__init__(data, initial=dict(stored))
        self.fields["legal_name"].help_text = f"To whom invoices are written. Empty: {customer}."
        for field in self.fields.values():
            field.show_hidden_initial = True

    def changes(self) -> dict[str, str]:
        return {name: _lines(self.cleaned_data[name]) for name in self.changed_data}

    def seen(self) -> dict[str, str]:
        """What the page had in the fields that were changed."""
        return {name: _lines(self.data.get(self.add_initial_prefix(name), "")).strip() for name in self.changed_data}


class OwnForm(forms.Form):
    """What is chosen for one membership; mails that are not sent at present can be chosen, too."""

    time_zone = forms.ChoiceField(
        label="Time zone shown",
        required=False,
        error_messages={"invalid_choice": "There is no time zone “%(value)s”."},
    )
    mails = forms.MultipleChoiceField(
        label="Mails that you get",
        required=False,
        choices=[(str(kind), title) for kind, (title, _) in MAILS.items()],
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, data: Any, *, membership: Membership, choices: list[MailChoice]) -> None:
        wanted = [one.kind for one in choices if one.is_wanted]
        super().__init__(data, initial={"time_zone": membership.time_zone, "mails": wanted})
        zone, mails = self.fields["time_zone"], self.fields["mails"]
        assert isinstance(zone, forms.ChoiceField)
        assert isinstance(mails, forms.MultipleChoiceField)
        zone.choices = _zones(membership.time_zone, membership.customer)
        zone.help_text = (
            f"For moments, such as “updated 14:02”. Days and periods of bills are always those of "
            f"{membership.customer.zone.key}."
        )
        mails.choices = [(one.kind, _mail_words(one)) for one in choices]


def _zones(own: str, customer: Customer) -> list[tuple[str, Any]]:
    """All that are places, by continent; and the one that is set, where it is none."""
    known = _places()
    listed = {name for _, zones in known for name, _ in zones}
    more = [(name, name) for name in dict.fromkeys(["UTC", own]) if name and name not in listed]
    return [("", f"As bills: {customer.zone.key}"), *more, *known]


@cache
def _places() -> list[tuple[str, list[tuple[str, str]]]]:
    names = sorted(name for name in zoneinfo.available_timezones() if name.partition("/")[0] in OFFERED)
    return [
        (area, [(name, name.partition("/")[2].replace("_", " ").replace("/", ", ")) for name in group])
        for area, group in groupby(names, lambda name: name.partition("/")[0])
    ]


def _mail_words(one: MailChoice) -> SafeString:
    said = one.when if one.is_sent else f"{one.when} Not sent at present."
    return format_html('<span><strong>{}</strong> <span class="soft">{}</span></span>', one.title, said)


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
