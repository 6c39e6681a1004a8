"""Whose bill for which period, and what of that period is charged: the trial, the days, the fees."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from invoices.pricing_of import PricedVersion
from meters.cycles import days_between, period_at
from meters.models import Customer
from meters.periods import Period, local_date, local_midnight
from pricing.models import Assignment, AssignmentQuantity, Fee, PlanVersion
from pricing.terms import FeeTerms, PromotionTerms, TaxTerms, Terms, runs_of
from pricing.version_choice import chosen, counting, cycle_of

# The quantities of a fee by the day that they count from.
Changes = Mapping[date, Decimal]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What a bill is computed of: a customer on a plan by the prices of `priced`, in a period.

    The period is a part of one period of the version's cycle (`pricing.version_choice.cycle_of`), and lies within the
    assignment. Promotions stand in the order in which they are taken off.
    """

    customer: Customer
    assignment: Assignment
    priced: PricedVersion
    period: Period
    promotions: tuple[PromotionTerms, ...] = ()
    taxes: tuple[TaxTerms, ...] = ()
    # Some worker has found the period to be over, so it is, also by a clock that is behind.
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """What of a subject's period is trial and what is charged (either may be empty), with the days of the charged part
    and of the whole period that it is of, and the fees that are owed for it."""

    trial: Period
    charged: Period
    days: int
    of_days: int
    fees: tuple[FeeTerms, ...]


def frames_of(subjects: Sequence[Subject]) -> list[Frame]:
    """The frames of these subjects, in order, in at most two statements."""
    trials = trial_ends([subject.assignment for subject in subjects])
    quantities = _quantities(subjects)
    return [_frame(one, trials[one.assignment.pk], quantities[one.assignment.pk]) for one in subjects]


def parts_of_periods(subjects: Sequence[Subject]) -> list[tuple[Period, Period]]:
    """What of each subject's period is trial and what is charged, in order, in one statement."""
    trials = trial_ends([subject.assignment for subject in subjects])
    return [_parts(one, trials[one.assignment.pk]) for one in subjects]


def _parts(subject: Subject, trial_end: datetime) -> tuple[Period, Period]:
    period = subject.period
    charged = period.clip(start=trial_end) if trial_end < period.end else Period(period.end, period.end)
    return Period(period.start, charged.start), charged


def terms_of(subject: Subject, frame: Frame) -> Terms:
    """The terms of the subject's version, and what else counts beside usage."""
    version = subject.priced.version
    return Terms(
        currency=version.currency,
        fees=frame.fees,
        minimum=version.minimum,
        commitment=version.commitment,
        overage_factor=version.overage_factor,
        days=frame.days,
        of_days=frame.of_days,
        promotions=subject.promotions,
        taxes=subject.taxes,
    )


def trial_ends(assignments: Sequence[Assignment]) -> dict[int, datetime]:
    """When the trial of each assignment ends, by its id; where there is none, when the assignment starts.

    That is by the version that counts at the assignment's start, whatever later ones say. One that goes on from the
    base of its private plan has the trial that is its own, if any; one that its customer chose by itself has none.
    """
    by_plan: dict[int, list[PlanVersion]] = defaultdict(list)
    plans = {assignment.plan_id for assignment in assignments}
    for version in PlanVersion.objects.filter(plan__in=plans).exclude(activated_at=None).order_by("number"):
        by_plan[version.plan_id].append(version)
    return {one.pk: _trial_end(one, by_plan[one.plan_id]) for one in assignments}


def _trial_end(assignment: Assignment, activated: Sequence[PlanVersion]) -> datetime:
    first = chosen(counting(activated, assignment.created_at), assignment.starts_at)
    days = first.trial_days if first else 0
    if first and assignment.goes_on and "trial_days" not in first.overridden_terms:
        days = 0
    if assignment.without_trial:
        days = 0
    return local_midnight(assignment.starts_on + timedelta(days=days), assignment.zone)


def _quantities(subjects: Sequence[Subject]) -> dict[int, dict[str, dict[date, Decimal]]]:
    """The quantities that assignments say, by assignment, fee and the day that they count from."""
    found: dict[int, dict[str, dict[date, Decimal]]] = defaultdict(lambda: defaultdict(dict))
    counted = [subject.assignment.pk for subject in subjects if any(map(_is_counted, subject.priced.fees))]
    if counted:
        for one in AssignmentQuantity.objects.filter(assignment__in=counted):
            found[one.assignment_id][one.fee_key][one.starts_on] = one.quantity
    return found


def _is_counted(fee: Fee) -> bool:
    return fee.kind != Fee.Kind.PERCENT


def _frame(subject: Subject, trial_end: datetime, quantities: Mapping[str, Changes]) -> Frame:
    assignment, period, zone = subject.assignment, subject.period, subject.assignment.zone
    trial, charged = _parts(subject, trial_end)
    whole = period_at(cycle_of(subject.priced.version, assignment), period.start, zone)
    days, of_days = days_between(charged, zone), days_between(whole, zone)
    is_first = charged.start == max(trial_end, assignment.starts_at)
    fees = _fees(subject, charged, whole, quantities, is_first=is_first) if days else ()
    return Frame(trial, charged, days, of_days, tuple(fees))


def _fees(
    subject: Subject, charged: Period, whole: Period, quantities: Mapping[str, Changes], *, is_first: bool
) -> Iterator[FeeTerms]:
    """The fees of a period with charged days. A one-time fee belongs to the first of these that an assignment has; to
    one that goes on from the base of its private plan belong only those that are the customer's own."""
    zone = subject.assignment.zone
    first, end = local_date(charged.start, zone), local_date(charged.end, zone)
    days_before, of_days = days_between(Period(whole.start, charged.start), zone), days_between(whole, zone)
    for fee in subject.priced.fees:
        if fee.kind == Fee.Kind.ONE_TIME and not (is_first and (fee.is_override or not subject.assignment.goes_on)):
            continue
        yield FeeTerms(
            key=fee.key,
            name=fee.name,
            unit=fee.unit,
            kind=fee.kind,
            amount=fee.amount,
            percent=fee.percent,
            runs=runs_of(fee.quantity, quantities.get(fee.key, {}), first=first, end=end) if _is_counted(fee) else (),
            days_before=days_before,
            of_days=of_days,
            prorated=fee.prorated,
        )
