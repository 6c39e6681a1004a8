"""Assignment rules: which plan a new customer gets, and which one existing customers would get."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from meters.models import Customer
from meters.periods import local_date
from pricing.inputs import check_row, known, save_row
from pricing.models import Assignment, AssignmentRule, AssignmentRuleCondition, Plan, next_position

FIELDS = ("position", "plan", "customer_source", "enabled", "conditions")
MOST_CONDITIONS = 100


@dataclass(frozen=True, slots=True)
class Tried:
    """What the rules would give a customer, and the plans that it is on today. No rule and a plan: the default one."""

    customer: Customer
    rule: AssignmentRule | None
    plan: Plan | None
    current: list[Plan]


def matching_rule(customer: Customer) -> AssignmentRule | None:
    """The first enabled rule for an active plan whose conditions the customer meets: its traits, and how it came."""
    return _first_match(_rules(), customer)


def default_plan() -> Plan | None:
    """What a customer gets that no rule matches."""
    return Plan.objects.filter(is_default=True, status=Plan.Status.ACTIVE).first()


def leaves_customers_without_plan() -> bool:
    """Whether a new customer may get no plan: none is the default, and no rule takes everybody. An installation that
    has neither a plan nor a customer yet has nobody to leave out."""
    if default_plan() is not None:
        return False
    if any(not rule.customer_source and not rule.conditions.all() for rule in _rules()):
        return False
    return Customer.objects.exists() or Plan.objects.filter(status=Plan.Status.ACTIVE).exists()


def try_rules(customers: Iterable[Customer], *, with_disabled: bool = False) -> list[Tried]:
    """What each customer would get if it were new, without any effect. As many queries for one as for many.

    `with_disabled`: as if the rules that are switched off were on, to try one before it counts.
    """
    customers = list(customers)
    rules, default = _rules(with_disabled), default_plan()
    # Roughly today, because days end at another instant in each zone; exactly below.
    assignments = Assignment.objects.filter(customer__in=customers).select_related("plan")
    by_customer: dict[int, list[Assignment]] = {}
    for assignment in assignments.order_by("starts_on", "pk"):
        by_customer.setdefault(assignment.customer_id, []).append(assignment)
    now = timezone.now()
    tried = []
    for customer in customers:
        rule = _first_match(rules, customer)
        current = [
            assignment.plan
            for assignment in by_customer.get(customer.pk, [])
            if assignment.starts_on <= local_date(now, assignment.zone)
            and (assignment.ends_on is None or local_date(now, assignment.zone) < assignment.ends_on)
        ]
        tried.append(Tried(customer, rule, rule.plan if rule else default, current))
    return tried


@transaction.atomic
def save_rule(rule: AssignmentRule | None = None, *, changes: Mapping[str, Any]) -> AssignmentRule:
    """Makes or changes a rule; `conditions` are traits with their values, all of which a customer must have.

    Without a position a new rule is tried last. Raises ValidationError by field.
    """
    known(changes, FIELDS)
    rule = rule or AssignmentRule()
    for name, value in changes.items():
        if name != "conditions":
            setattr(rule, name, value)
    errors: dict[str, list[str]] = {}
    if rule.plan_id and rule.plan.is_private:
        errors["plan"] = [f"{rule.plan.key} is a plan of {rule.plan.customer} only."]
    conditions = _clean_conditions(changes["conditions"], errors) if "conditions" in changes else None
    if errors:
        raise ValidationError(errors)
    if rule._state.adding and "position" not in changes:
        # One at a time, or two would be put last at the same place. A rule is for a plan, so there is one to hold.
        list(Plan.objects.order_by("pk").select_for_update(no_key=True)[:1])
        rule.position = next_position()
    check_row(rule)
    save_row(rule)
    if conditions is not None:
        rule.conditions.all().delete()
        AssignmentRuleCondition.objects.bulk_create(
            AssignmentRuleCondition(rule=rule, trait=trait, value=value) for trait, value in conditions.items()
        )
    return rule


def _clean_conditions(conditions: object, errors: dict[str, list[str]]) -> dict[str, str]:
    if not isinstance(conditions, Mapping) or not all(
        isinstance(text, str) for pair in conditions.items() for text in pair
    ):
        errors["conditions"] = ["These are traits with text values."]
        return {}
    clean = {trait.strip(): value.strip() for trait, value in conditions.items()}
    if len(clean) < len(conditions):
        errors["conditions"] = ["A trait is there twice, but for blanks around it."]
    for trait, value in clean.items():
        if not trait or len(trait) > 100 or len(value) > 200 or "\0" in trait + value:
            errors["conditions"] = ["A trait has 1 to 100 characters, its value at most 200."]
    if len(clean) > MOST_CONDITIONS:
        errors["conditions"] = [f"At most {MOST_CONDITIONS} conditions."]
    return clean


def _rules(with_disabled: bool = False) -> Sequence[AssignmentRule]:
    usable = Q(plan__status=Plan.Status.ACTIVE, plan__base=None)
    if not with_disabled:
        usable &= Q(enabled=True)
    return list(AssignmentRule.objects.filter(usable).select_related("plan").prefetch_related("conditions"))


def _first_match(rules: Iterable[AssignmentRule], customer: Customer) -> AssignmentRule | None:
    for rule in rules:
        if rule.customer_source and rule.customer_source != customer.source:
            continue
        if all(customer.traits.get(condition.trait) == condition.value for condition in rule.conditions.all()):
            return rule
    return None
