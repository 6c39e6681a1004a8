"""The customer page, extended by the plans customers are on and the action that assigns one."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from meters.admin.base import messages_of
from meters.admin.customers import CustomerAdmin, Link
from meters.models import Customer
from meters.words import day_words
from pricing.admin.assignments import HELP, running
from pricing.admin.customer_page import billing_page, customer_panels
from pricing.assignments import assign
from pricing.models import Assignment, Plan

# Each customer's invoice is made on the spot; more of them would outlast a request.
MOST_AT_ONCE = 500

admin.site.unregister(Customer)


class AssignPlanForm(forms.Form):
    plan = forms.ModelChoiceField(
        Plan.objects.filter(status=Plan.Status.ACTIVE, customer=None),
        empty_label="Choose a plan",
        help_text=HELP["plan"],
    )
    starts_on = forms.DateField(
        label="Start date",
        initial=timezone.localdate,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=HELP["starts_on"],
    )


class PlanFilter(admin.SimpleListFilter):
    """Who is on a plan today, and who gets no bill."""

    title = "plan"
    parameter_name = "plan"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("with", "With a plan"), ("without", "Without a plan")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        on_plan = Exists(Assignment.objects.filter(running(timezone.localdate()), customer=OuterRef("pk")))
        match self.value():
            case "with":
                return queryset.filter(on_plan)
            case "without":
                return queryset.exclude(on_plan)
        return queryset


@admin.register(Customer)
class AssignedCustomerAdmin(CustomerAdmin):
    list_display = ["key", "name", "plans", "source", "created"]
    list_filter = [PlanFilter, "source"]
    actions = ["assign_plan"]
    change_form_template = "admin/pricing/customer_change_form.html"

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Customer]":
        now_on = Assignment.objects.filter(running(timezone.localdate())).select_related("plan").order_by("starts_on")
        return super().get_queryset(request).prefetch_related(Prefetch("assignments", now_on, to_attr="now_on"))

    @admin.display(description="plans")
    def plans(self, customer: Any) -> str:
        return ", ".join(str(assignment.plan) for assignment in customer.now_on)

    def links(self, customer: Customer) -> list[Link]:
        url = reverse("admin:pricing_assignment_changelist")
        return [*super().links(customer), ("Plans", f"{url}?customer__id__exact={customer.pk}")]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        customer = self.get_object(request, object_id)
        panels = customer_panels(request, customer, self.taken_off(request, customer)) if customer else {}
        return super().change_view(request, object_id, form_url, {**panels, **(extra_context or {})})

    def taken_off(self, request: HttpRequest, customer: Customer) -> dict[int, str] | None:
        """What each applied promotion has taken off so far, for who may see it; the layer of the invoices knows."""
        return None

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.billing_view)
        return [path("<int:pk>/billing/", view, name="meters_customer_billing"), *super().get_urls()]

    def billing_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return billing_page(self, request, pk)

    def response_add(self, request: HttpRequest, obj: Customer, post_url_continue: str | None = None) -> HttpResponse:
        response = super().response_add(request, obj, post_url_continue)
        assignment = obj.assignments.select_related("plan", "rule").first()
        if assignment is not None:
            by = f"by rule {assignment.rule.position}" if assignment.rule else "as the default plan"
            text = f"The plan of {obj}: {assignment.plan} from {day_words(assignment.starts_on)}, {by}."
            self.message_user(request, text, messages.SUCCESS)
        else:
            text = f"The plan of {obj}: none, because no rule matches and no default plan is active. Assign one."
            self.message_user(request, text, messages.WARNING)
        return response

    def has_assign_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("pricing.add_assignment")

    @admin.action(description="Assign plan…", permissions=["assign"])
    def assign_plan(self, request: HttpRequest, queryset: "QuerySet[Customer]") -> HttpResponse | None:
        """Asks for plan and start, then assigns customer by customer: one that cannot keeps no other from it."""
        customers = list(queryset.prefetch_related(None)[: MOST_AT_ONCE + 1])
        if len(customers) > MOST_AT_ONCE:
            self.message_user(request, f"Choose at most {MOST_AT_ONCE} customers at a time.", messages.ERROR)
            return None
        form = AssignPlanForm(request.POST if "apply" in request.POST else None)
        if form.is_valid():
            customers = self._assign(request, customers, form.cleaned_data)
            if not customers:
                return None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Assign a plan",
            "form": form,
            "customers": customers,
            # Once applied, the page is left with those that were refused, and not with everybody.
            "select_across": "0" if form.is_valid() else request.POST.get("select_across", "0"),
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/pricing/assign_plan.html", context)

    def _assign(self, request: HttpRequest, customers: list[Customer], data: dict[str, Any]) -> list[Customer]:
        """Assigns whom it can, tells of all, and answers those who were refused."""
        done, left, refused = 0, [], []
        for customer in customers:
            try:
                assignment = assign(customer=customer, **data, actor=request.user.get_username())
            except ValidationError as error:
                left.append(customer)
                refused.append(f"{customer.key}: {messages_of(error)}")
            else:
                done += 1
                self.log_change(request, customer, f"Assigned to {assignment.plan} from {assignment.starts_on}.")
        if done:
            noun = "customer is" if done == 1 else "customers are"
            text = f"{done} {noun} on {data['plan']} from {day_words(data['starts_on'])}."
            self.message_user(request, text, messages.SUCCESS)
        for reason in refused[:20]:
            self.message_user(request, f"Not assigned: {reason}", messages.ERROR)
        if len(refused) > 20:
            self.message_user(request, f"Not assigned for like reasons: {len(refused) - 20} more.", messages.ERROR)
        return left
