"""The notice that new customers get no plan, on the front page and on the lists where that is put right."""

from typing import Any

from django import template

from pricing.models import Plan
from pricing.rules import leaves_customers_without_plan

register = template.Library()


@register.inclusion_tag("admin/pricing/_no_default.html", takes_context=True)
def no_default_plan(context: Any) -> dict[str, Any]:
    user = context["request"].user
    if not user.has_perm("pricing.view_plan") or not leaves_customers_without_plan():
        return {"is_missing": False}
    marked = Plan.objects.filter(is_default=True).exclude(status=Plan.Status.ACTIVE).first()
    return {"is_missing": True, "marked": marked, "sees_customers": user.has_perm("meters.view_customer")}
