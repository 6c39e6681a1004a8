"""The rules that give new customers their plan, in order; and what they would do with those that are here."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from meters.admin.base import TabularInline, chip, require
from pricing.admin.order_column import InOrder
from pricing.admin.rule_trial import conditions_words, try_page
from pricing.models import AssignmentRule, AssignmentRuleCondition, Plan


class ConditionInline(TabularInline[AssignmentRuleCondition, AssignmentRule]):
    model = AssignmentRuleCondition
    fields = ["trait", "value"]
    extra = 1
    verbose_name_plural = "Conditions: a new customer needs all of these traits (without any, the rule fits everybody)"


@admin.register(AssignmentRule)
class AssignmentRuleAdmin(InOrder[AssignmentRule]):
    """Which plan a new customer gets. Rules look at customers once, when they are created."""

    change_list_template = "admin/pricing/rule/change_list.html"
    list_display = ["position", "conditions_text", "plan_state", "enabled", "moves"]
    list_display_links = ["position", "conditions_text"]
    list_filter = ["enabled"]
    show_facets = admin.ShowFacets.NEVER
    list_select_related = ["plan"]
    fields = ["position", "plan", "customer_source", "enabled"]
    inlines = [ConditionInline]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[AssignmentRule]":
        return super().get_queryset(request).prefetch_related("conditions")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "plan" and isinstance(field, forms.ModelChoiceField):
            # A private plan is one customer's own, and no new customer can be that one.
            field.queryset = Plan.objects.filter(customer=None).exclude(status=Plan.Status.RETIRED)
            field.help_text = "A plan that is not active yet is skipped until it is."
        return field

    @admin.display(description="a new customer with")
    def conditions_text(self, rule: AssignmentRule) -> str:
        return conditions_words(rule)

    @admin.display(description="plan", ordering="plan")
    def plan_state(self, rule: AssignmentRule) -> SafeString:
        """The plan; one that is not active is marked, as the rule is passed over."""
        if rule.plan.status == Plan.Status.ACTIVE:
            return format_html("{}", rule.plan)
        state = str(rule.plan.get_status_display()).lower()
        return format_html("{} {}", rule.plan, chip(f"{state}: the rule is passed over", "bad"))

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.try_view)
        return [path("try/", view, name="pricing_assignmentrule_try"), *super().get_urls()]

    def try_view(self, request: HttpRequest) -> HttpResponse:
        require(self.has_view_permission(request) and request.user.has_perm("meters.view_customer"))
        require(request.user.has_perm("pricing.view_assignment"))
        return try_page(self, request)
