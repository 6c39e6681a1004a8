"""The account's billing policy, and what plans have in its place."""

from collections.abc import Sequence
from datetime import date, timedelta

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist

from invoices.models import BillingPolicy, Invoice, PlanPolicy
from pricing.models import Plan


def billing_policy() -> BillingPolicy:
    """The account's policy; as it comes, where staff have not saved one."""
    return BillingPolicy.objects.filter(pk=1).first() or BillingPolicy()


def grace_time(plan: Plan) -> timedelta:
    """How long after its end late usage is still counted in a period of the plan."""
    return timedelta(hours=_first(plan_policy(plan).grace_hours, account_grace_hours(billing_policy())))


def account_grace_hours(policy: BillingPolicy) -> int:
    """The account's grace time; the installation's, where staff have set none."""
    return _first(policy.grace_hours, settings.GRACE_HOURS)


def due_date(invoice: Invoice, day: date) -> date:
    """The day by which an invoice is to be paid that becomes final on `day`, in its own zone."""
    plan = invoice.plan_version.plan
    return day + timedelta(days=_first(plan_policy(plan).payment_days, billing_policy().payment_days))


def needs_approval(invoice: Invoice) -> bool:
    own = plan_policy(invoice.plan_version.plan).needs_approval
    return billing_policy().needs_approval if own is None else own


def plan_policy(plan: Plan) -> PlanPolicy:
    """What a plan has in place of the account's policy; nothing, where staff have not saved any."""
    try:
        return plan.billing_policy
    except ObjectDoesNotExist:
        return PlanPolicy(plan=plan)


def _first(*values: int | None) -> int:
    found: Sequence[int] = [value for value in values if value is not None]
    return found[0]
