"""The plans that the vendor offers to a customer, and what its last period would have cost on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from invoices.backtests.other_plans import Compared, LastPeriod, last_period_by
from invoices.plan_changes import can_leave
from invoices.pricing_of import PricedVersion, priced_version
from meters.periods import Period
from portal.plan.calculator import Calculable
from portal.plan.page import FeeRow, OnPlan, amounts_at_least, billed_words, fee_row
from portal.plan.prices import PriceRow, price_rows
from pricing.fee_quantities import FeeQuantity, quantities_on
from pricing.models import Plan, PlanVersion
from pricing.money import format_money


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan that the customer is not on. `changeable` are those of its own that it may leave for it by itself."""

    plan: Plan
    version: PlanVersion
    prices: Sequence[PriceRow]
    fees: Sequence[FeeRow]
    changeable: Sequence[OnPlan]
    is_other_currency: bool

    @property
    def billed(self) -> str:
        return billed_words(self.version)

    @property
    def terms(self) -> list[tuple[str, str]]:
        return amounts_at_least(self.version)


def offers(mine: Sequence[OnPlan], offered: Sequence[Plan]) -> list[Offer]:
    """Without those that the customer is on, or is to be on."""
    versions = active_versions(offered)
    there = {one.plan.pk for one in mine} | {one.planned.assignment.plan_id for one in mine if one.planned}
    currencies = {one.version.currency for one in mine}
    found = []
    for plan in offered:
        version = versions.get(plan.pk)
        if version is None or plan.pk in there:
            continue
        priced = priced_version(version)
        found.append(
            Offer(
                plan=plan,
                version=version,
                prices=price_rows(priced, with_pictures=False),
                fees=[fee_row(one, version.currency) for one in _fees_like_mine(priced, mine)],
                changeable=[one for one in mine if _may_leave(one)] if plan.offer == Plan.Offer.SELF_SERVICE else (),
                is_other_currency=bool(currencies) and version.currency not in currencies,
            )
        )
    return found


def _may_leave(one: OnPlan) -> bool:
    return one.planned is None and can_leave(one.assignment, one.period)


def active_versions(plans: Sequence[Plan]) -> dict[int, PlanVersion]:
    found = PlanVersion.objects.filter(plan__in=plans, status=PlanVersion.Status.ACTIVE).select_related("plan")
    return {version.plan_id: version for version in found}


def calculable(mine: Sequence[OnPlan], offered: Sequence[Plan]) -> list[Calculable]:
    """What the calculator can be asked for: the plans that the customer is on, then those that are offered."""
    found: list[Calculable] = []
    keys: set[str] = set()
    for one in mine:
        # Somebody may be on a plan now and be put on it again later.
        if one.plan.key not in keys:
            priced = priced_version(one.version)
            found.append(Calculable(one.plan.key, one.plan.public_name, priced, one.quantities, one.running))
            keys.add(one.plan.key)
    versions = active_versions([plan for plan in offered if plan.key not in keys])
    # What the customer has off is off its bills on another plan, too.
    running = next((one.running for one in mine if one.running), None)
    for version in versions.values():
        priced = priced_version(version)
        plan = version.plan
        found.append(Calculable(plan.key, plan.public_name, priced, _fees_like_mine(priced, mine), running))
    return found


def _fees_like_mine(priced: PricedVersion, mine: Sequence[OnPlan]) -> list[FeeQuantity]:
    """With the quantities that the customer has of the same fees now."""
    own = {one.fee.key: one for plan in mine for one in plan.quantities if one.is_own}
    return [
        FeeQuantity(one.fee, own[one.fee.key].quantity, is_own=True, later=()) if one.fee.key in own else one
        for one in quantities_on(priced.fees, (), date.min)
    ]


# --- What the last period would have cost ---


@dataclass(frozen=True, slots=True)
class ComparedRow:
    """`total` is before tax. `change` is in words, empty between currencies; `is_less` says that it costs less."""

    plan: Plan
    total: str
    change: str
    is_less: bool
    unpriced: Sequence[str]


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """Rows against the same period: mostly the last one; more of them together where the other plan's are longer."""

    period: Period
    total: str
    invoiced: str  # where the invoice says something else
    rows: Sequence[ComparedRow]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One plan that the customer is on against those that are offered. Without a period that is over no tables."""

    mine: OnPlan
    last: LastPeriod | None
    tables: Sequence[ComparisonTable]
    left_out: Sequence[Compared]


def comparisons(mine: Sequence[OnPlan], offered: Sequence[Plan], *, now: datetime) -> list[Comparison]:
    versions = active_versions(offered)
    on = {one.plan.pk for one in mine}
    others = [versions[plan.pk] for plan in offered if plan.pk in versions and plan.pk not in on]
    return [_comparison(one, mine, others, now) for one in mine if one.has_begun and others]


def _comparison(one: OnPlan, mine: Sequence[OnPlan], others: Sequence[PlanVersion], now: datetime) -> Comparison:
    elsewhere = {
        item for other in mine if other is not one and other.has_begun for item in priced_version(other.version).rates
    }
    last = last_period_by(one.assignment, others, elsewhere=elsewhere, now=now)
    if last is None:
        return Comparison(one, None, (), ())
    by_period: dict[Period, list[Compared]] = {}
    for compared in last.compared:
        if compared.period is not None:
            by_period.setdefault(compared.period, []).append(compared)
    return Comparison(
        mine=one,
        last=last,
        tables=[_table(last, period, some) for period, some in by_period.items()],
        left_out=[compared for compared in last.compared if compared.period is None],
    )


def _table(last: LastPeriod, period: Period, some: Sequence[Compared]) -> ComparisonTable:
    then, currency = some[0].then, some[0].currency_then
    is_one = period == last.invoice.period
    differs = is_one and last.invoice.subtotal != then
    return ComparisonTable(
        period=period,
        total=format_money(then, currency),
        invoiced=format_money(last.invoice.subtotal, last.invoice.currency) if differs else "",
        rows=[_compared_row(one) for one in some],
    )


def _compared_row(one: Compared) -> ComparedRow:
    difference, currency = one.difference, one.version.currency
    words = ""
    if difference is not None:
        amount = format_money(difference.copy_abs(), currency)
        words = "The same" if not difference else f"{amount} more" if difference > 0 else f"{amount} less"
    return ComparedRow(
        plan=one.version.plan,
        total=format_money(one.now, currency),
        change=words,
        is_less=difference is not None and difference < 0,
        unpriced=one.unpriced,
    )
