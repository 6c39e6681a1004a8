from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from meters.admin.base import KeepsRows, ModelAdmin, ServiceAdmin, ServiceForm, chip
from meters.words import day_words
from pricing.assignments import assign, end
from pricing.models import Assignment, Plan

NOT_IN_PLACE = "It does not take the place of a plan that the customer is on already: end that one first."
HELP = {
    "plan": NOT_IN_PLACE,
    "starts_on": "The first day on the plan. Usage from that day on is billed, also where it has come in already.",
    "ends_on": "The first day no longer on the plan.",
}


class NewAssignmentForm(ServiceForm):
    def call_service(self) -> Assignment:
        data = self.cleaned_data
        return assign(
            customer=data["customer"],
            plan=data["plan"],
            starts_on=data["starts_on"],
            ends_on=data["ends_on"],
            source=Assignment.Source.STAFF,
        )


class EndForm(ServiceForm):
    def clean_ends_on(self) -> Any:
        ends_on = self.cleaned_data["ends_on"]
        if ends_on is None and self.instance.ends_on is not None:
            raise forms.ValidationError("An end is not taken back. Assign the plan anew from that day.")
        return ends_on

    def call_service(self) -> Assignment:
        assignment: Assignment = self.instance
        if "ends_on" not in self.changed_data:
            return assignment
        return end(assignment, ends_on=self.cleaned_data["ends_on"])


class RunningFilter(admin.SimpleListFilter):
    title = "time"
    parameter_name = "time"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("running", "Running"), ("ahead", "Still to begin"), ("over", "Over")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        today = timezone.localdate()
        match self.value():
            case "running":
                return queryset.filter(running(today))
            case "ahead":
                return queryset.filter(starts_on__gt=today)
            case "over":
                return queryset.filter(ends_on__lte=today)
        return queryset


def running(today: Any) -> Q:
    return Q(starts_on__lte=today) & (Q(ends_on=None) | Q(ends_on__gt=today))


def state_chip(assignment: Assignment) -> SafeString:
    today = timezone.localdate()
    if assignment.starts_on > today:
        return chip("Begins later", "busy")
    if assignment.ends_on is not None and assignment.ends_on <= today:
        return chip("Over", "quiet")
    return chip("Running", "good")


def why(assignment: Assignment) -> str:
    """What put the customer on the plan: "Rule 10: Basic", "Default plan", "Staff"."""
    return str(assignment.rule or assignment.get_source_display())


@admin.register(Assignment)
class AssignmentAdmin(ServiceAdmin, KeepsRows, ModelAdmin[Assignment]):
    list_display = ["customer", "plan", "state", "first_day", "end_day", "why"]
    list_filter = [RunningFilter, "source", "plan"]
    list_select_related = ["customer", "plan", "rule__plan"]
    search_fields = ["customer__key", "customer__name"]
    search_help_text = "Customer"
    ordering = ["-starts_on", "-id"]
    autocomplete_fields = ["customer"]

    def get_form(self, request: HttpRequest, obj: Assignment | None = None, change: bool = False, **kwargs: Any) -> Any:
        own = {"form": EndForm, "help_texts": {"ends_on": HELP["ends_on"]}}
        if obj is None:
            own = {"form": NewAssignmentForm, "help_texts": HELP}
        return super().get_form(request, obj, change, **(own | kwargs))

    def get_fields(self, request: HttpRequest, obj: Assignment | None = None) -> Any:
        fields = ["customer", "plan", "starts_on", "ends_on"]
        return [*fields, "state", "why", "created_at"] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: Assignment | None = None) -> list[str]:
        return ["customer", "plan", "starts_on", "state", "why", "created_at"] if obj else []

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"starts_on": timezone.localdate()} | super().get_changeform_initial_data(request)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "plan":
            kwargs["queryset"] = Plan.objects.filter(status=Plan.Status.ACTIVE)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @admin.display(description="from", ordering="starts_on")
    def first_day(self, assignment: Assignment) -> str:
        return day_words(assignment.starts_on)

    @admin.display(description="to, not included", ordering="ends_on")
    def end_day(self, assignment: Assignment) -> str:
        return day_words(assignment.ends_on) if assignment.ends_on else "no end"

    @admin.display(description="state")
    def state(self, assignment: Assignment) -> SafeString:
        return state_chip(assignment)

    @admin.display(description="by")
    def why(self, assignment: Assignment) -> str:
        return why(assignment)
