"""The page of a customer's invoices: what is asked for, the running ones, and what is owed in all."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.http import urlencode

from invoices.listing import State, in_state, of_year
from invoices.models import Invoice


class InvoiceQuery(forms.Form):
    """The query string of the list. What is wrong is said beside its field."""

    year = forms.ChoiceField(
        label="Year", required=False, error_messages={"invalid_choice": "There are no invoices of “%(value)s”."}
    )
    state = forms.ChoiceField(
        label="State",
        required=False,
        choices=[("", "All"), *State.choices],
        error_messages={"invalid_choice": "“%(value)s” is no state of an invoice."},
    )

    def __init__(self, query: Mapping[str, Any], *, years: Sequence[int]) -> None:
        super().__init__({name: query.get(name, "")[:40] for name in ("year", "state")})
        field = self.fields["year"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "All"), *((str(year), str(year)) for year in years)]

    @property
    def is_narrowed(self) -> bool:
        return any(self.data.values())

    @property
    def kept(self) -> str:
        """The query as it goes on to the other pages of the list."""
        return urlencode({name: value for name, value in self.cleaned_data.items() if value})

    def narrowed(self, invoices: "QuerySet[Invoice]", *, now: datetime) -> "QuerySet[Invoice]":
        year, state = self.cleaned_data["year"], self.cleaned_data["state"]
        found = of_year(invoices, int(year)) if year else invoices
        return in_state(found, State(state), now=now) if state else found
