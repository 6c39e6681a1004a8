from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from meters.admin.base import KeepsRows, ModelAdmin, ModelForm, chip, messages_of, require
from pricing.admin import rate_pages
from pricing.admin.assignments import running
from pricing.admin.plan_page import plan_page
from pricing.models import Assignment, Plan, PlanVersion, Rate
from pricing.plans import activate, active_version, discard_draft, draft_version, retire, set_default

CHIPS = {Plan.Status.DRAFT: "busy", Plan.Status.ACTIVE: "good", Plan.Status.RETIRED: "quiet"}
WAS_DEFAULT = "It was the default plan: new customers that no rule matches get no plan until you choose another."


class PlanForm(ModelForm[Plan]):
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}))
    # Not the model's own field: that one refuses a second default plan instead of taking the first one's place.
    default_plan = forms.BooleanField(
        required=False, help_text="New customers get it when no assignment rule fits, in place of any other default."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("default_plan", self.instance.is_default)


@admin.register(Plan)
class PlanAdmin(KeepsRows, ModelAdmin[Plan]):
    form = PlanForm
    list_display = ["key", "name", "status_chip", "customer_count", "rate_count", "is_default"]
    list_filter = ["status"]
    search_fields = ["key", "name"]
    fields = ["key", "name", "description", "default_plan"]
    change_form_template = "admin/pricing/plan/change_form.html"

    def get_readonly_fields(self, request: HttpRequest, obj: Plan | None = None) -> Any:
        return ["key"] if obj else []

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Plan]":
        plan = OuterRef("pk")
        rates = Rate.objects.order_by().filter(plan_version__plan=plan)
        on_it = Assignment.objects.order_by().filter(running(timezone.localdate()), plan=plan)
        return (
            super()
            .get_queryset(request)
            .annotate(
                active_rates=_count(rates.filter(plan_version__status=PlanVersion.Status.ACTIVE), "plan_version__plan"),
                draft_rates=_count(rates.filter(plan_version__status=PlanVersion.Status.DRAFT), "plan_version__plan"),
                customers=_count(on_it, "plan"),
            )
        )

    @admin.display(description="status", ordering="status")
    def status_chip(self, plan: Plan) -> SafeString:
        return chip(str(plan.get_status_display()), CHIPS[Plan.Status(plan.status)])

    @admin.display(description="rates")
    def rate_count(self, plan: Any) -> str:
        if plan.status == Plan.Status.DRAFT:
            return f"{plan.draft_rates} in draft"
        return str(plan.active_rates)

    @admin.display(description="customers", ordering="customers")
    def customer_count(self, plan: Any) -> int:
        return int(plan.customers)

    # --- The form ---

    def save_model(self, request: HttpRequest, obj: Plan, form: Any, change: bool) -> None:
        if change:
            # Not the whole row: another one may be switching the plan on at this moment.
            obj.save(update_fields=[name for name in ("name", "description") if name in form.changed_data])
        else:
            obj.save()
            draft_version(obj)
        if form.cleaned_data["default_plan"] != obj.is_default:
            set_default(obj, is_default=form.cleaned_data["default_plan"])

    def response_add(self, request: HttpRequest, obj: Plan, post_url_continue: str | None = None) -> HttpResponse:
        self.message_user(request, f"{obj} is there. Add its product items, then activate it.", messages.SUCCESS)
        return HttpResponseRedirect(plan_url(obj.pk))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        plan = self.get_object(request, object_id)
        context = plan_page(plan, request.GET) | {"status_chip": self.status_chip(plan)} if plan else {}
        context["show_save_and_add_another"] = False
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    # --- Its own pages ---

    def get_urls(self) -> list[Any]:
        pages: list[tuple[str, str, Callable[..., HttpResponse]]] = [
            ("activate/", "activate", self.activate_view),
            ("retire/", "retire", self.retire_view),
            ("draft/", "draft", self.draft_view),
            ("discard/", "discard", self.discard_view),
            ("rates/add/", "add_rate", self.add_rate_view),
            ("rates/<int:rate_pk>/", "change_rate", self.change_rate_view),
            ("rates/<int:rate_pk>/remove/", "remove_rate", self.remove_rate_view),
        ]
        own = [
            path(f"<int:pk>/{route}", self.admin_site.admin_view(view), name=f"pricing_plan_{name}")
            for route, name, view in pages
        ]
        return [*own, *super().get_urls()]

    def activate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        def run(plan: Plan) -> str:
            before, active = active_version(plan), activate(plan)
            if before is None or before == active:
                return f"{active} is active."
            return f"{active} is active. Customers stay on the prices of v{before.number} until their next period."

        return self._do(request, pk, run)

    def retire_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        def run(plan: Plan) -> str:
            was_default = plan.is_default
            retire(plan)
            done = f"{plan} is retired: no new customer gets it."
            return f"{done} {WAS_DEFAULT}" if was_default else done

        return self._do(request, pk, run)

    def draft_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        def run(plan: Plan) -> str:
            return f"{draft_version(plan)} is a draft: change its prices, then activate it."

        return self._do(request, pk, run)

    def discard_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        def run(plan: Plan) -> str:
            discard_draft(plan)
            return "The draft is discarded; the active prices stay."

        return self._do(request, pk, run)

    def add_rate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return rate_pages.rate_page(self, request, self._plan(request, pk))

    def change_rate_view(self, request: HttpRequest, pk: int, rate_pk: int) -> HttpResponse:
        return rate_pages.rate_page(self, request, self._plan(request, pk), rate_pk)

    def remove_rate_view(self, request: HttpRequest, pk: int, rate_pk: int) -> HttpResponse:
        return self._do(request, pk, lambda plan: rate_pages.remove(plan, rate_pk))

    def _do(self, request: HttpRequest, pk: int, run: Callable[[Plan], str]) -> HttpResponse:
        """One change of a plan, by POST: calls the service, tells what it did or why not, and shows the plan."""
        plan = self._plan(request, pk)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            done = run(plan)
        except ValidationError as error:
            self.message_user(request, messages_of(error), messages.ERROR)
        else:
            self.log_change(request, plan, done)
            self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(plan_url(pk))

    def _plan(self, request: HttpRequest, pk: int) -> Plan:
        require(self.has_change_permission(request))
        return get_object_or_404(Plan, pk=pk)


def plan_url(pk: int) -> str:
    return reverse("admin:pricing_plan_change", args=[pk])


def _count(rows: "QuerySet[Any]", group: str) -> Coalesce:
    return Coalesce(Subquery(rows.values(group).annotate(n=Count("pk")).values("n")), 0)
