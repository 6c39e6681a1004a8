"""Private plans: a plan of one customer, made of another plan, its base, with some prices of its own."""

import re

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from meters.models import Customer
from pricing.deriving import derive
from pricing.drafts import lock_draft, locked_row, restore
from pricing.inputs import check_row, known, save_row
from pricing.models import Fee, Plan, PlanVersion, Rate
from pricing.plans import lock_items, lock_plan
from pricing.version_choice import active_version, is_past_trial
from pricing.version_contents import TERM_GROUPS, can_be_sold, copy_rows, copy_terms, same_contents

LONGEST_KEY = 100


@transaction.atomic
def make_private(plan: Plan, *, customer: Customer, follows_base: bool = True, key: str = "") -> Plan:
    """A plan of one customer with a draft of all that `plan` says now. What is changed in it is the customer's own.

    Without a key it is made of those of the plan and the customer. To use it, activate it and put the customer on it,
    as a change of plan. A customer that has been on the plan for longer than its trial does not get trial and one-time
    fees again: these are 0, as its own. One that gets past it later goes on then (`Assignment.goes_on`). Raises
    ValidationError by field.
    """
    plan = lock_plan(plan)
    if plan.is_private:
        raise ValidationError({"plan": f"{plan.key} is private itself."})
    active = active_version(plan)
    if active is None:
        raise ValidationError({"plan": f"{plan} is not active."})
    if plan.private_plans.filter(customer=customer).exists():
        raise ValidationError({"customer": f"{customer} has a private plan of {plan} already."})
    private = Plan(
        key=key or _free_key(plan, customer), name=str(plan), description=plan.description, base=plan, customer=customer
    )
    private.follows_base = follows_base
    private.beginning_settled = is_past_trial(customer, plan)
    check_row(private)
    save_row(private)
    draft = PlanVersion(plan=private, number=1)
    copy_terms(active, draft)
    draft.save()
    copy_rows(active, draft, keep=can_be_sold, inherited=True)
    if private.beginning_settled:
        _leave_out_beginning(draft)
    return private


@transaction.atomic
def set_follows_base(plan: Plan, *, follows: bool, actor: str = "") -> PlanVersion | None:
    """Whether a new version of the base plan makes a new version of this one.

    A plan that begins to follow is brought up to date: where the base has changed meanwhile, a new version of this
    plan is active and counts from the next period; that one is the answer. Raises ValidationError.
    """
    if plan.base is None:
        raise ValidationError({"plan": f"{plan} is not a private plan."})
    base = lock_plan(plan.base)
    locked = lock_plan(plan)
    plan.follows_base = follows
    if locked.follows_base == follows:
        return None
    locked.follows_base = follows
    locked.save(update_fields=["follows_base"])
    current = active_version(base)
    if not follows or current is None:
        return None
    lock_items([current.pk])
    return _catch_up(locked, current, actor)


@transaction.atomic
def drop_override(row: Rate | Fee) -> Rate | Fee | None:
    """Gives a price in a private plan's draft up for that of the base plan, and answers it; None where the base has
    nothing there. Raises ValidationError for one that is not the customer's own, or is frozen."""
    held = locked_row(row, "plan")
    if not held.is_override:
        raise ValidationError({"plan": f"{held} is no price of the customer's own."})
    return restore(held)


@transaction.atomic
def drop_own_terms(version: PlanVersion, *names: str) -> PlanVersion:
    """Gives terms of a private plan's draft up for those of the base plan, with those that they belong together with;
    without names all. Raises ValidationError by field."""
    known(dict.fromkeys(names), PlanVersion.TERMS)
    version = lock_draft(version)
    base = active_version(version.plan.base) if version.plan.base else None
    if base is None:
        raise ValidationError({"plan": f"{version.plan} is not a private plan."})
    dropped = {name for group in TERM_GROUPS if not names or set(names) & set(group) for name in group}
    version.overridden_terms = [name for name in version.overridden_terms if name not in dropped]
    for name in dropped:
        setattr(version, name, getattr(base, name))
    version.save()
    return version


def _catch_up(plan: Plan, base: PlanVersion, actor: str) -> PlanVersion | None:
    """Derives a version where that says anything new; a draft is brought up to date in any case."""
    active = active_version(plan)
    if active is None:
        return derive(plan, base, moves_existing=True, now=timezone.now(), actor=actor)
    with transaction.atomic():
        derived = derive(plan, base, moves_existing=True, now=timezone.now(), actor=actor)
        assert derived is not None
        if same_contents(derived, active):
            transaction.set_rollback(True)
            derived = None
    return derived


def _leave_out_beginning(draft: PlanVersion) -> None:
    """Makes no trial and no one-time fees the customer's own, also where the base has none: it may get some later."""
    draft.trial_days = 0
    draft.overridden_terms = ["trial_days"]
    draft.save()
    draft.fees.filter(kind=Fee.Kind.ONE_TIME).update(amount=0, is_override=True)


def _free_key(plan: Plan, customer: Customer) -> str:
    """ "Basic.acme": of letters, digits, '_', '-' and '.', and not taken."""
    wanted = f"{plan.key}.{re.sub(r'[^A-Za-z0-9_.-]+', '-', customer.key)}"[:LONGEST_KEY]
    taken = set(Plan.objects.filter(key__startswith=wanted[: LONGEST_KEY - 8]).values_list("key", flat=True))
    key, number = wanted, 1
    while key in taken:
        number += 1
        key = f"{wanted[: LONGEST_KEY - 8]}-{number}"
    return key
