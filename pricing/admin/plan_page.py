"""What the page of a plan shows beside its form: its versions, what activating a draft changes, and private plans."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count
from django.utils import timezone

from meters.admin.base import instant
from pricing.admin.assignments import running
from pricing.admin.rate_form import items_to_add
from pricing.admin.version_view import versions_with_contents, view_of
from pricing.differences import Difference, differences
from pricing.models import Assignment, Plan, PlanVersion

# Of private plans on the page of their base; the list of plans has all.
MOST_PRIVATE = 10


@dataclass(frozen=True, slots=True)
class Earlier:
    """A version that another took over from; periods that began under it keep its prices."""

    version: PlanVersion
    active_from: str
    active_to: str
    by: str
    contents: int


def plan_page(plan: Plan) -> dict[str, Any]:
    versions = versions_with_contents(plan, status__in=[PlanVersion.Status.DRAFT, PlanVersion.Status.ACTIVE])
    by_status = {version.status: version for version in versions}
    draft, active = by_status.get(PlanVersion.Status.DRAFT), by_status.get(PlanVersion.Status.ACTIVE)
    drafted = view_of(draft) if draft else None
    private = plan.private_plans.select_related("customer").order_by("key")
    return {
        "draft": drafted,
        "active": view_of(active) if active else None,
        "changes": _changes(active, draft),
        "older": _older(plan, active),
        "items_left": draft is not None and items_to_add(draft).exists(),
        "customers": Assignment.objects.filter(running(timezone.localdate()), plan=plan).count(),
        "can_activate": bool(active or (drafted and drafted.has_contents)),
        "private_plans": private[:MOST_PRIVATE],
        "private_count": private.count(),
        "following_count": private.filter(follows_base=True).count(),
    }


def _changes(active: PlanVersion | None, draft: PlanVersion | None) -> Sequence[Difference] | None:
    """What activating the draft would change; None where there is nothing to compare it to."""
    return differences(active, draft) if active and draft else None


def _older(plan: Plan, active: PlanVersion | None) -> list[Earlier]:
    earlier, end = [], active.activated_at if active else None
    superseded = plan.versions.filter(status=PlanVersion.Status.SUPERSEDED).order_by("-number")
    for version in superseded.annotate(prices=Count("rates", distinct=True), charged=Count("fees", distinct=True)):
        contents = version.prices + version.charged
        earlier.append(Earlier(version, instant(version.activated_at), instant(end), version.activated_by, contents))
        end = version.activated_at
    return earlier


def version_page(plan: Plan, number: int, against: str) -> dict[str, Any] | None:
    """One version whole, beside what it changed against another: by default the one before. None: no such version."""
    numbers = list(plan.versions.order_by("-number").values_list("number", flat=True))
    if number not in numbers:
        return None
    others = [known for known in numbers if known != number]
    chosen = next((known for known in others if str(known) == against), None)
    other = chosen or max((known for known in others if known < number), default=None)
    versions = {v.number: v for v in versions_with_contents(plan, number__in=[number, other or number])}
    before = versions[other] if other else None
    following = plan.versions.filter(number__gt=number).exclude(activated_at=None).order_by("number").first()
    return {
        "shown": view_of(versions[number]),
        "before": before,
        "changes": differences(before, versions[number]) if before else None,
        "others": others,
        "active_to": instant(following.activated_at) if following else "",
    }
