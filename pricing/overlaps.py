"""One product item is priced by at most one assignment of a customer at a time.

Both ways to break that are checked here, under the locks of the caller: an assignment that begins, or goes on, beside
another (`check_assignment`), and a version that brings an item to those who have it elsewhere (`check_version`).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone

from meters.cycles import period_at
from meters.words import day_words
from pricing.models import Assignment, PlanVersion, ProductItem
from pricing.version_choice import counting, cycle_of

LONG_AGO = datetime(1, 1, 2, tzinfo=UTC)


class Prices:
    """Which product items the versions of some plans price: each is read once, however many assignments are checked.

    To be made under the locks of these plans, and not kept longer than them.
    """

    def __init__(self, plans: Iterable[int]) -> None:
        self._versions: dict[int, list[PlanVersion]] = defaultdict(list)
        self._items: dict[int, set[int]] = {}
        for version in PlanVersion.objects.filter(plan__in=set(plans)).exclude(activated_at=None).order_by("number"):
            self._versions[version.plan_id].append(version)

    def of_new(self, plan_id: int) -> set[int]:
        """Ids of the product items that an assignment prices which is made now."""
        active = (version for version in self._versions[plan_id] if version.status == PlanVersion.Status.ACTIVE)
        return self._of_versions(active)

    def made_at(self, plan_id: int, now: datetime) -> datetime:
        """When an assignment is made at `now`: not before what is active was activated, by whatever clock."""
        activated = (version.activated_at for version in self._versions[plan_id] if version.activated_at)
        return max([now, *activated])

    def of(self, assignment: Assignment, since: datetime = LONG_AGO) -> set[int]:
        """Ids of the product items that an assignment prices in periods that reach beyond `since`.

        The last period of a version that another took the place of may go on for as long as its cycle.
        """
        versions = counting(self._versions[assignment.plan_id], assignment.created_at)
        still = versions[-1:]
        for version, following in pairwise(versions):
            replaced_at = following.activated_at
            assert replaced_at is not None
            # Its last period is the one that was running then; had none begun, it never counted.
            if replaced_at <= assignment.starts_at:
                continue
            if period_at(cycle_of(version, assignment), replaced_at, assignment.zone).end > since:
                still.append(version)
        return self._of_versions(still)

    def _of_versions(self, versions: Iterable[PlanVersion]) -> set[int]:
        found: set[int] = set()
        for version in versions:
            if version.pk not in self._items:
                self._items[version.pk] = set(version.rates.values_list("product_item_id", flat=True))
            found |= self._items[version.pk]
        return found


def check_assignment(
    assignment: Assignment, items: set[int], beside: Sequence[Assignment], prices: Prices, *, field: str
) -> None:
    """Raises ValidationError at `field` where one of `beside`, the other assignments of the customer in the order of
    their days, prices one of `items` in the time of this one, which need not be saved yet. So it does where one ends on
    the day that the other begins, but by midnights of another zone: they would overlap, or leave a gap."""
    start, end = assignment.starts_at, assignment.ends_at
    for other in beside:
        if other.ends_on == other.starts_on or _are_apart(assignment, other) or _are_apart(other, assignment):
            continue
        other_start, other_end = other.starts_at, other.ends_at
        overlap = (end is None or other_start < end) and (other_end is None or other_end > start)
        parted = (other.ends_on == assignment.starts_on and other_end != start) or (
            assignment.ends_on == other.starts_on and end != other_start
        )
        if not (overlap or parted):
            continue
        if shared := items & prices.of(other, max(start, other_start)):
            item = ProductItem.objects.filter(pk__in=shared).first()
            said = f"{item} is already priced by {other.plan} from {day_words(other.starts_on)}; end that first."
            if parted:
                said = (
                    f"{item} is priced by {other.plan} by the midnights of {other.time_zone}, and here by those of"
                    f" {assignment.time_zone}, which are not the same: leave two days between them."
                )
            raise ValidationError({field: said})


def _are_apart(assignment: Assignment, other: Assignment) -> bool:
    """Whether one ends well before the other begins, in whatever zones: midnights of a day are less than two apart."""
    return assignment.ends_on is not None and other.starts_on - assignment.ends_on >= timedelta(days=2)


def check_version(version: PlanVersion) -> None:
    """Raises ValidationError where a customer of the version's plan has one of its items priced by another plan.

    For a version that moves the customers there are: the others keep what they have.
    """
    now = timezone.now()
    items = set(version.rates.values_list("product_item_id", flat=True))
    # Roughly, because days end at another instant in each zone; exactly below.
    live = Assignment.objects.filter(Q(ends_on=None) | Q(ends_on__gte=now.date() - timedelta(days=1)))
    beside = live.exclude(plan=version.plan_id).filter(
        customer__assignments__plan=version.plan_id,
        plan__versions__activated_at__isnull=False,
        plan__versions__rates__product_item__in=items,
    )
    others = list(beside.select_related("customer", "plan").order_by("pk").distinct())
    prices = Prices(other.plan_id for other in others)
    own_by_customer: dict[int, list[Assignment]] = defaultdict(list)
    for own in live.filter(plan=version.plan_id, customer__in={other.customer_id for other in others}):
        own_by_customer[own.customer_id].append(own)
    for other in others:
        for own in own_by_customer[other.customer_id]:
            start = max(now, own.starts_at, other.starts_at)
            ends = [end for end in (own.ends_at, other.ends_at) if end is not None]
            if all(start < end for end in ends) and items & prices.of(other, start):
                raise ValidationError(
                    {
                        "product_item": f"{other.customer} is on {other.plan} too, which already prices an item that"
                        " this version adds."
                    }
                )
