"""A plan version for staff pages: its prices, fees and terms in words, and what some telling quantities come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from meters.admin.base import instant
from pricing.explain import describe_rate
from pricing.models import Fee, Plan, PlanVersion, Rate
from pricing.money import format_money, format_quantity
from pricing.plan_words import describe_fee, describe_filter, describe_terms
from pricing.rate_models import Block
from pricing.rates import Rate as ParsedRate
from pricing.rates import charge, needs_events


@dataclass(frozen=True, slots=True)
class Price:
    """One rate for the page: in words, and what some telling quantities come to."""

    rate: Rate
    where: str
    words: Sequence[str]
    samples: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class FeeRow:
    """`is_left_out`: the base plan's one-time fee, which a customer past its beginning does not get again."""

    fee: Fee
    words: str
    is_left_out: bool


@dataclass(frozen=True, slots=True)
class Term:
    """One line of what a version says beside prices; `own` names what of it a private plan has of its own, and
    `is_left_out` is said of the trial that a customer past its beginning does not get again."""

    label: str
    words: str
    own: Sequence[str]
    is_left_out: bool = False


@dataclass(frozen=True, slots=True)
class VersionView:
    version: PlanVersion
    prices: Sequence[Price]
    fees: Sequence[FeeRow]
    terms: Sequence[Term]

    @property
    def active_from(self) -> str:
        return instant(self.version.activated_at)

    @property
    def has_contents(self) -> bool:
        return bool(self.prices or self.fees)


def versions_with_contents(plan: Plan, **which: object) -> list[PlanVersion]:
    """Versions of a plan, newest first, with all that `view_of` reads."""
    found = plan.versions.filter(**which).order_by("-number").select_related("plan")
    return list(found.prefetch_related("rates__product_item__meter", "fees"))


def view_of(version: PlanVersion) -> VersionView:
    return VersionView(
        version=version,
        prices=[_price(rate, version.currency) for rate in version.rates.all()],
        fees=[
            FeeRow(
                fee,
                describe_fee(fee, version.currency),
                is_left_out=fee.is_override
                and fee.kind == Fee.Kind.ONE_TIME
                and not fee.amount
                and version.plan.beginning_settled,
            )
            for fee in version.fees.all()
        ],
        terms=_terms(version),
    )


# --- Prices ---


def _price(rate: Rate, currency: str) -> Price:
    parsed = rate.parsed
    return Price(
        rate=rate,
        where=describe_filter(rate.where),
        words=[
            *describe_rate(parsed, unit=rate.product_item.meter.unit, currency=currency),
            *(["Included units and tiers shrink with a shorter period"] if rate.prorated else []),
        ],
        samples=[
            (format_quantity(quantity), format_money(charge(parsed, quantity).amount, currency))
            for quantity in telling_quantities(parsed)
        ],
    )


def telling_quantities(rate: ParsedRate) -> list[Decimal]:
    """Nothing, where the price begins, just past it, and well beyond; none for a price of single events."""
    if needs_events(rate):
        return []
    free = rate.included_units
    model = rate.model
    quantities = {Decimal(0), free, free + 1}
    if isinstance(model, Block):
        quantities |= {free + model.block_size, free + 10 * model.block_size}
    elif tiers := getattr(model, "tiers", ()):
        bounds = [tier.up_to for tier in tiers if tier.up_to is not None]
        quantities |= {free + bound for bound in bounds[:3]} | {free + bound + 1 for bound in bounds[:2]}
        quantities.add(free + 10 * bounds[-1] if bounds else 10 * free + 1000)
    else:
        quantities.add(10 * free or Decimal(1000))
    return sorted(quantities)


# --- Terms ---


# What is said of which terms, and how the lack of it is said where a private plan has that of its own.
_TERMS = {
    "Billing period": (("interval", "interval_count", "alignment"), ""),
    "Trial": (("trial_days",), "none"),
    "Minimum": (("minimum", "commitment", "overage_factor"), "none"),
    "Commitment": (("minimum", "commitment", "overage_factor"), ""),
}


def _terms(version: PlanVersion) -> list[Term]:
    said = dict(describe_terms(version))
    own = {
        label: tuple(name for name in names if name in version.overridden_terms) for label, (names, _) in _TERMS.items()
    }
    for label, (_, lack) in _TERMS.items():
        if lack and own[label] and label not in said and not (label == "Minimum" and "Commitment" in said):
            said[label] = lack
    return [
        Term(
            label,
            words,
            own.get(label, ()),
            is_left_out=label == "Trial" and not version.trial_days and version.plan.beginning_settled,
        )
        for label, words in said.items()
    ]


def terms_words(version: PlanVersion) -> str:
    """ "currency USD; billing period every month, by the calendar"."""
    return "; ".join(f"{label.lower()} {words}" for label, words in describe_terms(version))
