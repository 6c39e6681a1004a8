"""What the rules would do with the customers that are here, if they came anew. Changes nothing."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from meters.models import Customer
from pricing.admin.form_page import app_crumb, list_crumb
from pricing.models import AssignmentRule, Plan
from pricing.rules import Tried, try_rules

MOST_TRIED = 5000
SHOWN = 100
ALL, DIFFERENT = "all", "different"


class TryRulesForm(forms.Form):
    customer = forms.CharField(
        label="Key or name",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"placeholder": "All customers"}),
    )
    show = forms.ChoiceField(
        required=False,
        choices=[(ALL, "All of them"), (DIFFERENT, "Those who would get another plan than they have")],
    )

    off = forms.BooleanField(label="As if switched-off rules were on", required=False)

    def customers(self) -> "QuerySet[Customer]":
        """Whom to try, the newest first."""
        text = self.cleaned_data["customer"].strip() if self.is_valid() else ""
        found = Customer.objects.order_by("-pk")
        return found.filter(Q(key__icontains=text) | Q(name__icontains=text)) if text else found


@dataclass(frozen=True, slots=True)
class Outcome:
    """A rule, the default plan or nothing, with how many customers end there."""

    name: str
    plan: Plan | None
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    customer: Customer
    traits: str
    by: str
    plan: Plan | None
    current: Sequence[Plan]
    is_different: bool


def try_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest) -> HttpResponse:
    form = TryRulesForm(request.GET or None)
    found = form.customers() if form.is_bound else Customer.objects.order_by("-pk")
    count = found.count()
    asked = form.cleaned_data if form.is_bound and form.is_valid() else {}
    with_disabled = asked.get("off", False)
    tried = try_rules(list(found[:MOST_TRIED]), with_disabled=with_disabled)
    rows = [_row(one) for one in tried]
    shown = [row for row in rows if row.is_different] if asked.get("show") == DIFFERENT else rows
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": "Try the rules",
        "crumbs": [app_crumb([list_crumb(AssignmentRule)]), list_crumb(AssignmentRule)],
        "form": form if form.is_bound else TryRulesForm(),
        "count": count,
        "tried": len(rows),
        "outcomes": outcomes(tried, with_disabled=with_disabled),
        "different": sum(1 for row in rows if row.is_different),
        "rows": shown[:SHOWN],
        "left_out": max(0, len(shown) - SHOWN),
    }
    return TemplateResponse(request, "admin/pricing/rule/try.html", context)


def conditions_words(rule: AssignmentRule) -> str:
    """ "signed up by API and country = de", "anything"."""
    words = [f"signed up by {rule.get_customer_source_display()}"] if rule.customer_source else []
    words += [f"{condition.trait} = {condition.value}" for condition in rule.conditions.all()]
    return " and ".join(words) or "anything"


def outcomes(tried: Sequence[Tried], *, with_disabled: bool) -> list[Outcome]:
    """Every rule in order, also those that nobody ends at, then the default plan, then nothing."""
    by_rule = Counter(one.rule.pk for one in tried if one.rule)
    rules = AssignmentRule.objects.select_related("plan").prefetch_related("conditions")
    found = [
        Outcome(f"Rule {rule.position}: {conditions_words(rule)}", rule.plan, by_rule[rule.pk])
        for rule in rules
        if rule.enabled or with_disabled
    ]
    by_default = [one for one in tried if one.rule is None and one.plan is not None]
    if by_default:
        found.append(Outcome("Default plan", by_default[0].plan, len(by_default)))
    if nothing := sum(1 for one in tried if one.plan is None):
        found.append(Outcome("No rule and no default plan", None, nothing))
    return found


def _row(tried: Tried) -> Row:
    if tried.rule:
        by = f"Rule {tried.rule.position}"
    else:
        by = "Default plan" if tried.plan else "Nothing fits"
    # Who has a private plan that was made of it has it.
    has = {plan.pk for plan in tried.current} | {plan.base_id for plan in tried.current}
    return Row(
        customer=tried.customer,
        traits=", ".join(f"{name} = {value}" for name, value in sorted(tried.customer.traits.items())),
        by=by,
        plan=tried.plan,
        current=tried.current,
        is_different=tried.plan.pk not in has if tried.plan else bool(tried.current),
    )
