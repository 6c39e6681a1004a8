"""Changing how invoices are made: the account's policy, and what a plan has in its place."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from invoices.branding import forget_on_commit
from invoices.late.rerating import carry_anew
from invoices.models import BillingPolicy, CreditNote, Invoice, NumberSeries, PlanPolicy
from invoices.numbering import NumberFormatError, check_pattern, formatted, reader
from pricing.inputs import check_row, known, number
from pricing.models import Plan

Series = NumberSeries.Series
POLICY_FIELDS = (
    "grace_hours",
    "payment_days",
    "needs_approval",
    "invoice_numbers",
    "credit_note_numbers",
    "late_usage",
    "late_ignored_below",
    "seller_name",
    "seller_address",
    "seller_tax_id",
    "paper_footer",
)
PLAN_FIELDS = ("grace_hours", "payment_days", "needs_approval")
# Who carries what corrects final invoices.
OF_CORRECTIONS = ("late_usage", "late_ignored_below")
# By series the field that has its pattern.
PATTERNS = {Series.INVOICE: "invoice_numbers", Series.CREDIT_NOTE: "credit_note_numbers"}


@transaction.atomic
def set_billing_policy(*, changes: Mapping[str, Any], now: datetime) -> BillingPolicy:
    """Changes the account's policy. Raises ValidationError by field.

    Invoices that are open keep the end of their grace time; numbers and days of payment are of those that become final
    from now on. What corrects final invoices and is on no final document yet follows the policy of now.
    """
    known(changes, POLICY_FIELDS)
    BillingPolicy.objects.get_or_create(pk=1)
    policy = BillingPolicy.objects.select_for_update().get(pk=1)
    before = {name: getattr(policy, name) for name in (*PATTERNS.values(), *OF_CORRECTIONS)}
    for name, value in changes.items():
        setattr(policy, name, number(value, name) if name == "late_ignored_below" else value)
    check_row(policy)
    next_numbers({name: getattr(policy, name) for name in PATTERNS.values()}, now)
    for series, name in PATTERNS.items():
        taken = _taken(series, getattr(policy, name), now) if getattr(policy, name) != before[name] else None
        if taken is not None:
            raise ValidationError({name: f"There is a {taken} already."})
    policy.save()
    forget_on_commit()
    if any(getattr(policy, name) != before[name] for name in OF_CORRECTIONS):
        carry_anew()
    return policy


def next_numbers(patterns: Mapping[str, str], now: datetime) -> dict[str, str]:
    """The numbers that would be the next ones by these patterns, by the names of their fields.

    Raises ValidationError by field for patterns that make no numbers, and for two that make the same.
    """
    year = now.astimezone(ZoneInfo(settings.ACCOUNT_TIME_ZONE)).year
    last = dict(NumberSeries.objects.filter(year=year).values_list("series", "last"))
    errors: dict[str, str] = {}
    found: dict[str, str] = {}
    for series, name in PATTERNS.items():
        try:
            check_pattern(patterns[name])
            found[name] = formatted(patterns[name], year, last.get(series, 0) + 1)
        except NumberFormatError as error:
            errors[name] = str(error)
    if not errors and len({formatted(patterns[name], year, 1) for name in PATTERNS.values()}) == 1:
        errors["credit_note_numbers"] = "Invoices have these numbers: write something before them, such as CN-."
    if errors:
        raise ValidationError(errors)
    return found


def _taken(series: str, pattern: str, now: datetime) -> str | None:
    """A document's number, by another pattern, that this one would come to; there it could make no number any more."""
    last = dict(NumberSeries.objects.filter(series=series).values_list("year", "last"))
    read, this_year = reader(pattern), now.astimezone(ZoneInfo(settings.ACCOUNT_TIME_ZONE)).year
    model = Invoice if series == Series.INVOICE else CreditNote
    for text in model.objects.exclude(number="").order_by("pk").values_list("number", flat=True).iterator():
        found = read.fullmatch(text)
        if found is None:
            continue
        year, number = int(found["year"]), int(found["number"])
        is_to_come = year >= this_year and number > last.get(year, 0)
        if is_to_come and formatted(pattern, year, number) == text:
            return text
    return None


@transaction.atomic
def set_plan_policy(plan: Plan, *, changes: Mapping[str, Any]) -> PlanPolicy:
    """Changes what a plan has in place of the account's policy; None: as the account. Raises ValidationError by field.

    A private plan has a policy of its own, and not that of its base.
    """
    known(changes, PLAN_FIELDS)
    Plan.objects.select_for_update(no_key=True).get(pk=plan.pk)
    policy = PlanPolicy.objects.filter(plan=plan).first() or PlanPolicy(plan=plan)
    for name, value in changes.items():
        setattr(policy, name, value)
    check_row(policy, but=["plan"], unique=False)
    policy.save()
    return policy
