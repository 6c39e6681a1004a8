"""Plans and their versions: a draft is edited, activating freezes it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from pricing.models import Assignment, Plan, PlanVersion, ProductItem, Rate
from pricing.rates import parse_rate
from pricing.version_choice import active_version, version_for

__all__ = [
    "activate",
    "active_version",
    "discard_draft",
    "draft_version",
    "remove_rate",
    "retire",
    "set_default",
    "set_rate",
    "version_at",
    "version_for",
]


@transaction.atomic
def draft_version(plan: Plan) -> PlanVersion:
    """The draft of a plan; where there is none, a new one with the prices of the newest version."""
    Plan.objects.select_for_update().get(pk=plan.pk)
    newest = plan.versions.order_by("-number").first()
    if newest is None:
        return PlanVersion.objects.create(plan=plan, number=1)
    if newest.is_draft:
        return newest
    draft = PlanVersion.objects.create(plan=plan, number=newest.number + 1, currency=newest.currency)
    Rate.objects.bulk_create(
        Rate(plan_version=draft, product_item=rate.product_item, parameters=rate.parameters)
        for rate in newest.rates.select_related("product_item")
        if rate.product_item.retired_at is None
    )
    return draft


@transaction.atomic
def set_rate(version: PlanVersion, *, product_item: ProductItem, parameters: Mapping[str, Any]) -> Rate:
    """Puts a price on a product item in a draft, in place of the one it had.

    Raises RateError (a ValueError that names the path) for parameters that are no rate, ValidationError for a
    version that is frozen or an item that is retired.
    """
    _lock_draft(version)
    if product_item.retired_at is not None:
        raise ValidationError({"product_item": f"{product_item} is retired."})
    rate, _ = Rate.objects.update_or_create(
        plan_version=version,
        product_item=product_item,
        defaults={"parameters": parse_rate(parameters).parameters()},
    )
    return rate


@transaction.atomic
def remove_rate(rate: Rate) -> None:
    """Takes a product item out of a draft. Raises ValidationError where the version is frozen."""
    _lock_draft(rate.plan_version)
    rate.delete()


@transaction.atomic
def activate(plan: Plan) -> PlanVersion:
    """Freezes the draft and makes it what customers get; the version before it counts until their period ends.

    A retired plan without a draft is taken back into use as it was. Raises ValidationError where there is nothing
    to activate.
    """
    plan = Plan.objects.select_for_update().get(pk=plan.pk)
    draft = plan.versions.filter(status=PlanVersion.Status.DRAFT).first()
    active = active_version(plan)
    if draft is None and active is None:
        raise ValidationError("The plan has no version to activate.")
    if draft is not None and not draft.rates.exists() and active is None:
        raise ValidationError("Add at least one product item before you activate the plan.")
    if draft is not None and draft.rates.exists():
        _check_new_items(plan, draft, active)
        plan.versions.filter(status=PlanVersion.Status.ACTIVE).update(status=PlanVersion.Status.SUPERSEDED)
        draft.status = PlanVersion.Status.ACTIVE
        draft.activated_at = timezone.now()
        draft.save(update_fields=["status", "activated_at"])
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
    plan = Plan.objects.select_for_update().get(pk=plan.pk)
    if plan.status != Plan.Status.ACTIVE:
        raise ValidationError("Only an active plan can be retired.")
    plan.status = Plan.Status.RETIRED
    plan.is_default = False
    plan.save(update_fields=["status", "is_default"])


@transaction.atomic
def set_default(plan: Plan, *, is_default: bool) -> None:
    """Makes a plan the default one in place of another, or no longer the default."""
    # Both rows at once and in one order, so that two requests do not wait for each other in a circle.
    concerned = Plan.objects.filter(Q(pk=plan.pk) | Q(is_default=True)).order_by("pk")
    list(concerned.select_for_update())
    if is_default:
        Plan.objects.filter(is_default=True).exclude(pk=plan.pk).update(is_default=False)
    Plan.objects.filter(pk=plan.pk).update(is_default=is_default)
    plan.is_default = is_default


@transaction.atomic
def discard_draft(plan: Plan) -> None:
    """Throws the draft away and leaves the active version as it is. Raises ValidationError where either is missing."""
    Plan.objects.select_for_update().get(pk=plan.pk)
    draft = plan.versions.filter(status=PlanVersion.Status.DRAFT).first()
    if draft is None or active_version(plan) is None:
        raise ValidationError("There is no draft beside an active version.")
    draft.delete()


def _check_new_items(plan: Plan, draft: PlanVersion, active: PlanVersion | None) -> None:
    """Raises ValidationError where a customer of the plan has an item, new to it, priced by another plan already."""
    new = set(draft.rates.values_list("product_item", flat=True))
    if active is not None:
        new -= set(active.rates.values_list("product_item", flat=True))
    beside = Assignment.objects.exclude(plan=plan).filter(
        Q(ends_on=None) | Q(ends_on__gt=F("customer__assignments__starts_on")),
        Q(customer__assignments__ends_on=None) | Q(customer__assignments__ends_on__gt=F("starts_on")),
        customer__assignments__plan=plan,
        plan__versions__status=PlanVersion.Status.ACTIVE,
        plan__versions__rates__product_item__in=new,
    )
    today = timezone.now().date()
    other = beside.filter(Q(ends_on=None) | Q(ends_on__gt=today)).select_related("customer", "plan").first()
    if other is not None:
        raise ValidationError(
            f"{other.customer} is on {other.plan} too, which already prices an item that this version adds."
        )


def version_at(plan: Plan, instant: datetime) -> PlanVersion | None:
    """The version that was active at an instant; before the first activation, the first."""
    activated = plan.versions.exclude(activated_at=None).order_by("-activated_at", "-number")
    return activated.filter(activated_at__lte=instant).first() or activated.last()


def _lock_draft(version: PlanVersion) -> None:
    """Holds the version against a concurrent activation. Raises ValidationError where it is frozen."""
    if not PlanVersion.objects.select_for_update().get(pk=version.pk).is_draft:
        raise ValidationError(f"{version} is active, so its prices are frozen. Start a new version to change them.")
