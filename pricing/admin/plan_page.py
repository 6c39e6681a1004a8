"""What the page of a plan shows beside its form: its prices in words, what they charge, and what its switch does."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from meters.admin.base import instant
from pricing.admin.assignments import running
from pricing.admin.rate_form import items_to_add
from pricing.admin.try_it import try_panel
from pricing.explain import describe_rate
from pricing.models import Assignment, Plan, PlanVersion, Rate
from pricing.money import format_money, format_quantity
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


def plan_page(plan: Plan, query: QueryDict) -> dict[str, Any]:
    current = _versions(plan, [PlanVersion.Status.DRAFT, PlanVersion.Status.ACTIVE])
    versions = {version.status: version for version in current}
    draft, active = versions.get(PlanVersion.Status.DRAFT), versions.get(PlanVersion.Status.ACTIVE)
    return {
        "draft": _shown(draft) if draft else None,
        "active": _shown(active) if active else None,
        "older": _older(plan, active),
        "items_left": draft is not None and items_to_add(draft).exists(),
        "customers": Assignment.objects.filter(running(timezone.localdate()), plan=plan).count(),
        "can_activate": bool(active or (draft and draft.rates.all())),
        **try_panel([version for version in (active, draft) if version], query),
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
