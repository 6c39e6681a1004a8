""" "What would 50,000 calls cost?": quantities that are typed, and the bill of a whole period of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms

from invoices.models import Invoice
from invoices.plan_estimates import TypedUsage, UsageFault, estimate, invoice_lines, promotions_like
from invoices.pricing_of import PricedVersion
from invoices.typed_usage import MOST_EVENTS, TypedPart, equal_events, typed_parts
from meters.models import Customer
from meters.words import every_words
from portal.bills.lines import ExplainedLines, explained_lines
from pricing.fee_quantities import FeeQuantity
from pricing.models import Fee
from pricing.money import format_quantity
from pricing.rate_fields import RateError, read_number
from pricing.taxes import tax_rates_of
from pricing.terms import TaxTerms

# As this page itself writes a number: 12,300.5.
GROUPED = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?", re.ASCII)
MOST_TEXT = 60


@dataclass(frozen=True, slots=True)
class Calculable:
    """A plan that can be asked for; `fees` have the customer's quantities, `running` is the invoice whose promotions
    count."""

    key: str
    name: str
    priced: PricedVersion
    fees: Sequence[FeeQuantity]
    running: Invoice | None

    @property
    def every(self) -> str:
        return every_words(self.priced.version.interval, self.priced.version.interval_count)


class QuantityField(forms.CharField):
    """A number from 0 on; "50,000" is fifty thousand."""

    def __init__(self, label: str, hint: str, initial: str = "") -> None:
        attributes = {"inputmode": "decimal", "autocomplete": "off", "placeholder": "0"}
        super().__init__(
            label=label,
            required=False,
            max_length=MOST_TEXT,
            help_text=hint,
            initial=initial,
            widget=forms.TextInput(attrs=attributes),
        )

    def clean(self, value: Any) -> Any:
        text = super().clean(value).replace(" ", "").replace("\N{NO-BREAK SPACE}", "")
        if not text:
            return None
        if "," in text and not GROUPED.fullmatch(text):
            raise forms.ValidationError("Write it as 50,000 or 50000, and decimals with a point, such as 0.5.")
        try:
            return read_number(text.replace(",", ""), "")
        except RateError as error:
            raise forms.ValidationError(_worded(error.message)) from None


def _worded(message: str) -> str:
    if "written as text" in message or "number" in message:
        return "This is a number, such as 50,000 or 0.5."
    return f"This {message}."


class CalculatorForm(forms.Form):
    """The query string of the calculator: of which plan, and a quantity for each rate and each fee that is counted."""

    def __init__(self, query: Mapping[str, Any], plans: Sequence[Calculable]) -> None:
        self.notice = ""
        self.chosen = next((plan for plan in plans if plan.key == query.get("of")), plans[0])
        if query.get("of") not in (None, "", self.chosen.key):
            self.notice = "There is no such plan to ask for, so this is " + self.chosen.name + "."
        self.parts = typed_parts([self.chosen.priced])
        self.fees = [one for one in self.chosen.fees if one.fee.kind == Fee.Kind.RECURRING and one.fee.unit]
        self.is_asked = any(name in query for name in self._names())
        initial = {name: query[name] for name in self._names() if query.get(name)} if not self.is_asked else {}
        super().__init__(query if self.is_asked else None, initial=initial)
        if len(plans) > 1:
            choices = [(plan.key, plan.name) for plan in plans]
            self.fields["of"] = forms.ChoiceField(label="Plan", required=False, choices=choices)
            self.initial["of"] = self.chosen.key
            if self.is_asked:
                self.data = {**query, "of": self.chosen.key}
        for part in self.parts:
            self.fields[part.name] = QuantityField(part.label, f"In {part.item.meter.unit or 'units'}, a period")
            if part.by_events:
                self.fields[f"n{part.name}"] = forms.IntegerField(
                    label=f"In how many events ({part.label})",
                    required=False,
                    min_value=1,
                    max_value=MOST_EVENTS,
                    help_text="Its price is made of single events; these are taken as equally large.",
                )
        for one in self.fees:
            self.fields[f"f-{one.fee.key}"] = QuantityField(
                one.fee.name, f"In {one.fee.unit}", format_quantity(one.quantity)
            )
        if any(one.fee.kind == Fee.Kind.ONE_TIME for one in self.chosen.fees):
            self.fields["first"] = forms.BooleanField(label="First period, with what is charged once", required=False)

    def _names(self) -> list[str]:
        names = [name for part in self.parts for name in (part.name, f"n{part.name}")]
        return [*names, *(f"f-{one.fee.key}" for one in self.fees), "first"]

    def usage(self) -> list[TypedUsage]:
        return [
            TypedUsage(part.item, quantity, part.dimensions, self._events(part, quantity))
            for part in self.parts
            if (quantity := self.cleaned_data[part.name]) is not None
        ]

    def fee_quantities(self) -> dict[str, Decimal]:
        """Those that are typed; an empty field is the quantity that the customer has, or the plan's."""
        typed = {one.fee.key: self.cleaned_data[f"f-{one.fee.key}"] for one in self.fees}
        return {
            one.fee.key: one.quantity if typed.get(one.fee.key) is None else typed[one.fee.key]
            for one in self.chosen.fees
        }

    def _events(self, part: TypedPart, quantity: Decimal) -> tuple[Decimal, ...] | None:
        return equal_events(quantity, self.cleaned_data.get(f"n{part.name}") or 1) if part.by_events else None

    def add_fault(self, fault: UsageFault) -> None:
        typed = [part.name for part in self.parts if self.cleaned_data[part.name] is not None]
        self.add_error(typed[fault.index], fault.message)


@dataclass(frozen=True, slots=True)
class Answer:
    """The bill of a whole period, unsaved; `invoice` is what its lines are worded for."""

    invoice: Invoice
    lines: ExplainedLines
    words: Sequence[str]
    every: str
    name: str


def answer_of(form: CalculatorForm, customer: Customer) -> Answer | None:
    """None where nothing is asked, or not soundly: then the form says what is wrong."""
    if not form.is_asked or not form.is_valid():
        return None
    plan = form.chosen
    rates = tax_rates_of(customer)
    currency = plan.priced.currency
    try:
        made = estimate(
            plan.priced,
            form.usage(),
            fee_quantities=form.fee_quantities(),
            is_first_period=form.cleaned_data.get("first", False),
            promotions=promotions_like(plan.running, currency) if plan.running else (),
            taxes=[TaxTerms(rate.pk, rate.name, rate.percent) for rate in rates],
        )
    except UsageFault as fault:
        form.add_fault(fault)
        return None
    lines = invoice_lines(made, currency, tax_rates=rates)
    return Answer(
        invoice=lines[0].invoice if lines else Invoice(currency=currency, subtotal=made.subtotal, total=made.total),
        lines=explained_lines(lines),
        words=_words(form),
        every=plan.every,
        name=plan.name,
    )


def _words(form: CalculatorForm) -> list[str]:
    """ "50,000 calls", "5 seats"; with the item's name where several are asked for."""
    said = []
    for part in form.parts:
        quantity = form.cleaned_data[part.name]
        if quantity:
            counted = f"{format_quantity(quantity)} {part.item.meter.unit or 'units'}"
            said.append(counted if len(form.parts) == 1 else f"{part.label}: {counted}")
    for one in form.fees:
        quantity = form.fee_quantities()[one.fee.key]
        said.append(f"{format_quantity(quantity)} {one.fee.unit}")
    return said
