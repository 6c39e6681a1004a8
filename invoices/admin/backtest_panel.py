"""Backtests on the page of a plan: the last ones, and the form that starts another."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import HttpRequest
from django.utils.safestring import SafeString

from invoices.backtests.backtest import DEFAULT_PERIODS, MOST_PERIODS
from invoices.models import Backtest
from meters.admin.base import chip, instant
from pricing.models import Plan, PlanVersion
from pricing.money import format_money
from pricing.steps import EXACT

SHOWN = 5
CHIPS = {
    Backtest.Status.WAITING: "busy",
    Backtest.Status.RUNNING: "busy",
    Backtest.Status.DONE: "good",
    Backtest.Status.FAILED: "bad",
}


class BacktestForm(forms.Form):
    """Which version, and how many periods."""

    version = forms.ModelChoiceField(PlanVersion.objects.none(), empty_label=None)
    periods = forms.IntegerField(
        label="Last periods of each customer",
        min_value=1,
        max_value=MOST_PERIODS,
        initial=DEFAULT_PERIODS,
        widget=forms.NumberInput(attrs={"class": "number-input"}),
    )

    def __init__(self, data: Any = None, *, plan: Plan) -> None:
        super().__init__(data)
        field = self.fields["version"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = plan.versions.order_by("-number")
        field.label_from_instance = _version_words  # type: ignore[method-assign, assignment]


def _version_words(version: PlanVersion) -> str:
    return f"v{version.number}, {version.get_status_display().lower()}"


@dataclass(frozen=True, slots=True)
class Listed:
    backtest: Backtest
    chip: SafeString
    created: str
    words: str


@dataclass(frozen=True, slots=True)
class BacktestPanel:
    plan: Plan
    listed: Sequence[Listed]
    form: BacktestForm | None


def may_see(request: HttpRequest) -> bool:
    return request.user.has_perm("invoices.view_backtest")


def may_start(request: HttpRequest) -> bool:
    return may_see(request) and request.user.has_perm("invoices.add_backtest")


def backtest_panel(plan: Plan, request: HttpRequest) -> BacktestPanel | None:
    """The panel; None for who may not see backtests, and for a plan without prices."""
    if not may_see(request) or not plan.versions.exists():
        return None
    found = plan.backtests.order_by("-id").select_related("version__plan")[:SHOWN]
    return BacktestPanel(
        plan=plan,
        listed=[Listed(one, status_chip(one), instant(one.created_at), outcome_words(one)) for one in found],
        form=BacktestForm(plan=plan) if may_start(request) else None,
    )


def status_chip(backtest: Backtest) -> SafeString:
    return chip(backtest.get_status_display(), CHIPS[Backtest.Status(backtest.status)])


def outcome_words(backtest: Backtest) -> str:
    """ "$5,120.00 then, $5,790.00 now" of each currency; while it works how far it is."""
    if backtest.status == Backtest.Status.FAILED:
        return backtest.error
    if backtest.status != Backtest.Status.DONE:
        return f"{backtest.done:,} of {backtest.total:,} customers"
    said = [
        f"{format_money(EXACT.create_decimal(total['then']), total['currency_then'])} then, "
        f"{format_money(EXACT.create_decimal(total['now']), total['currency_now'])} now"
        for total in backtest.summary.get("totals", [])
    ]
    return "; ".join(said) or "nothing to compare"
