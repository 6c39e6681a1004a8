from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from meters.admin.base import ModelAdmin, TabularInline
from pricing.models import AssignmentRule, AssignmentRuleCondition, Plan


class ConditionInline(TabularInline[AssignmentRuleCondition, AssignmentRule]):
    model = AssignmentRuleCondition
    fields = ["trait", "value"]
    extra = 1
    verbose_name_plural = "Conditions: a new customer needs all of these traits (without any, the rule fits everybody)"


@admin.register(AssignmentRule)
class AssignmentRuleAdmin(ModelAdmin[AssignmentRule]):
    """Which plan a new customer gets. Rules look at customers once, when they are created."""

    list_display = ["position", "conditions_text", "plan", "enabled"]
    list_display_links = ["position", "conditions_text"]
    list_filter = ["enabled"]
    list_select_related = ["plan"]
    fields = ["position", "plan", "enabled"]
    inlines = [ConditionInline]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[AssignmentRule]":
        return super().get_queryset(request).prefetch_related("conditions")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "plan" and isinstance(field, forms.ModelChoiceField):
            field.queryset = Plan.objects.exclude(status=Plan.Status.RETIRED)
            field.help_text = "A plan that is not active yet is skipped until it is."
        return field

    @admin.display(description="a new customer with")
    def conditions_text(self, rule: AssignmentRule) -> str:
        conditions = " and ".join(f"{c.trait} = {c.value}" for c in rule.conditions.all())
        return conditions or "anything"
