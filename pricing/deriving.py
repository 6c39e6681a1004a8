"""How versions come to be: a draft after another version, and a private plan's versions out of its base plan's."""

from datetime import datetime, timedelta

from django.db.models import Max

from pricing.models import Assignment, Plan, PlanVersion
from pricing.overlaps import check_version
from pricing.version_choice import active_version
from pricing.version_contents import can_be_sold, copy_rows, copy_terms, rebase


def draft_after(plan: Plan, newest: PlanVersion) -> PlanVersion:
    """A new draft with all that the newest version says, but for product items that are retired."""
    draft = PlanVersion(plan=plan, number=newest.number + 1, overridden_terms=newest.overridden_terms)
    copy_terms(newest, draft)
    draft.save()
    copy_rows(newest, draft, keep=can_be_sold)
    return draft


def freeze(version: PlanVersion, *, moves_existing: bool, now: datetime, actor: str) -> None:
    """Makes a version the active one of its plan, in place of the one before. `actor`: who did it, in words."""
    version.plan.versions.filter(status=PlanVersion.Status.ACTIVE).update(status=PlanVersion.Status.SUPERSEDED)
    version.status = PlanVersion.Status.ACTIVE
    version.activated_at = _after_assignments(version.plan_id, now)
    version.activated_by = actor[:200]
    version.moves_existing = moves_existing
    version.save(update_fields=["status", "activated_at", "activated_by", "moves_existing"])


def _after_assignments(plan_id: int, now: datetime) -> datetime:
    """`now`; just after the plan's latest assignment, where that was made by a clock that was ahead: it has the version
    before."""
    latest: datetime | None = Assignment.objects.filter(plan=plan_id).aggregate(at=Max("created_at"))["at"]
    return now if latest is None or latest <= now else latest + timedelta(microseconds=1)


def derive(
    private: Plan, base: PlanVersion, *, moves_existing: bool, now: datetime, actor: str = ""
) -> PlanVersion | None:
    """Makes and activates a version of a private plan out of its base plan's, with the customer's own prices kept.

    A draft that staff are working on is brought up to date too, and stays a draft behind it. A plan that was never
    activated has nothing but that; then the answer is None. Expects the lock on the plan. Raises ValidationError.
    """
    draft = (
        private.versions.select_for_update(no_key=True, of=("self",)).filter(status=PlanVersion.Status.DRAFT).first()
    )
    active = active_version(private)
    version = None
    if active is not None:
        number = active.number + 1
        if draft is not None:
            # It makes room: numbers are in the order of activation.
            number, draft.number = draft.number, draft.number + 1
            draft.save(update_fields=["number"])
        version = PlanVersion(
            plan=private,
            number=number,
            currency=active.currency,
            status=PlanVersion.Status.SUPERSEDED,  # until it is active: there is one draft at most
            overridden_terms=active.overridden_terms,
        )
        copy_terms(active, version)
        version.save()
        copy_rows(active, version, keep=lambda row: True)
        rebase(version, base)
        if moves_existing:
            check_version(version)
        freeze(version, moves_existing=moves_existing, now=now, actor=actor)
    if draft is not None:
        rebase(draft, base)
    return version
