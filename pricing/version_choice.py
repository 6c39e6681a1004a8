"""Which version of a plan counts: for new customers, for an assignment at an instant, and in which periods."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from django.utils import timezone

from meters.cycles import Cycle, period_at
from meters.models import Customer
from meters.periods import Period, local_date
from pricing.models import Assignment, Plan, PlanVersion


def active_version(plan: Plan) -> PlanVersion | None:
    """The version that new assignments get; a retired plan keeps its last."""
    return plan.versions.filter(status=PlanVersion.Status.ACTIVE).first()


def version_for(assignment: Assignment, instant: datetime) -> PlanVersion | None:
    """The version whose prices an assignment's period has that begins at `instant`.

    The newest of `versions_of` that was active by then. None only for a plan that never had an active version.
    """
    return chosen(versions_of(assignment), instant)


def versions_of(assignment: Assignment) -> list[PlanVersion]:
    """The versions that ever count for an assignment, in the order in which they do.

    The first is the one that was active when the assignment was made, also for periods before that; were there none
    yet, the plan's first. After it come those that moved the customers there were.
    """
    activated = assignment.plan.versions.exclude(activated_at=None).order_by("number")
    return counting(list(activated), assignment.created_at)


def counting(activated: Sequence[PlanVersion], made_at: datetime) -> list[PlanVersion]:
    """Of a plan's activated versions, in order, those that count for an assignment made at `made_at`."""
    found = [version for version in activated if version.activated_at and version.activated_at <= made_at]
    first = found[-1:] or list(activated[:1])
    return [
        *first,
        *(
            version
            for version in activated
            if version.moves_existing and version.activated_at and version.activated_at > made_at
            if version not in first
        ),
    ]


def chosen(versions: Sequence[PlanVersion], instant: datetime) -> PlanVersion | None:
    """Of the versions that count for an assignment, in order, the one for a period that begins at `instant`."""
    for version in reversed(versions):
        if version.activated_at and version.activated_at <= instant:
            return version
    return versions[0] if versions else None


def is_past_trial(customer: Customer, plan: Plan) -> bool:
    """Whether the customer is on the plan, or was, and has had a day that was charged."""
    now = timezone.now()
    assignments = customer.assignments.filter(plan=plan).select_related("plan")
    return any(is_charged_by(assignment, local_date(now, assignment.zone)) for assignment in assignments)


def is_charged_by(assignment: Assignment, day: date) -> bool:
    """Whether an assignment to a plan that is not private has had a day that was charged, up to that one."""
    first = version_for(assignment, assignment.starts_at)
    days = first.trial_days if first and not assignment.without_trial else 0
    charged_from = assignment.starts_on + timedelta(days=days)
    return charged_from <= day and (assignment.ends_on is None or charged_from < assignment.ends_on)


def cycle_of(version: PlanVersion, assignment: Assignment) -> Cycle:
    """How the periods of an assignment follow each other while the version counts."""
    anniversary = version.alignment == PlanVersion.Alignment.ANNIVERSARY
    return Cycle(version.interval, version.interval_count, anniversary, assignment.anchor)


def periods_of(assignment: Assignment) -> Iterator[tuple[Period, PlanVersion]]:
    """The periods of an assignment from its first day on, each with its version; without end where it has none.

    Each begins where the one before ended, whatever cycle its version has; the first and last may be stubs.
    """
    versions = versions_of(assignment)
    start, end = assignment.starts_at, assignment.ends_at
    while end is None or start < end:
        version = chosen(versions, start)
        if version is None:
            return
        period = period_at(cycle_of(version, assignment), start, assignment.zone).clip(start, end)
        yield period, version
        start = period.end


def running_period(assignment: Assignment, now: datetime) -> Period | None:
    """The period that `now` is in; the first one of an assignment that has yet to begin, None after its end."""
    return next((period for period, _ in periods_of(assignment) if now < period.end), None)
