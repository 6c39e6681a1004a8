"""What the plan page tells of the plans that a customer is on: since when, how they are billed, and what they cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db.models import Prefetch, Q

from invoices.adjustments import applied_to
from invoices.models import Invoice
from invoices.plan_changes import Planned, planned_changes
from invoices.pricing_of import priced_version
from invoices.subjects import trial_ends
from meters.models import Customer
from meters.periods import Period, local_date
from meters.words import every_words
from portal.plan.prices import ROOM, PriceRow, price_rows
from pricing.differences import Difference, differences
from pricing.fee_quantities import FeeQuantity, quantities_on
from pricing.models import AppliedPromotion, Assignment, AssignmentQuantity, Fee, Plan, PlanVersion, TaxRate
from pricing.money import format_price, format_quantity
from pricing.promotion_words import limit_words, what_words
from pricing.taxes import tax_rates_of
from pricing.version_choice import chosen, counting, periods_of


@dataclass(frozen=True, slots=True)
class FeeRow:
    """A fee with the customer's quantity: what it is in words, what a whole period owes, and what is to come."""

    name: str
    words: str
    amount: Decimal | None
    later: Sequence[tuple[str, date]]


@dataclass(frozen=True, slots=True)
class NewPrices:
    """A version that counts from the next period on, and what it changes."""

    starts_at: datetime
    changes: Sequence[Difference]


@dataclass(frozen=True, slots=True)
class PromotionRow:
    name: str
    words: str
    limit: str
    until: date | None


@dataclass(frozen=True, slots=True)
class OnPlan:
    """One plan that the customer is on, or is to be on: `period` runs now, or is the first one."""

    assignment: Assignment
    version: PlanVersion
    period: Period
    has_begun: bool
    trial_end: datetime | None
    planned: Planned | None
    new_prices: NewPrices | None
    prices: Sequence[PriceRow]
    quantities: Sequence[FeeQuantity]
    promotions: Sequence[PromotionRow]
    running: Invoice | None

    @property
    def fees(self) -> list[FeeRow]:
        """Without one-time fees that are behind, or do not come at all."""
        is_first = self.period.start == self.assignment.starts_at
        return [
            fee_row(one, self.version.currency)
            for one in self.quantities
            if one.fee.kind != Fee.Kind.ONE_TIME or (is_first and (one.fee.is_override or not self.assignment.goes_on))
        ]

    @property
    def plan(self) -> Plan:
        return self.assignment.plan

    @property
    def billed(self) -> str:
        return billed_words(self.version, self.assignment)

    @property
    def terms(self) -> list[tuple[str, str]]:
        return amounts_at_least(self.version)

    @property
    def is_retired(self) -> bool:
        return self.plan.status == Plan.Status.RETIRED

    @property
    def anchor(self) -> str:
        return f"plan-{self.assignment.pk}"


@dataclass(frozen=True, slots=True)
class Taxes:
    rates: Sequence[TaxRate]
    is_exempt: bool
    note: str


def plans_of(customer: Customer, *, now: datetime, with_pictures: bool = True) -> list[OnPlan]:
    """The plans that run now and those that begin later, but for what takes another's place by a change of plan."""
    assignments = list(
        customer.assignments.filter(Q(ends_on=None) | Q(ends_on__gt=now.date() - timedelta(days=2)))
        .select_related("plan", "customer")
        .prefetch_related(
            Prefetch("quantities", AssignmentQuantity.objects.order_by("starts_on")),
            Prefetch(
                "plan__versions",
                PlanVersion.objects.exclude(activated_at=None).order_by("number"),
                to_attr="activated",
            ),
        )
        .order_by("starts_on", "pk")
    )
    live = [one for one in assignments if one.ends_on != one.starts_on and (one.ends_at is None or one.ends_at > now)]
    planned = planned_changes(live, now)
    coming = {one.assignment.pk for one in planned.values()}
    shown = [one for one in live if one.pk not in coming]
    trials = trial_ends(shown) if shown else {}
    invoices = _running_invoices(shown, now)
    promotions = dict(zip(invoices, applied_to(list(invoices.values())), strict=True)) if invoices else {}
    found, room = [], ROOM
    for one in shown:
        running = _period_of(one, invoices.get(one.pk), now)
        if running is None:
            continue
        period, version = running
        trial = trials[one.pk]
        prices = price_rows(priced_version(version), with_pictures=with_pictures, room=room)
        room -= sum(row.weight for row in prices)
        found.append(
            OnPlan(
                assignment=one,
                version=version,
                period=period,
                has_begun=one.starts_at <= now,
                trial_end=trial if trial > max(now, one.starts_at) else None,
                planned=planned.get(one.pk),
                new_prices=_new_prices(one, version, period),
                prices=prices,
                quantities=_quantities(one, version, now),
                promotions=[promotion_row(applied) for applied in promotions.get(one.pk, ())],
                running=invoices.get(one.pk),
            )
        )
    return found


def taxes_of(customer: Customer) -> Taxes:
    rates = tax_rates_of(customer)
    profile = getattr(customer, "billing_profile", None)
    return Taxes(rates, bool(profile and profile.tax_exempt), profile.tax_note if profile else "")


def billed_words(version: PlanVersion, assignment: Assignment | None = None) -> str:
    """ "every month", "every month, counted from 18 Oct 2026"."""
    every = every_words(version.interval, version.interval_count)
    if version.alignment == PlanVersion.Alignment.ANNIVERSARY:
        return f"{every}, from the day that you began"
    return every


def amounts_at_least(version: PlanVersion) -> list[tuple[str, str]]:
    """Minimum and commitment, for who pays them."""
    said = []
    if version.minimum:
        said.append(("Minimum", f"{format_price(version.minimum, version.currency)} a period, before tax"))
    if version.commitment is not None:
        said.append(("Commitment", f"{format_price(version.commitment, version.currency)} a period, used or not"))
        if version.overage_factor != 1:
            said.append(("Beyond it", f"charged times {format_quantity(version.overage_factor)}"))
    return said


def fee_row(one: FeeQuantity, currency: str) -> FeeRow:
    later = [(f"{format_quantity(quantity)} {one.fee.unit}".rstrip(), day) for day, quantity in one.later]
    return FeeRow(one.fee.name, one.words(currency), one.amount(currency), later)


def promotion_row(applied: AppliedPromotion) -> PromotionRow:
    promotion = applied.promotion
    return PromotionRow(promotion.name, what_words(promotion), limit_words(promotion), applied.ends_on)


def _running_invoices(assignments: Sequence[Assignment], now: datetime) -> dict[int, Invoice]:
    found = Invoice.objects.filter(
        assignment__in=assignments, status__in=Invoice.LIVE, period_start__lte=now, period_end__gt=now
    )
    by_pk = {one.pk: one for one in assignments}
    invoices = {}
    for invoice in found.select_related("plan_version__plan").order_by("assignment"):
        invoice.assignment = by_pk[invoice.assignment_id]
        invoices[invoice.assignment_id] = invoice
    return invoices


def _period_of(assignment: Assignment, invoice: Invoice | None, now: datetime) -> tuple[Period, PlanVersion] | None:
    """The running period and its version; from the invoice where a worker has opened it already."""
    if invoice is not None:
        return invoice.period, invoice.plan_version
    return next(((period, version) for period, version in periods_of(assignment) if now < period.end), None)


def _new_prices(assignment: Assignment, version: PlanVersion, period: Period) -> NewPrices | None:
    if assignment.ends_at is not None and assignment.ends_at <= period.end:
        return None
    activated = assignment.plan.activated  # type: ignore[attr-defined] # prefetched
    following = chosen(counting(activated, assignment.created_at), period.end)
    if following is None or following.pk == version.pk:
        return None
    return NewPrices(period.end, differences(version, following))


def _quantities(assignment: Assignment, version: PlanVersion, now: datetime) -> list[FeeQuantity]:
    day = local_date(max(now, assignment.starts_at), assignment.zone)
    return quantities_on(priced_version(version).fees, assignment.quantities.all(), day)
