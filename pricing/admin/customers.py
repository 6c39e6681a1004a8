"""The customer page, extended by the plans customers are on and the action that assigns one."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.core.exceptions import ValidationError
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from meters.admin.base import messages_of
from meters.admin.customers import CustomerAdmin, Link
from meters.models import Customer
from pricing.admin.assignments import running
from pricing.assignments import assign
from pricing.models import Assignment, Plan

# Each customer's invoice is made on the spot; more of them would outlast a request.
MOST_AT_ONCE = 500

admin.site.unregister(Customer)


class AssignPlanForm(forms.Form):
    plan = forms.ModelChoiceField(Plan.objects.filter(status=Plan.Status.ACTIVE), empty_label="Choose a plan")
    starts_on = forms.DateField(
        label="Start date",
        initial=timezone.localdate,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text="The first day on the plan. Usage from that day on is billed, also where it has come in already.",
    )


@admin.register(Customer)
class AssignedCustomerAdmin(CustomerAdmin):
    list_display = ["key", "name", "plans", "source", "created"]
    actions = ["assign_plan"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Customer]":
        now_on = Assignment.objects.filter(running(timezone.localdate())).select_related("plan").order_by("starts_on")
        return super().get_queryset(request).prefetch_related(Prefetch("assignments", now_on, to_attr="now_on"))

    @admin.display(description="plans")
    def plans(self, customer: Any) -> str:
        return ", ".join(str(assignment.plan) for assignment in customer.now_on)

    def links(self, customer: Customer) -> list[Link]:
        url = reverse("admin:pricing_assignment_changelist")
        return [*super().links(customer), ("Plans", f"{url}?customer__id__exact={customer.pk}")]

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
            self._assign(request, customers, form.cleaned_data)
            return None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Assign a plan",
            "form": form,
            "customers": customers,
            "select_across": request.POST.get("select_across", "0"),
            "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/pricing/assign_plan.html", context)

    def _assign(self, request: HttpRequest, customers: list[Customer], data: dict[str, Any]) -> None:
        done, refused = 0, []
        for customer in customers:
            try:
                assignment = assign(customer=customer, plan=data["plan"], starts_on=data["starts_on"])
            except ValidationError as error:
                refused.append(f"{customer.key}: {messages_of(error)}")
            else:
                done += 1
                self.log_change(request, customer, f"Assigned to {assignment.plan} from {assignment.starts_on}.")
        if done:
            noun = "customer is" if done == 1 else "customers are"
            text = f"{done} {noun} on {data['plan']} from {data['starts_on']}."
            self.message_user(request, text, messages.SUCCESS)
        for reason in refused[:20]:
            self.message_user(request, f"Not assigned: {reason}", messages.ERROR)
        if len(refused) > 20:
            self.message_user(request, f"Not assigned for like reasons: {len(refused) - 20} more.", messages.ERROR)
