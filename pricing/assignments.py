"""Who is on which plan, from when, and why."""

from datetime import date, datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from meters.models import Customer
from meters.periods import local_date
from pricing.models import Assignment, AssignmentRule, Plan, PlanVersion, ProductItem
from pricing.plans import active_version

MAX_BACK, MAX_AHEAD = timedelta(days=5 * 366), timedelta(days=3650)
LONGEST_PERIOD = timedelta(days=32)


@transaction.atomic
def assign(
    *,
    customer: Customer,
    plan: Plan,
    starts_on: date,
    ends_on: date | None = None,
    source: str = Assignment.Source.STAFF,
    rule: AssignmentRule | None = None,
) -> Assignment:
    """Puts a customer on a plan from the day `starts_on`, up to but not including `ends_on`.

    One product item is priced by at most one assignment of a customer at a time. The lock on the customer keeps two
    requests from each seeing the other's absence, the locks on its plans keep new versions from being activated
    meanwhile. Raises ValidationError by field.
    """
    customer = Customer.objects.select_for_update().get(pk=customer.pk)
    concerned = Plan.objects.filter(Q(pk=plan.pk) | Q(assignments__customer=customer)).values("pk")
    list(Plan.objects.select_for_update().filter(pk__in=concerned).order_by("pk"))
    plan.refresh_from_db()
    _check_start(starts_on)
    if plan.status != Plan.Status.ACTIVE:
        raise ValidationError({"plan": f"{plan} is not active."})
    if ends_on is not None and ends_on <= starts_on:
        raise ValidationError({"ends_on": "The end is the first day no longer on the plan, and after the start."})
    _check_overlap(customer, plan, starts_on, ends_on)
    return Assignment.objects.create(
        customer=customer,
        plan=plan,
        time_zone=_billing_zone(customer, starts_on),
        starts_on=starts_on,
        ends_on=ends_on,
        source=source,
        rule=rule,
    )


@transaction.atomic
def end(assignment: Assignment, *, ends_on: date) -> Assignment:
    """Ends an assignment, or moves its end: `ends_on` is the first day no longer on the plan.

    Raises ValidationError by field, also where the end moves into another assignment for the same product item.
    """
    Customer.objects.select_for_update().get(pk=assignment.customer_id)
    assignment = Assignment.objects.select_for_update().select_related("customer", "plan").get(pk=assignment.pk)
    if ends_on <= assignment.starts_on:
        raise ValidationError({"ends_on": "The end is after the start."})
    _check_overlap(assignment.customer, assignment.plan, assignment.starts_on, ends_on, but=assignment)
    assignment.ends_on = ends_on
    assignment.save(update_fields=["ends_on"])
    return assignment


@transaction.atomic
def onboard(customer: Customer, *, now: datetime | None = None) -> Assignment | None:
    """Gives a new customer its plan: of the first rule that matches its traits, or else the default plan.

    It counts from the start of the customer's own day. Where no plan fits there is none; a second call does
    nothing.
    """
    now = now or timezone.now()
    customer = Customer.objects.select_for_update().get(pk=customer.pk)
    if customer.onboarded_at is not None:
        return None
    customer.onboarded_at = now
    customer.save(update_fields=["onboarded_at"])
    if customer.assignments.exists():
        return None  # staff were faster
    starts_on = local_date(now, customer.zone)
    if rule := matching_rule(customer):
        return assign(customer=customer, plan=rule.plan, starts_on=starts_on, source=Assignment.Source.RULE, rule=rule)
    default = Plan.objects.filter(is_default=True, status=Plan.Status.ACTIVE).first()
    if default is None:
        return None
    return assign(customer=customer, plan=default, starts_on=starts_on, source=Assignment.Source.DEFAULT)


def matching_rule(customer: Customer) -> AssignmentRule | None:
    """The first enabled rule for an active plan all of whose conditions the customer's traits meet."""
    rules = AssignmentRule.objects.filter(enabled=True, plan__status=Plan.Status.ACTIVE)
    for rule in rules.select_related("plan").prefetch_related("conditions"):
        if all(customer.traits.get(condition.trait) == condition.value for condition in rule.conditions.all()):
            return rule
    return None


def pending_customers(limit: int) -> list[Customer]:
    """Customers nobody has taken in yet: discovered by their first event. Uses customer_not_onboarded."""
    return list(Customer.objects.filter(onboarded_at=None).order_by("id")[:limit])


def _check_start(starts_on: date) -> None:
    """Raises ValidationError for a start that is a slip of the pen: it would make an invoice for every month since."""
    today = timezone.now().date()
    earliest, latest = today - MAX_BACK, today + MAX_AHEAD
    if not earliest <= starts_on <= latest:
        raise ValidationError({"starts_on": f"The start is from {earliest} to {latest}."})


def _billing_zone(customer: Customer, starts_on: date) -> str:
    """The zone of the customer; beside or right behind another assignment that one's, so that periods neither
    overlap nor leave a gap where the customer's zone has changed."""
    neighbours = Assignment.objects.filter(customer=customer).filter(
        Q(ends_on=None) | Q(ends_on__gte=starts_on - timedelta(days=2))
    )
    neighbour = neighbours.order_by("-starts_on", "-pk").first()
    return neighbour.time_zone if neighbour else customer.zone.key


def _check_overlap(
    customer: Customer, plan: Plan, starts_on: date, ends_on: date | None, but: Assignment | None = None
) -> None:
    """Raises ValidationError where another assignment of the customer prices an item of the plan in that time."""
    others = Assignment.objects.filter(customer=customer).filter(Q(ends_on=None) | Q(ends_on__gt=starts_on))
    if ends_on is not None:
        others = others.filter(starts_on__lt=ends_on)
    if but is not None:
        others = others.exclude(pk=but.pk)
    for other in others.select_related("plan"):
        if shared := _shared_item(plan, other.plan):
            raise ValidationError(
                {
                    "ends_on" if but else "plan": f"{shared} is already priced by {other.plan} from {other.starts_on};"
                    " end that first."
                }
            )


def _shared_item(plan: Plan, other: Plan) -> ProductItem | None:
    """A product item that both plans put a price on: by their active versions, and by those of the other plan that
    were superseded so lately that running periods may still have them."""
    counting = Q(rates__plan_version__status=PlanVersion.Status.ACTIVE)
    active = active_version(other)
    if active is not None and active.activated_at and timezone.now() - active.activated_at < LONGEST_PERIOD:
        counting |= Q(rates__plan_version__status=PlanVersion.Status.SUPERSEDED)
    priced_by_other = ProductItem.objects.filter(counting, rates__plan_version__plan=other)
    return (
        ProductItem.objects.filter(rates__plan_version__plan=plan, rates__plan_version__status="active")
        .filter(pk__in=priced_by_other.values("pk"))
        .first()
    )
