"""Plans and their versions: a draft is edited (`pricing.drafts`), activating freezes it."""

from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from meters.models import Meter
from pricing.deriving import derive, draft_after, freeze
from pricing.drafts import check_rate, remove_fee, remove_rate, set_fee, set_rate, set_terms
from pricing.locks_sql import DEFAULT_PLAN_LOCK
from pricing.models import Plan, PlanVersion, ProductItem
from pricing.overlaps import check_version
from pricing.version_choice import active_version, version_for
from pricing.version_contents import is_empty

__all__ = [
    "activate",
    "active_version",
    "discard_draft",
    "draft_version",
    "remove_fee",
    "remove_rate",
    "retire",
    "set_default",
    "set_fee",
    "set_rate",
    "set_terms",
    "version_for",
]

NOT_ACTIVE = "{} is not active: activate it first, then make it the default plan."


@transaction.atomic
def draft_version(plan: Plan) -> PlanVersion:
    """The draft of a plan; where there is none, a new one with all that the newest version says."""
    lock_plan(plan)
    newest = plan.versions.order_by("-number").first()
    if newest is None:
        return PlanVersion.objects.create(plan=plan, number=1)
    return newest if newest.is_draft else draft_after(plan, newest)


@transaction.atomic
def activate(plan: Plan, *, moves_existing: bool = True, actor: str = "") -> PlanVersion:
    """Freezes the draft and makes it what new customers get, and the private plans that follow this one.

    Customers on an earlier version get it with their next period, or stay on what they have, until a later version
    moves them: `moves_existing` False. A retired plan without a draft is taken back into use as it was. `actor` is
    kept with the versions: who did it. Raises ValidationError by field where there is nothing to activate, and where
    a customer whom it moves has one of its product items priced by another plan.
    """
    plan = _lock_family(plan)
    draft = plan.versions.select_for_update(no_key=True, of=("self",)).filter(status=PlanVersion.Status.DRAFT).first()
    active = active_version(plan)
    if draft is None and active is None:
        raise ValidationError({"plan": "The plan has no version to activate."})
    if draft is not None:
        _check_draft(draft)
        now = timezone.now()
        if moves_existing:
            check_version(draft)
        freeze(draft, moves_existing=moves_existing, now=now, actor=actor)
        for private in plan.private_plans.filter(follows_base=True).order_by("pk"):
            derive(private, draft, moves_existing=moves_existing, now=now, actor=actor)
        active = draft
    plan.status = Plan.Status.ACTIVE
    plan.save(update_fields=["status"])
    assert active is not None
    return active


@transaction.atomic
def retire(plan: Plan) -> None:
    """No new customer gets the plan, also not by default; those on it stay.

    Raises ValidationError for a plan that is not active.
    """
    plan = lock_plan(plan)
    if plan.status != Plan.Status.ACTIVE:
        raise ValidationError({"plan": "Only an active plan can be retired."})
    plan.status = Plan.Status.RETIRED
    plan.is_default = False
    plan.save(update_fields=["status", "is_default"])


@transaction.atomic
def set_default(plan: Plan, *, is_default: bool) -> None:
    """Makes a plan the default one in place of another, or no longer the default.

    In a transaction that changes a plan this comes first: whoever waits here may hold no plan that others want.
    Raises ValidationError for a private plan, and for one that is not active: it would take the place of the one that
    new customers get now, and give them nothing.
    """
    if is_default and plan.is_private:
        raise ValidationError({"is_default": f"{plan.key} is a plan of {plan.customer} only."})
    # One at a time: two rows change, and which one is the default before is only known to whoever comes next.
    with connection.cursor() as cursor:
        cursor.execute(DEFAULT_PLAN_LOCK)
    # Both rows in the order in which others take them.
    held = Plan.objects.select_for_update(no_key=True).filter(Q(pk=plan.pk) | Q(is_default=True)).order_by("pk")
    now = {found.pk: found for found in held}[plan.pk]
    if is_default and now.status != Plan.Status.ACTIVE:
        raise ValidationError({"is_default": NOT_ACTIVE.format(plan)})
    if is_default:
        Plan.objects.filter(is_default=True).exclude(pk=plan.pk).update(is_default=False)
    Plan.objects.filter(pk=plan.pk).update(is_default=is_default)
    plan.is_default = is_default


@transaction.atomic
def discard_draft(plan: Plan) -> None:
    """Throws the draft away and leaves the active version as it is. Raises ValidationError where either is missing."""
    lock_plan(plan)
    draft = plan.versions.filter(status=PlanVersion.Status.DRAFT).first()
    if draft is None or active_version(plan) is None:
        raise ValidationError({"version": "There is no draft beside an active version."})
    draft.delete()


def lock_plan(plan: Plan) -> Plan:
    """The plan as it is now, held until the end of the transaction; rows that refer to it can still be added."""
    return Plan.objects.select_for_update(no_key=True).get(pk=plan.pk)


def _lock_family(plan: Plan) -> Plan:
    """Holds a plan with its private plans, and the meters and product items of their drafts. In one order each."""
    family = Plan.objects.select_for_update(no_key=True).filter(Q(pk=plan.pk) | Q(base=plan.pk)).order_by("pk")
    locked = {found.pk: found for found in family}
    lock_items(_drafts(locked))
    return locked[plan.pk]


def lock_items(versions: Iterable[int]) -> None:
    """Holds the meters and product items of versions (by their ids) before their prices begin to count, behind their
    plans: a meter keeps what its rates need, and two plans that add the same item at the same time do not see each
    other's version."""
    items = ProductItem.objects.filter(rates__plan_version__in=versions).values("pk")
    list(Meter.objects.select_for_update(no_key=True).filter(product_item__in=items).order_by("pk"))
    list(ProductItem.objects.select_for_update(no_key=True).filter(pk__in=items).order_by("pk"))


def _drafts(plans: dict[int, Plan]) -> list[int]:
    drafts = PlanVersion.objects.filter(plan__in=plans, status=PlanVersion.Status.DRAFT)
    return list(drafts.values_list("pk", flat=True))


def _check_draft(draft: PlanVersion) -> None:
    """Raises ValidationError for a draft without a price, and for rates that their meters cannot serve any more."""
    if is_empty(draft):
        raise ValidationError({"plan": "Add at least one product item or fee before you activate the plan."})
    for rate in draft.rates.select_related("product_item__meter"):
        check_rate(rate.parsed, rate.product_item.meter)
        if gone := sorted(set(rate.where) - set(rate.product_item.meter.dimensions)):
            raise ValidationError({"where": f"{rate.product_item.meter} no longer declares {', '.join(gone)}."})
