"""What the page of a plan shows beside its form: its prices in words, what they charge, and what its switch does."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone

from meters.admin.base import instant
from pricing.admin.assignments import running
from pricing.admin.rate_form import items_to_add, worded
from pricing.explain import Row, describe_rate, rows
from pricing.models import Assignment, Plan, PlanVersion, Rate
from pricing.money import format_money, format_quantity
from pricing.rate_fields import RateError, read_number
from pricing.rate_models import Block, Tiered
from pricing.rates import Rate as ParsedRate
from pricing.rates import charge


@dataclass(frozen=True, slots=True)
class Price:
    """One rate for the page: in words, and what some telling quantities come to."""

    rate: Rate
    words: Sequence[str]
    samples: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Version:
    version: PlanVersion
    prices: Sequence[Price]

    @property
    def active_from(self) -> str:
        return instant(self.version.activated_at)


@dataclass(frozen=True, slots=True)
class Earlier:
    """A version that another took over from; periods that began under it keep its prices."""

    shown: Version
    active_to: str


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


def plan_page(plan: Plan, query: QueryDict) -> dict[str, Any]:
    current = _versions(plan, [PlanVersion.Status.DRAFT, PlanVersion.Status.ACTIVE])
    versions = {version.status: version for version in current}
    draft, active = versions.get(PlanVersion.Status.DRAFT), versions.get(PlanVersion.Status.ACTIVE)
    shown = [_shown(version) for version in (active, draft) if version]
    items = {price.rate.product_item_id: str(price.rate.product_item) for v in shown for price in v.prices}
    form = TryForm(query if "quantity" in query else None, items=items)
    return {
        "draft": _shown(draft) if draft else None,
        "active": _shown(active) if active else None,
        "older": _older(plan, active),
        "items_left": draft is not None and items_to_add(draft).exists(),
        "customers": Assignment.objects.filter(running(timezone.localdate()), plan=plan).count(),
        "can_activate": bool(active or (draft and draft.rates.all())),
        "try_form": form if items else None,
        "trials": _trials(shown, form) if form.is_bound and form.is_valid() else [],
    }


def _versions(plan: Plan, statuses: list[Any]) -> list[PlanVersion]:
    found = plan.versions.filter(status__in=statuses).order_by("-number")
    return list(found.prefetch_related("rates__product_item__meter"))


def _older(plan: Plan, active: PlanVersion | None) -> list[Earlier]:
    earlier, end = [], active.activated_at if active else None
    for version in _versions(plan, [PlanVersion.Status.SUPERSEDED]):
        earlier.append(Earlier(_shown(version), instant(end)))
        end = version.activated_at
    return earlier


def _shown(version: PlanVersion) -> Version:
    return Version(version, [_price(rate, version.currency) for rate in version.rates.all()])


def _price(rate: Rate, currency: str) -> Price:
    parsed = rate.parsed
    return Price(
        rate=rate,
        words=describe_rate(parsed, unit=rate.product_item.meter.unit, currency=currency),
        samples=[
            (format_quantity(quantity), format_money(charge(parsed, quantity).amount, currency))
            for quantity in telling_quantities(parsed)
        ],
    )


def telling_quantities(rate: ParsedRate) -> list[Decimal]:
    """Nothing, where the price begins, just past it, and well beyond."""
    free = rate.included_units
    model = rate.model
    quantities = {Decimal(0), free, free + 1}
    if isinstance(model, Block):
        quantities |= {free + model.block_size, free + 10 * model.block_size}
    elif isinstance(model, Tiered):
        bounds = [tier.up_to for tier in model.tiers if tier.up_to is not None]
        quantities |= {free + bound for bound in bounds[:3]} | {free + bound + 1 for bound in bounds[:2]}
        quantities.add(free + 10 * bounds[-1] if bounds else 10 * free + 1000)
    else:
        quantities.add(10 * free or Decimal(1000))
    return sorted(quantities)


def _trials(versions: Sequence[Version], form: TryForm) -> list[Trial]:
    item, quantity = int(form.cleaned_data["item"]), form.cleaned_data["quantity"]
    return [
        _trial(shown.version, price, quantity)
        for shown in versions
        for price in shown.prices
        if price.rate.product_item_id == item
    ]


def _trial(version: PlanVersion, price: Price, quantity: Decimal) -> Trial:
    charged = charge(price.rate.parsed, quantity)
    unit = price.rate.product_item.meter.unit
    return Trial(
        version=version,
        quantity=f"{format_quantity(quantity)} {unit or 'units'}",
        amount=format_money(charged.amount, version.currency),
        rows=rows(charged.steps, unit=unit, currency=version.currency),
    )
