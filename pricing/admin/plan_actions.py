"""What the buttons of a plan's page do: each calls one service and answers what it did, in words.

All raise ValidationError where the service refuses, and Http404 for a row of another plan.
"""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone

from pricing.admin import rate_pages
from pricing.admin.assignments import running
from pricing.admin.plan_questions import NO_DEFAULT, ActivationForm
from pricing.differences import differences
from pricing.models import Assignment, Fee, Plan, PlanVersion, Rate
from pricing.plans import activate, active_version, discard_draft, draft_version, remove_fee, retire, set_default
from pricing.private_plans import drop_override, drop_own_terms, set_follows_base

WAS_DEFAULT = f"It was the default plan: {NO_DEFAULT}."


def activated(plan: Plan, request: HttpRequest) -> str:
    form = ActivationForm({"existing": "move"} | request.POST.dict())
    if not form.is_valid():
        raise ValidationError("Say whether the customers on the plan move to the new version or stay.")
    done = _activated(plan, form, request)
    if form.cleaned_data["default_plan"] and not plan.is_default:
        # In a transaction of its own, as it comes first in one.
        set_default(plan, is_default=True)
        return f"{done} It is the default plan."
    return done


def _activated(plan: Plan, form: ActivationForm, request: HttpRequest) -> str:
    was_retired = plan.status == Plan.Status.RETIRED
    with transaction.atomic():
        before = active_version(plan)
        active = activate(plan, moves_existing=form.moves_existing, actor=request.user.get_username())
        changes = differences(before, active) if before is not None and before != active else None
    if was_retired:
        default = "" if form.cleaned_data["default_plan"] or plan.is_private else " It is not the default plan."
        return f"{active} is active: {plan} is back in use.{default}"
    if before is None or before == active:
        return f"{active} is active."
    if not changes:
        return f"{active} is active. It says what v{before.number} said: no price changes."
    if form.moves_existing:
        return f"{active} is active. Customers stay on the prices of v{before.number} until their next period."
    return f"{active} is active for new customers. Those on the plan stay on the version they have."


def retired(plan: Plan, request: HttpRequest) -> str:
    was_default = plan.is_default
    retire(plan)
    stay = Assignment.objects.filter(running(timezone.localdate()), plan=plan).count()
    done = f"{plan} is retired: no new customer gets it."
    if stay:
        done = f"{done} {stay} customer{' that is on it stays' if stay == 1 else 's that are on it stay'}."
    return f"{done} {WAS_DEFAULT}" if was_default else done


def drafted(plan: Plan, request: HttpRequest) -> str:
    return f"{draft_version(plan)} is a draft: change its prices, then activate it."


def discarded(plan: Plan, request: HttpRequest) -> str:
    discard_draft(plan)
    return "The draft is discarded; the active prices stay."


def rate_removed(plan: Plan, request: HttpRequest, rate_pk: int) -> str:
    return rate_pages.remove(plan, rate_pk)


def rate_taken_back(plan: Plan, request: HttpRequest, rate_pk: int) -> str:
    rate = _rate(plan, rate_pk)
    if drop_override(rate) is None:
        return f"{rate.product_item} is no longer in {plan.key}, as in {plan.base}."
    return f"{rate.product_item} costs in {plan.key} what it costs in {plan.base}."


def fee_removed(plan: Plan, request: HttpRequest, fee_pk: int) -> str:
    fee = _fee(plan, fee_pk)
    remove_fee(fee)
    return f"{fee.name} is no longer in {fee.plan_version}."


def fee_taken_back(plan: Plan, request: HttpRequest, fee_pk: int) -> str:
    fee = _fee(plan, fee_pk)
    if drop_override(fee) is None:
        return f"{fee.name} is no longer in {plan.key}, as in {plan.base}."
    return f"{fee.name} in {plan.key} is that of {plan.base}."


def terms_taken_back(plan: Plan, request: HttpRequest) -> str:
    draft = get_object_or_404(plan.versions, status=PlanVersion.Status.DRAFT)
    drop_own_terms(draft, *request.POST.getlist("term"))
    return f"These terms of {plan.key} are those of {plan.base}."


def followed(plan: Plan, request: HttpRequest) -> str:
    follows = request.POST.get("follows") == "1"
    made = set_follows_base(plan, follows=follows, actor=request.user.get_username())
    if follows and made is not None:
        return f"{plan.key} follows {plan.base} and is brought up to date: v{made.number} counts from the next period."
    if follows:
        return f"{plan.key} follows {plan.base}: a new version there makes a new version here."
    return f"{plan.key} stays as it is, whatever becomes of {plan.base}."


def _rate(plan: Plan, pk: int) -> Rate:
    rates = Rate.objects.select_related("plan_version__plan", "product_item__meter")
    return get_object_or_404(rates, pk=pk, plan_version__plan=plan)


def _fee(plan: Plan, pk: int) -> Fee:
    return get_object_or_404(Fee.objects.select_related("plan_version__plan"), pk=pk, plan_version__plan=plan)
