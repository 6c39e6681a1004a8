""" "Try it" on the page of a plan: what typed quantities cost by the draft beside the active version, line by line, and
the price by quantity of one product item as a picture."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.http import QueryDict

from invoices.lines.explained import parts_of, rows_of
from invoices.models import InvoiceLine
from invoices.plan_estimates import TypedUsage, UsageFault, estimate, invoice_lines, rate_for
from invoices.price_pictures import NamedRate, Picture, TypedQuantity, pictures_of
from invoices.pricing_of import PricedVersion, priced_version
from invoices.typed_usage import MOST_EVENTS, TypedPart, equal_events, typed_parts
from pricing.explain import Row
from pricing.models import Fee, Plan, PlanVersion
from pricing.money import format_money, format_quantity, total_of
from pricing.rate_fields import RateError, read_number

# Columns of quantities that are tried at once.
MOST_TRIED = 6
# How the two are drawn, in the style sheet: the draft with a whole line, the active version with a dashed one.
DRAFT, ACTIVE = 1, 2


@dataclass(frozen=True, slots=True)
class Version:
    version: PlanVersion
    priced: PricedVersion

    @property
    def currency(self) -> str:
        return self.version.currency

    @property
    def name(self) -> str:
        return f"{'Draft' if self.version.is_draft else 'Active'} v{self.version.number}"

    @property
    def series(self) -> int:
        return DRAFT if self.version.is_draft else ACTIVE


@dataclass(frozen=True, slots=True)
class TriedLine:
    name: str
    quantity: str
    amount: str
    steps: Sequence[Row]
    is_unpriced: bool


@dataclass(frozen=True, slots=True)
class Side:
    """What a version makes of the quantities."""

    version: Version
    total: str
    lines: Sequence[TriedLine]


@dataclass(frozen=True, slots=True)
class Tried:
    """One set of quantities, by each version, and what the draft changes."""

    words: str
    sides: Sequence[Side]
    change: str


class TryForm(forms.Form):
    """The query string: quantities for each rate, of fees, and which picture is shown."""

    def __init__(self, data: QueryDict | None, *, typed: Sequence[TypedPart], fees: Sequence[Fee], once: bool) -> None:
        super().__init__(data)
        self.typed, self.fees = typed, fees
        for one in typed:
            self.fields[one.name] = NumbersField(one.label, f"In {one.item.meter.unit or 'units'}, such as 1000 20000")
            if one.by_events:
                self.fields[f"n{one.name}"] = forms.IntegerField(
                    label=f"In how many events ({one.label})",
                    required=False,
                    min_value=1,
                    max_value=MOST_EVENTS,
                    widget=forms.NumberInput(attrs={"class": "number-input"}),
                )
        for fee in fees:
            self.fields[f"f-{fee.key}"] = NumbersField(fee.name, f"In {fee.unit}")
        if once:
            self.fields["first"] = forms.BooleanField(label="First period: with one-time fees", required=False)
        if len(typed) > 1:
            self.fields["picture"] = forms.ChoiceField(
                label="Picture of", required=False, choices=[(one.name, one.label) for one in typed]
            )

    def columns(self) -> int:
        """How many sets of quantities were typed."""
        sizes = [len(value) for value in self.cleaned_data.values() if isinstance(value, list)]
        return min(max(sizes, default=0), MOST_TRIED)

    def varies(self, name: str) -> bool:
        """Whether a field has another quantity in each column."""
        return len(self.cleaned_data.get(name) or []) > 1

    def number(self, name: str, column: int) -> Decimal | None:
        """The quantity of a column; a field with fewer quantities goes on with its last."""
        numbers: list[Decimal] = self.cleaned_data.get(name) or []
        return numbers[min(column, len(numbers) - 1)] if numbers else None

    def events(self, one: TypedPart, quantity: Decimal) -> tuple[Decimal, ...] | None:
        """As many events of one size as were asked for; the last takes what does not divide."""
        if not one.by_events:
            return None
        return equal_events(quantity, self.cleaned_data.get(f"n{one.name}") or 1)


class NumbersField(forms.CharField):
    """Quantities with blanks between them."""

    def __init__(self, label: str, hint: str) -> None:
        attributes = {"inputmode": "decimal", "autocomplete": "off", "class": "number-input", "placeholder": "0"}
        super().__init__(
            label=label, required=False, max_length=200, help_text=hint, widget=forms.TextInput(attrs=attributes)
        )

    def clean(self, value: Any) -> Any:
        texts = super().clean(value).split()
        if any("," in text for text in texts):
            raise forms.ValidationError("Leave out thousands separators: 12300.")
        if len(texts) > MOST_TRIED:
            raise forms.ValidationError(f"At most {MOST_TRIED} quantities at once.")
        try:
            return [read_number(text, "") for text in texts]
        except RateError as error:
            raise forms.ValidationError(_worded(error.message)) from None


def _worded(message: str) -> str:
    """What is said to programs, in the words of a form."""
    if "written as text" in message:
        return "This is a number, such as 12.5; several have blanks between them."
    return f"This {message}."


@dataclass(frozen=True, slots=True)
class TryPanel:
    form: TryForm
    versions: Sequence[Version]
    tried: Sequence[Tried]
    fault: str
    pictures: Sequence[Picture]
    pictured: str


def try_panel(plan: Plan, query: QueryDict) -> TryPanel | None:
    """The panel; None for a plan without prices."""
    versions = _versions(plan)
    typed = typed_parts([version.priced for version in versions])
    fees = [fee for version in versions for fee in version.priced.fees]
    if not typed and not fees:
        return None
    counted = {fee.key: fee for fee in fees if fee.kind == Fee.Kind.RECURRING and fee.unit}
    once = any(fee.kind == Fee.Kind.ONE_TIME for fee in fees)
    names = {one.name for one in typed} | {f"f-{key}" for key in counted}
    is_asked = any(name in query for name in (*names, "picture", "first"))
    form = TryForm(query if is_asked else None, typed=typed, fees=list(counted.values()), once=once)
    is_sound = is_asked and form.is_valid()
    tried, fault = [], ""
    try:
        tried = [_tried(versions, form, column) for column in range(form.columns())] if is_sound else []
    except UsageFault as error:
        fault = error.message
    chosen = next((one for one in typed if is_sound and one.name == form.cleaned_data.get("picture")), None)
    chosen = chosen or next(iter(typed), None)
    return TryPanel(
        form=form,
        versions=versions,
        tried=tried,
        fault=fault,
        pictures=_pictures(versions, chosen, form if is_sound else None) if chosen else (),
        pictured=chosen.label if chosen else "",
    )


def _versions(plan: Plan) -> list[Version]:
    """The active version and the draft, those of them that there are."""
    found = plan.versions.filter(status__in=[PlanVersion.Status.ACTIVE, PlanVersion.Status.DRAFT]).order_by("number")
    return [Version(version, priced_version(version)) for version in found]


def _tried(versions: Sequence[Version], form: TryForm, column: int) -> Tried:
    usage, words = [], []
    # Of several columns each says what is another one in it; what all have is said of each of them only once.
    several = form.columns() > 1
    for one in form.typed:
        quantity = form.number(one.name, column)
        if quantity is not None:
            usage.append(TypedUsage(one.item, quantity, one.dimensions, form.events(one, quantity)))
            counted = f"{format_quantity(quantity)} {one.item.meter.unit or 'units'}"
            if not several or form.varies(one.name):
                words.append(counted if len(form.typed) == 1 else f"{one.label}: {counted}")
    fees = {}
    for fee in form.fees:
        quantity = form.number(f"f-{fee.key}", column)
        if quantity is not None:
            fees[fee.key] = quantity
            if not several or form.varies(f"f-{fee.key}"):
                words.append(f"{format_quantity(quantity)} {fee.unit}")
    made = [
        estimate(version.priced, usage, fee_quantities=fees, is_first_period=form.cleaned_data.get("first", False))
        for version in versions
    ]
    sides = [
        Side(version, format_money(one.total, version.currency), _lines(invoice_lines(one, version.currency)))
        for version, one in zip(versions, made, strict=True)
    ]
    change = ""
    if len(versions) == 2 and versions[0].currency == versions[1].currency:
        difference = total_of((made[1].total, -made[0].total))
        change = f"{'+' if difference > 0 else ''}{format_money(difference, versions[0].currency)}"
    return Tried(", ".join(words), sides, change)


def _lines(lines: Sequence[InvoiceLine]) -> list[TriedLine]:
    return [
        TriedLine(
            name=f"{line.name} ({part})" if part else line.name,
            quantity=_quantity_words(line),
            amount=format_money(line.amount, line.invoice.currency),
            steps=rows_of(line),
            is_unpriced=line.kind == InvoiceLine.Kind.UNPRICED,
        )
        for line, part in zip(lines, parts_of(lines), strict=True)
    ]


def _quantity_words(line: InvoiceLine) -> str:
    return "" if line.quantity is None else f"{format_quantity(line.quantity)} {line.unit}".strip()


def _pictures(versions: Sequence[Version], one: TypedPart, form: TryForm | None) -> list[Picture]:
    quantities: list[Decimal] = (form.cleaned_data.get(one.name) or []) if form else []
    size = None
    if one.by_events:
        quantity = next(iter(quantities), Decimal(0))
        events = form.events(one, quantity) if form and quantity else None
        size = events[0] if events and events[0] else Decimal(100)
    asked = [
        TypedQuantity(quantity, form.events(one, quantity) if form else None)
        for quantity in sorted(set(itertools.islice(quantities, MOST_TRIED)))
    ]
    rates = [
        NamedRate(version.name, version.series, rate.rate, version.currency)
        for version in versions
        if (rate := rate_for(version.priced, one.item, one.dimensions)) is not None
    ]
    return pictures_of(rates, one.item, asked=asked, event_size=size)
