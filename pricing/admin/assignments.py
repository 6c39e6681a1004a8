from typing import Any

from django.contrib import admin
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from django.utils.safestring import SafeString

from meters.admin.base import KeepsRows, ModelAdmin, ServiceAdmin, ServiceForm, chip, instant, link, require
from meters.words import day_words
from pricing.admin.assignment_import import import_page
from pricing.admin.assignment_page import (
    assignment_page,
    can_change_plan,
    change_plan_page,
    plans_for,
    quantity_page,
    running_words,
)
from pricing.admin.form_page import change_url
from pricing.assignments import assign, end
from pricing.models import Assignment

NOT_IN_PLACE = "It does not take the place of a plan that the customer is on already: end that one first."
HELP = {
    "plan": NOT_IN_PLACE,
    "starts_on": "The first day on the plan. Usage from that day on is billed, also where it has come in already.",
    "ends_on": "The first day no longer on the plan. Empty: no end.",
    "anchor_on": "Where the plan's periods count from an anniversary: the day that they count from, also backwards."
    " Empty: the first day.",
}


class NewAssignmentForm(ServiceForm):
    actor = ""

    def call_service(self) -> Assignment:
        data = self.cleaned_data
        return assign(
            customer=data["customer"],
            plan=data["plan"],
            starts_on=data["starts_on"],
            ends_on=data["ends_on"],
            anchor_on=data["anchor_on"],
            actor=self.actor,
        )


class EndForm(ServiceForm):
    actor = ""

    def call_service(self) -> Assignment:
        assignment: Assignment = self.instance
        if "ends_on" not in self.changed_data:
            return assignment
        return end(assignment, ends_on=self.cleaned_data["ends_on"], actor=self.actor)


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
                return queryset.filter(Q(ends_on=None) | Q(ends_on__gt=F("starts_on")), starts_on__gt=today)
            case "over":
                return queryset.filter(Q(ends_on__lte=today) | Q(ends_on=F("starts_on")))
        return queryset


def running(today: Any) -> Q:
    return Q(starts_on__lte=today) & (Q(ends_on=None) | Q(ends_on__gt=today))


def state_chip(assignment: Assignment) -> SafeString:
    today = timezone.localdate()
    if assignment.ends_on == assignment.starts_on:
        return chip("Never began", "quiet")
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
    change_form_template = "admin/pricing/assignment/change_form.html"
    change_list_template = "admin/pricing/assignment/change_list.html"
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
        form: Any = super().get_form(request, obj, change, **(own | kwargs))
        form.actor = request.user.get_username()
        return form

    def get_fields(self, request: HttpRequest, obj: Assignment | None = None) -> Any:
        if obj is None:
            return ["customer", "plan", "starts_on", "ends_on", "anchor_on"]
        shown = ["customer_link", "plan_link", "first_day", "ends_on", "anniversary", "zone", "state", "running_period"]
        return [*shown, "why", "created"]

    def get_readonly_fields(self, request: HttpRequest, obj: Assignment | None = None) -> list[str]:
        return [name for name in self.get_fields(request, obj) if name != "ends_on"] if obj else []

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"starts_on": timezone.localdate()} | super().get_changeform_initial_data(request)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "plan":
            kwargs["queryset"] = plans_for(request.POST.get("customer") or request.GET.get("customer") or "")
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

    @admin.display(description="customer")
    def customer_link(self, assignment: Assignment) -> SafeString:
        return link(change_url(assignment.customer), assignment.customer)

    @admin.display(description="plan")
    def plan_link(self, assignment: Assignment) -> SafeString:
        return link(change_url(assignment.plan), assignment.plan)

    @admin.display(description="anniversary")
    def anniversary(self, assignment: Assignment) -> str:
        return day_words(assignment.anchor)

    @admin.display(description="running period")
    def running_period(self, assignment: Assignment) -> str:
        return running_words(assignment) or "none"

    @admin.display(description="days of")
    def zone(self, assignment: Assignment) -> str:
        return assignment.time_zone

    @admin.display(description="created")
    def created(self, assignment: Assignment) -> str:
        return instant(assignment.created_at)

    # --- Its own pages ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        assignment = self.get_object(request, object_id)
        context = {"show_save_and_add_another": False}
        if assignment is not None:
            may = self.has_change_permission(request) and request.user.has_perm("pricing.add_assignment")
            context |= assignment_page(assignment) | {"may_change_plan": may and can_change_plan(assignment)}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("import/", view(self.import_view), name="pricing_assignment_import"),
            path("<int:pk>/change-plan/", view(self.change_plan_view), name="pricing_assignment_change_plan"),
            path("<int:pk>/quantities/<str:fee_key>/", view(self.quantity_view), name="pricing_assignment_quantity"),
            *super().get_urls(),
        ]

    def import_view(self, request: HttpRequest) -> HttpResponse:
        require(self.has_add_permission(request))
        return import_page(self, request)

    def change_plan_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        require(self.has_add_permission(request))
        return change_plan_page(self, request, self._changeable(request, pk))

    def quantity_view(self, request: HttpRequest, pk: int, fee_key: str) -> HttpResponse:
        return quantity_page(self, request, self._changeable(request, pk), fee_key)

    def _changeable(self, request: HttpRequest, pk: int) -> Assignment:
        require(self.has_change_permission(request))
        return get_object_or_404(Assignment.objects.select_related("customer", "plan"), pk=pk)
