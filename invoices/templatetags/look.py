"""What invoices adds to the page of a plan: pricing knows nothing of bills."""

from typing import Any

from django import template

from invoices.admin.backtest_panel import backtest_panel
from invoices.admin.policy import billing_panel
from invoices.admin.try_it import try_panel
from pricing.models import Plan

register = template.Library()


@register.inclusion_tag("admin/invoices/plan/_try_it.html", takes_context=True)
def try_it(context: Any, plan: Plan) -> dict[str, Any]:
    return {"try_panel": try_panel(plan, context["request"].GET)}


@register.inclusion_tag("admin/invoices/plan/_backtests.html", takes_context=True)
def backtests(context: Any, plan: Plan) -> dict[str, Any]:
    return {"backtest_panel": backtest_panel(plan, context["request"]), "csrf_token": context.get("csrf_token")}


@register.inclusion_tag("admin/invoices/plan/_billing.html", takes_context=True)
def billing(context: Any, plan: Plan) -> dict[str, Any]:
    may_change = context["request"].user.has_perm("invoices.change_billingpolicy")
    return {**billing_panel(plan), "may_change_billing": may_change}
