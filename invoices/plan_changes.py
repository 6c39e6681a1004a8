"""A customer's change of plan by itself, where the vendor lets it: at the end of the running period, and not before.

Staff and programs change plans by `pricing.assignments.change_plan`, which keeps to none of these rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.core.exceptions import ValidationError
from django.db import transaction

from invoices.prepaid.balances import balances_of
from meters.cycles import period_at
from meters.models import Customer
from meters.periods import Period, local_date
from meters.words import day_words
from pricing.assignments import change_plan, check_new, end, hold, kept_anchor
from pricing.fee_quantities import FeeQuantity, quantities_on
from pricing.models import Assignment, AssignmentLog, Plan, PlanVersion
from pricing.money import format_money
from pricing.overlaps import Prices
from pricing.version_choice import active_version, cycle_of, periods_of, running_period, version_for

PORTAL = Assignment.Source.PORTAL
OVER = "{} is over: there is no period left to change at the end of."
CHANGED = "What you were shown has changed meanwhile. Look at it again, then confirm."


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of plan would do: `day` is the first on the new plan, `before` the last period on the old one, and
    `first` that which follows; `is_stub` where it is not a whole one. `fees` are those of the new plan with the
    customer's quantities, `gone` those of the old one whose quantities nothing takes over."""

    assignment: Assignment
    plan: Plan
    version: PlanVersion
    day: date
    before: Period
    first: Period
    is_stub: bool
    fees: Sequence[FeeQuantity]
    gone: Sequence[FeeQuantity]


@dataclass(frozen=True, slots=True)
class Planned:
    """A change that is to come, and who asked for it; staff are not named to customers."""

    assignment: Assignment
    by: str
    can_be_taken_back: bool


def planned_changes(assignments: Sequence[Assignment], now: datetime) -> dict[int, Planned]:
    """By assignment, what takes its place on the day that it ends, where that day is still to come."""
    ends = {one.pk: one.ends_on for one in assignments if one.ends_on is not None}
    if not ends:
        return {}
    following = Assignment.objects.filter(continues__in=ends).select_related("plan").order_by("pk")
    found = {}
    for one in following:
        assert one.continues_id is not None
        is_next = one.starts_on == ends[one.continues_id] and one.ends_on != one.starts_on
        if is_next and local_date(now, one.zone) < one.starts_on:
            own = one.source == PORTAL
            found[one.continues_id] = Planned(one, _asked_by(one) if own else "", own)
    return found


def can_leave(assignment: Assignment, period: Period) -> bool:
    """Whether the customer may ask for another plan at the end of this period, the running one, at all. A plan of its
    own was agreed with the vendor, who has to offer that one, too."""
    if assignment.plan.is_private and assignment.plan.offer != Plan.Offer.SELF_SERVICE:
        return False
    return assignment.ends_at is None or assignment.ends_at > period.end


def look_ahead(assignment: Assignment, plan: Plan, *, now: datetime) -> Change:
    """What the change would do, nothing of which is done or held. Raises ValidationError by field where it is refused:
    the same that `change_own_plan` refuses."""
    period = _running(assignment, now)
    day = local_date(period.end, assignment.zone)
    version = _allowed(assignment, plan, day, now)
    beside = list(Assignment.objects.filter(customer=assignment.customer_id).select_related("plan"))
    for one in beside:
        if one.pk == assignment.pk:
            one.ends_on = day
    new = check_new(
        customer=assignment.customer,
        plan=plan,
        starts_on=day,
        ends_on=assignment.ends_on,
        anchor_on=kept_anchor(assignment),
        source=PORTAL,
        without_trial=True,
        beside=sorted(beside, key=lambda one: (one.starts_on, one.pk)),
        prices=Prices([plan.pk, *(one.plan_id for one in beside)]),
    )
    first, _ = next(periods_of(new))
    entries = list(assignment.quantities.all())
    before = version_for(assignment, now)
    fees = quantities_on(version.fees.all(), entries, day)
    kept = {one.fee.key for one in fees if one.fee.amount is not None}
    old = quantities_on(before.fees.all() if before else (), entries, day)
    return Change(
        assignment=assignment,
        plan=plan,
        version=version,
        day=day,
        before=period,
        first=first,
        is_stub=first != period_at(cycle_of(version, new), first.start, new.zone),
        fees=fees,
        gone=[one for one in old if one.is_own and one.fee.key not in kept],
    )


@transaction.atomic
def change_own_plan(
    assignment: Assignment, *, plan: Plan, day: date, version: int, now: datetime, actor: str
) -> Assignment:
    """Puts the customer on another plan when the running period ends, and answers the new assignment.

    `day` and `version` (its number) are what was shown: where either is another one by now, nothing is done. Who asks
    for the same again gets what is planned; of two who ask for it at once the first one does it, and the other is told.
    There is no trial: it would begin again with every change. Raises ValidationError by field.
    """
    assignment = hold(assignment, plan)
    planned = planned_changes([assignment], now).get(assignment.pk)
    if planned is not None:
        mine = planned.can_be_taken_back and planned.by == actor
        if mine and planned.assignment.plan_id == plan.pk and planned.assignment.starts_on == day:
            return planned.assignment
        raise ValidationError({"plan": _planned_words(planned)})
    plan = Plan.objects.get(pk=plan.pk)
    shown = look_ahead(assignment, plan, now=now)
    if shown.day != day or shown.version.number != version:
        raise ValidationError({"when": CHANGED})
    return change_plan(assignment, plan=plan, when=day, without_trial=True, source=PORTAL, actor=actor)


@transaction.atomic
def take_back_own_change(planned: Assignment, *, now: datetime, actor: str) -> Assignment:
    """Takes a change back that a customer asked for itself and that is still to come: the assignment before goes on as
    it would have, and is the answer. Raises ValidationError."""
    planned = hold(planned)
    if planned.source != PORTAL or planned.continues is None:
        raise ValidationError({"plan": "This change was not made here, so it cannot be taken back here."})
    if planned.ends_on == planned.starts_on:
        raise ValidationError({"plan": f"The change to {planned.plan.public_name} is taken back already."})
    if local_date(now, planned.zone) >= planned.starts_on:
        raise ValidationError({"plan": f"{planned.plan.public_name} has begun on {day_words(planned.starts_on)}."})
    before, ends_on = planned.continues, planned.ends_on
    end(planned, ends_on=planned.starts_on, source=PORTAL, actor=actor)
    if ends_on is not None:
        # What was to come after the new one comes after the old one again.
        planned.continued_by.filter(starts_on=ends_on).exclude(pk=before.pk).update(continues=before)
    return end(before, ends_on=ends_on, source=PORTAL, actor=actor)


def _running(assignment: Assignment, now: datetime) -> Period:
    period = running_period(assignment, now)
    if period is None or (assignment.ends_at is not None and assignment.ends_at <= now):
        raise ValidationError({"when": OVER.format(assignment.plan.public_name)})
    return period


def _allowed(assignment: Assignment, plan: Plan, day: date, now: datetime) -> PlanVersion:
    """The version that the customer would get. Raises ValidationError where the vendor does not let it."""
    old, name = assignment.plan, plan.public_name
    version = active_version(plan)
    if plan.customer_id not in (None, assignment.customer_id):
        raise ValidationError({"plan": "There is no such plan."})
    if plan.status != Plan.Status.ACTIVE or version is None:
        raise ValidationError({"plan": f"{name} is no longer offered."})
    if plan.offer != Plan.Offer.SELF_SERVICE:
        raise ValidationError({"plan": f"{name} is not one that you can change to by yourself."})
    if plan.pk == old.pk:
        raise ValidationError({"plan": f"You are on {name} already."})
    if old.is_private and old.offer != Plan.Offer.SELF_SERVICE:
        raise ValidationError({"plan": f"{old.public_name} is a plan of your own, so it is not changed here."})
    if assignment.ends_on is not None and assignment.ends_on <= day:
        planned = planned_changes([assignment], now).get(assignment.pk)
        if planned is not None:
            raise ValidationError({"plan": _planned_words(planned)})
        raise ValidationError({"when": f"{old.public_name} ends on {day_words(assignment.ends_on)} already."})
    _check_currency(assignment, version, now)
    return version


def _check_currency(assignment: Assignment, version: PlanVersion, now: datetime) -> None:
    """Credits pay for invoices in their own currency only, so what is left of them would be of no use."""
    running = version_for(assignment, now)
    if running is None or running.currency == version.currency:
        return
    customer: Customer = assignment.customer
    for balance in balances_of(customer, now):
        if balance.currency == running.currency:
            left = format_money(balance.amount + balance.pending, balance.currency)
            raise ValidationError(
                {
                    "plan": f"{version.plan.public_name} is billed in {version.currency}, and your credits of {left}"
                    f" pay for invoices in {balance.currency} only. Use them up first."
                }
            )


def _planned_words(planned: Planned) -> str:
    new = planned.assignment
    by = f" by {planned.by}" if planned.by else ""
    return f"A change to {new.plan.public_name} on {day_words(new.starts_on)} is planned already{by}."


def _asked_by(assignment: Assignment) -> str:
    made = assignment.log.filter(kind=AssignmentLog.Kind.ASSIGNED).order_by("id").first()
    return made.actor if made else ""
