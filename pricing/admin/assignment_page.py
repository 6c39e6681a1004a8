"""What the page of an assignment shows beside its form, and the pages that change its plan and its quantities."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from meters.admin.fields import NumberField
from meters.periods import Period, local_date
from meters.words import day_words, period_words
from pricing.admin.assignment_log import log_rows
from pricing.admin.form_page import change_url, date_input, form_page, list_crumb, posted, row_crumb
from pricing.assignments import NOW, PERIOD_END, change_plan, set_quantity
from pricing.models import Assignment, AssignmentQuantity, Fee, Plan, PlanVersion
from pricing.money import format_price, format_quantity
from pricing.version_choice import periods_of, running_period, version_for

LOG_SHOWN = 10
DATE = "date"


@dataclass(frozen=True, slots=True)
class QuantityRow:
    """A fee that is charged by quantity: how many now and from when on how many."""

    key: str
    name: str
    price: str
    now: str
    changes: Sequence[str]


def assignment_page(assignment: Assignment) -> dict[str, Any]:
    entries = assignment.log.all()
    return {
        "quantities": quantity_rows(assignment, _running(assignment)[1]),
        "log": log_rows(entries[:LOG_SHOWN]),
        "log_count": entries.count(),
    }


def running_words(assignment: Assignment) -> str:
    """ "1–30 Nov 2026, prices of Basic v2"; empty where no period runs any more."""
    period, version = _running(assignment)
    return f"{period_words(period, assignment.zone)}, prices of {version}" if period else ""


def _running(assignment: Assignment) -> tuple[Period | None, PlanVersion | None]:
    """The period that now is in, with the version whose prices it has; the last version after the end."""
    now = timezone.now()
    found = next(((period, version) for period, version in periods_of(assignment) if now < period.end), None)
    return found or (None, version_for(assignment, now))


def today_of(assignment: Assignment) -> date:
    return local_date(timezone.now(), assignment.zone)


def can_change_plan(assignment: Assignment) -> bool:
    """One that is over has no plan to change; another one can be assigned."""
    return assignment.ends_on is None or assignment.ends_on > max(today_of(assignment), assignment.starts_on)


def plans_for(customer_pk: str) -> "QuerySet[Plan]":
    """The plans that a customer can be put on: those in use, private ones only if they are its own."""
    allowed = Q(customer=None)
    if re.fullmatch("[0-9]{1,9}", customer_pk):
        allowed |= Q(customer=int(customer_pk))
    return Plan.objects.filter(allowed, status=Plan.Status.ACTIVE)


# --- Change of plan ---


class ChangePlanForm(forms.Form):
    plan = forms.ModelChoiceField(Plan.objects.none(), label="New plan", empty_label="Choose a plan")
    when = forms.ChoiceField(widget=forms.RadioSelect, initial=PERIOD_END)
    day = forms.DateField(
        required=False, widget=date_input(), help_text="The first day on the new plan, for the last choice."
    )

    def __init__(self, data: Any, *, assignment: Assignment) -> None:
        super().__init__(data)
        plan = self.fields["plan"]
        assert isinstance(plan, forms.ModelChoiceField)
        plan.queryset = plans_for(str(assignment.customer_id)).exclude(pk=assignment.plan_id)
        when = self.fields["when"]
        assert isinstance(when, forms.ChoiceField)
        period = running_period(assignment, timezone.now())
        end = f", on {day_words(local_date(period.end, assignment.zone))}" if period else ""
        today, first = today_of(assignment), assignment.starts_on
        when.choices = [
            (PERIOD_END, f"When the {'running' if first <= today else 'first'} period ends{end}"),
            (NOW, f"Today, {day_words(today)}" if first <= today else f"From its first day, {day_words(first)}"),
            (DATE, "On a day"),
        ]

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data.get("when") == DATE and not data.get("day") and "day" not in self.errors:
            self.add_error("day", "Say on which day.")
        return data

    @property
    def moment(self) -> Any:
        """What `change_plan` takes as `when`."""
        data = self.cleaned_data
        return data["day"] if data["when"] == DATE else data["when"]


def change_plan_page(
    model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, assignment: Assignment
) -> HttpResponse:
    form = ChangePlanForm(posted(request), assignment=assignment)

    def save() -> str:
        actor = request.user.get_username()
        try:
            new = change_plan(assignment, plan=form.cleaned_data["plan"], when=form.moment, actor=actor)
        except ValidationError as error:
            raise _beside_the_day(error, form) from None
        return (
            f"The plan of {assignment.customer} changes from {assignment.plan} to {new.plan}"
            f" on {day_words(new.starts_on)}."
        )

    return form_page(
        model_admin,
        request,
        form=form,
        save=save,
        concerns=assignment,
        title="Change plan",
        submit="Change plan",
        crumbs=_crumbs(assignment),
        back=change_url(assignment.customer),
        template="admin/pricing/assignment/change_plan.html",
        assignment=assignment,
    )


def _beside_the_day(error: ValidationError, form: ChangePlanForm) -> ValidationError:
    """The same refusal; what it says of a day that was typed stands beside that."""
    if form.cleaned_data.get("when") != DATE or not hasattr(error, "error_dict"):
        return error
    return ValidationError({"day" if name == "when" else name: texts for name, texts in error.error_dict.items()})


# --- Quantities ---


class QuantityForm(forms.Form):
    quantity = NumberField(min_value=0)
    starts_on = forms.DateField(
        label="From",
        widget=date_input(),
        help_text="The first day with this quantity. A day that has one already gets this one in its place.",
    )

    def __init__(self, data: Any, *, starts_on: date) -> None:
        super().__init__(data, initial={"starts_on": starts_on})
        self.fields["quantity"].required = True


def quantity_page(
    model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, assignment: Assignment, fee_key: str
) -> HttpResponse:
    rows = {row.key: row for row in quantity_rows(assignment, _running(assignment)[1])}
    if fee_key not in rows:
        raise Http404
    form = QuantityForm(posted(request), starts_on=max(today_of(assignment), assignment.starts_on))

    def save() -> str:
        data = form.cleaned_data
        set_quantity(assignment, fee_key=fee_key, actor=request.user.get_username(), **data)
        return f"{rows[fee_key].name}: {format_quantity(data['quantity'])} from {day_words(data['starts_on'])}."

    return form_page(
        model_admin,
        request,
        form=form,
        save=save,
        concerns=assignment,
        title=f"Quantity of {rows[fee_key].name}",
        submit="Set quantity",
        crumbs=_crumbs(assignment),
        back=change_url(assignment),
        template="admin/pricing/assignment/quantity.html",
        assignment=assignment,
        row=rows[fee_key],
    )


def quantity_rows(assignment: Assignment, running: PlanVersion | None) -> list[QuantityRow]:
    """One for each fee that has a quantity: those of the running version, then what the next period's adds."""
    today = today_of(assignment)
    entries: dict[str, list[AssignmentQuantity]] = {}
    for entry in assignment.quantities.order_by("starts_on"):
        entries.setdefault(entry.fee_key, []).append(entry)
    fees: dict[str, Fee] = {}
    for version in (running, version_for(assignment, timezone.now())):
        for fee in version.fees.select_related("plan_version") if version else ():
            fees.setdefault(fee.key, fee)
    rows = []
    for fee in fees.values():
        if fee.amount is None:
            continue
        own = entries.get(fee.key, [])
        begun = [entry for entry in own if entry.starts_on <= today]
        quantity = begun[-1].quantity if begun else fee.quantity
        once = ", once" if fee.kind == Fee.Kind.ONE_TIME else ""
        rows.append(
            QuantityRow(
                key=fee.key,
                name=fee.name,
                price=f"{format_price(fee.amount, fee.plan_version.currency)} each{once}",
                now=f"{format_quantity(quantity)} {fee.unit}".strip() + ("" if begun else " (the plan's)"),
                changes=[f"{format_quantity(entry.quantity)} from {day_words(entry.starts_on)}" for entry in own],
            )
        )
    return rows


def _crumbs(assignment: Assignment) -> list[tuple[str, str]]:
    return [list_crumb(Assignment), row_crumb(assignment)]
