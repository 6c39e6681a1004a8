"""What a plan's page asks before it does what no click takes back: what goes, what stays, who is concerned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone

from pricing.admin.assignments import running
from pricing.admin.form_page import app_crumb, list_crumb, row_crumb
from pricing.differences import Difference, differences
from pricing.explain import describe_rate
from pricing.models import Assignment, Fee, Plan, PlanVersion, Rate
from pricing.plan_words import describe_fee, rate_name
from pricing.plans import active_version
from pricing.rules import default_plan

MOVE, STAY = "move", "stay"
# Of private plans that a page names.
MOST_NAMED = 10
NO_DEFAULT = "new customers that no rule matches get no plan until you make another one the default"


class ActivationForm(forms.Form):
    """What a new version of an active plan means for those who are on the plan already."""

    existing = forms.ChoiceField(
        label="Customers on the plan",
        choices=[(MOVE, "Move to it at their next period"), (STAY, "Stay on the version they have")],
        widget=forms.RadioSelect,
        initial=MOVE,
    )
    default_plan = forms.BooleanField(required=False)

    @property
    def moves_existing(self) -> bool:
        return bool(self.cleaned_data["existing"] == MOVE)


@dataclass(frozen=True, slots=True)
class Question:
    """A page: `lines` are sentences, `changes` what one version changes against another."""

    title: str
    lines: Sequence[str]
    submit: str
    destroys: bool = False
    before: PlanVersion | None = None
    after: PlanVersion | None = None
    changes: Sequence[Difference] | None = None
    form: ActivationForm | None = None
    asks_existing: bool = False
    asks_default: bool = False


Ask = Callable[..., Question]


def ask(
    model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, plan: Plan, name: str, back: str, **which: int
) -> HttpResponse:
    """The page on which the action `name` is asked for. Raises ValidationError where there is nothing to ask for."""
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "question": (question := QUESTIONS[name](plan, **which)),
        "title": question.title,
        "subtitle": str(plan),
        "original": plan,
        "crumbs": [app_crumb([list_crumb(Plan)]), list_crumb(Plan), row_crumb(plan)],
        "back": back,
    }
    return TemplateResponse(request, "admin/pricing/plan/question.html", context)


def _activate(plan: Plan) -> Question:
    draft, active = _draft(plan), active_version(plan)
    if draft is None and active is None:
        raise ValidationError({"plan": "The plan has no version to activate."})
    lines = []
    if plan.status == Plan.Status.RETIRED:
        lines.append("New customers can get the plan again: by rules that name it, and by staff.")
        if draft is not None:
            lines.append(f"It comes back with the draft v{draft.number}, which is frozen then.")
        lines += _rules_words(plan, "takes effect again", "take effect again")
    elif draft is not None and active is None:
        lines.append(f"The prices, fees and terms of v{draft.number} are frozen: later changes make a new version.")
    elif draft is not None:
        lines.append(f"v{draft.number} is frozen, and new customers get it at once.")
        lines.append("A running period keeps the version that it began with in any case.")
    changes = differences(active, draft) if active is not None and draft is not None else None
    if changes == [] and draft is not None and active is not None:
        lines.append(f"v{draft.number} says what v{active.number} says: no price changes.")
    lines += _followers_words(plan) if draft is not None else []
    asks_default = not plan.is_private and not plan.is_default and plan.status != Plan.Status.ACTIVE
    default = default_plan()
    if asks_default:
        lines.append(
            f"The default plan is {default}." if default else f"There is no active default plan: {NO_DEFAULT}."
        )
    name = f"v{draft.number}" if draft is not None else "the plan"
    return Question(
        title=f"Activate {name}?" if plan.status != Plan.Status.RETIRED else f"Take {plan} back into use?",
        lines=lines,
        submit=f"Activate {name}" if draft is not None else "Take it back into use",
        before=active,
        after=draft,
        changes=changes,
        form=ActivationForm(initial={"existing": MOVE, "default_plan": default is None}),
        asks_existing=changes is not None and not (plan.is_private and not _on_it(plan)),
        asks_default=asks_default,
    )


def _retire(plan: Plan) -> Question:
    if plan.status != Plan.Status.ACTIVE:
        raise ValidationError({"plan": "Only an active plan can be retired."})
    lines = [
        f"Nobody is put on {plan} any more."
        if plan.is_private
        else f"No new customer gets {plan}, neither by a rule nor by staff."
    ]
    if plan.is_default:
        lines.append(f"It is the default plan, and no longer will be: {NO_DEFAULT}.")
    lines += _rules_words(plan, "names it and is passed over from then on", "name it and are passed over from then on")
    count = _on_it(plan)
    one = "1 customer is on it, stays" if count == 1 else f"{count:,} customers are on it, stay"
    lines.append(f"{one} and {'goes' if count == 1 else 'go'} on being billed." if count else "No customer is on it.")
    private = plan.private_plans.filter(status=Plan.Status.ACTIVE).count()
    if private:
        lines.append(f"Private plans made of it stay active: {private}.")
    lines.append("It can be taken back into use; it is not the default plan then.")
    return Question(f"Retire {plan}?", lines, "Retire the plan", destroys=True)


def _discard(plan: Plan) -> Question:
    draft, active = _draft(plan), active_version(plan)
    if draft is None or active is None:
        raise ValidationError({"version": "There is no draft beside an active version."})
    lines = [f"What v{draft.number} changes is gone for good; v{active.number} stays as it is."]
    if backtests := draft.backtests.count():
        noun = "backtest of the draft goes" if backtests == 1 else "backtests of the draft go"
        lines.append(f"{backtests} {noun} with it, with all that {'it' if backtests == 1 else 'they'} found.")
    changes = differences(active, draft)
    return Question(
        f"Discard the draft v{draft.number}?",
        lines,
        "Discard the draft",
        destroys=True,
        before=active,
        after=draft,
        changes=changes,
    )


def _remove_rate(plan: Plan, rate_pk: int) -> Question:
    rates = Rate.objects.select_related("plan_version__plan", "product_item__meter")
    rate = get_object_or_404(rates, pk=rate_pk, plan_version__plan=plan)
    unit, currency = rate.product_item.meter.unit, rate.plan_version.currency
    rest = rate.plan_version.rates.filter(product_item=rate.product_item).exclude(pk=rate.pk)
    lines = [
        f"{'; '.join(describe_rate(rate.parsed, unit=unit, currency=currency)).replace(':;', ':')}.",
        f"It is no longer in v{rate.plan_version.number}, a draft. What customers have now stays.",
    ]
    if rate.where and rest.exists():
        lines.append(f"The usage that it priced takes the price of {rate.product_item} that fits it then, if one does.")
    elif not rest.exists():
        lines.append(
            f"Usage of {rate.product_item} has no price in v{rate.plan_version.number} then, and costs nothing."
        )
    return Question(f"Remove the price of {rate_name(rate)}?", lines, "Remove the price", destroys=True)


def _remove_fee(plan: Plan, fee_pk: int) -> Question:
    fee = get_object_or_404(Fee.objects.select_related("plan_version"), pk=fee_pk, plan_version__plan=plan)
    number = fee.plan_version.number
    lines = [
        f"{describe_fee(fee, fee.plan_version.currency)}.",
        f"It is no longer in v{number}, a draft. What customers have now stays.",
    ]
    if active_version(plan) is not None:
        lines.append(f"Quantities that customers have of it count for nothing in periods of v{number}.")
    return Question(f"Remove the fee {fee.name}?", lines, "Remove the fee", destroys=True)


QUESTIONS: Mapping[str, Ask] = {
    "activate": _activate,
    "retire": _retire,
    "discard": _discard,
    "remove_rate": _remove_rate,
    "remove_fee": _remove_fee,
}


def _draft(plan: Plan) -> PlanVersion | None:
    return plan.versions.filter(status=PlanVersion.Status.DRAFT).select_related("plan").first()


def _on_it(plan: Plan) -> int:
    return Assignment.objects.filter(running(timezone.localdate()), plan=plan).count()


def _rules_words(plan: Plan, one: str, more: str) -> list[str]:
    positions = list(plan.assignment_rules.filter(enabled=True).values_list("position", flat=True))
    if not positions:
        return []
    named = ", ".join(str(position) for position in positions)
    return [f"Rule {named} {one}." if len(positions) == 1 else f"Rules {named} {more}."]


def _followers_words(plan: Plan) -> list[str]:
    following = plan.private_plans.filter(follows_base=True).select_related("customer").order_by("key")
    count = following.count()
    if not count:
        return []
    named = ", ".join(str(private.customer) for private in following[:MOST_NAMED])
    more = f" and {count - MOST_NAMED} more" if count > MOST_NAMED else ""
    noun = "private plan follows, and gets" if count == 1 else "private plans follow, and get"
    return [f"{count} {noun} a new version too, with the same choice: of {named}{more}."]
