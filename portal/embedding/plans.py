"""The plans that a customer is on and those that it is offered, side by side, as a table for frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from invoices.pricing_of import PricedVersion, priced_version
from meters.models import Customer
from portal.plan.page import amounts_at_least, billed_words, plans_of
from portal.plan.prices import PriceRow, price_rows
from pricing.models import Plan, PlanVersion
from pricing.offers import offered_to
from pricing.plan_words import describe_fee
from pricing.version_choice import active_version


@dataclass(frozen=True, slots=True)
class PlanCard:
    """`is_current`: the customer is on it, or will be; then its fees have the customer's own quantities."""

    plan: Plan
    billed: str
    prices: Sequence[PriceRow]
    fees: Sequence[tuple[str, str]]
    terms: Sequence[tuple[str, str]]
    is_current: bool
    begins: datetime | None = None


def plan_cards(customer: Customer, *, now: datetime) -> list[PlanCard]:
    """Those of the customer first."""
    own = [
        PlanCard(
            plan=one.plan,
            billed=one.billed,
            prices=price_rows(priced_version(one.version), with_pictures=False),
            fees=[(fee.name, fee.words) for fee in one.fees],
            terms=one.terms,
            is_current=True,
            begins=None if one.has_begun else one.assignment.starts_at,
        )
        for one in plans_of(customer, now=now)
    ]
    known = {card.plan.pk for card in own}
    others = [plan for plan in offered_to(customer) if plan.pk not in known]
    return own + [_offered(plan, version) for plan in others if (version := active_version(plan))]


def _offered(plan: Plan, version: PlanVersion) -> PlanCard:
    priced: PricedVersion = priced_version(version)
    return PlanCard(
        plan=plan,
        billed=billed_words(version),
        prices=price_rows(priced, with_pictures=False),
        fees=[(fee.name, describe_fee(fee, version.currency)) for fee in priced.fees],
        terms=amounts_at_least(version),
        is_current=False,
    )
