"""Which statement: the currency, and a month or a year in the customer's zone."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django import forms

from invoices.models import Invoice
from invoices.statements.statement import currencies_of
from meters.models import Customer
from meters.periods import Period, local_date, local_midnight, next_month

# Far more than anybody looks back; years are offered besides.
MOST_MONTHS = 60


class StatementQuery(forms.Form):
    """The query string. What is missing has a default; what is wrong is said beside its field."""

    period = forms.ChoiceField(
        label="Month", error_messages={"invalid_choice": "“%(value)s” is not a month or a year that can be shown."}
    )
    currency = forms.ChoiceField(
        label="Currency", error_messages={"invalid_choice": "There are no invoices in “%(value)s”."}
    )

    def __init__(self, query: Mapping[str, Any], *, customer: Customer, now: datetime) -> None:
        self.currencies = currencies_of(customer)
        self.periods = offered_periods(customer, now=now)
        defaults = {"period": next(iter(self.periods)), "currency": next(iter(self.currencies), "")}
        super().__init__({name: query.get(name) or default for name, default in defaults.items()})
        months = [(key, words) for key, (words, _) in self.periods.items() if "-" in key]
        years = [(key, words) for key, (words, _) in self.periods.items() if "-" not in key]
        self._offer("period", [("Months", months), ("Years", years)])
        self._offer("currency", [(code, code) for code in sorted(self.currencies)])

    def _offer(self, name: str, choices: Any) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    @property
    def chosen_period(self) -> Period:
        return self.periods[self.cleaned_data["period"]][1]

    @property
    def period_words(self) -> str:
        return self.periods[self.cleaned_data["period"]][0]


def offered_periods(customer: Customer, *, now: datetime) -> dict[str, tuple[str, Period]]:
    """By key the words and the span of each month since the customer's first period, newest first, and of each year:
    "2026-11", "2026"."""
    zone = customer.zone
    this = local_date(now, zone).replace(day=1)
    first = (
        Invoice.objects.filter(customer=customer).order_by("period_start").values_list("period_start", flat=True)[:1]
    )
    # Nobody has invoices of a month to come, but a clock may have been put back.
    oldest = min([this, *(local_date(start, zone).replace(day=1) for start in first)])
    months = []
    while oldest <= this:
        months.append(oldest)
        oldest = next_month(oldest)
    offered = {
        f"{month:%Y-%m}": (f"{month:%B %Y}", _span(month, next_month(month), customer))
        for month in reversed(months[-MOST_MONTHS:])
    }
    for year in sorted({month.year for month in months}, reverse=True):
        offered[f"{year}"] = (f"{year}", _span(date(year, 1, 1), date(year + 1, 1, 1), customer))
    return offered


def _span(first: date, end: date, customer: Customer) -> Period:
    return Period(local_midnight(first, customer.zone), local_midnight(end, customer.zone))
