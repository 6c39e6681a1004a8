from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from django.utils.safestring import SafeString

from meters.admin.base import KeepsRows, ModelAdmin, ModelForm, messages_of, require
from pricing.admin import plan_actions, plan_documents, plan_pages, plan_questions, rate_pages
from pricing.admin.assignments import running
from pricing.admin.plan_page import plan_page
from pricing.admin.plan_pages import plan_url
from pricing.admin.plan_status import status_chip
from pricing.inputs import key_taken
from pricing.models import Assignment, Plan, PlanVersion, Rate
from pricing.plans import draft_version, set_default

OFFER_WORDS = {Plan.Offer.NONE: "No", Plan.Offer.SHOWN: "Shown", Plan.Offer.SELF_SERVICE: "Self-service"}

# A route below a plan, the end of its name, and what it runs.
Routes = Mapping[str, tuple[str, Callable[..., Any]]]


class PlanForm(ModelForm[Plan]):
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}))
    # Not the model's own field: that one refuses a second default plan instead of taking the first one's place.
    default_plan = forms.BooleanField(
        required=False, help_text="New customers get it when no assignment rule fits, in place of any other default."
    )

    offer = forms.ChoiceField(
        label="Offered to customers",
        choices=Plan.Offer.choices,
        required=False,
        help_text=Plan._meta.get_field("offer").help_text,
    )

    class Meta:
        error_messages = {"key": {"unique": key_taken(Plan)}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not may_be_default(self.instance):
            del self.fields["default_plan"]
        self.initial.setdefault("default_plan", self.instance.is_default)

    def clean_offer(self) -> str:
        return self.cleaned_data["offer"] or self.instance.offer


class PrivateFilter(admin.SimpleListFilter):
    title = "customers"
    parameter_name = "for"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("everybody", "Everybody"), ("one", "One customer")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        match self.value():
            case "everybody":
                return queryset.filter(base=None)
            case "one":
                return queryset.exclude(base=None)
        return queryset


@admin.register(Plan)
class PlanAdmin(KeepsRows, ModelAdmin[Plan]):
    form = PlanForm
    list_display = [
        "key",
        "name",
        "status_chip",
        "for_whom",
        "customer_count",
        "rate_count",
        "default_words",
        "offer_words",
    ]
    list_filter = ["status", PrivateFilter, "offer"]
    list_select_related = ["customer"]
    search_fields = ["key", "name", "customer__key", "customer__name"]
    change_form_template = "admin/pricing/plan/change_form.html"
    change_list_template = "admin/pricing/plan/change_list.html"

    def get_fields(self, request: HttpRequest, obj: Plan | None = None) -> Any:
        fields = ["key", "name", "description", "offer"]
        return [*fields, "default_plan"] if obj and may_be_default(obj) else fields

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
        return status_chip(plan)

    @admin.display(description="for", ordering="customer")
    def for_whom(self, plan: Plan) -> str:
        return str(plan.customer) if plan.customer else "everybody"

    @admin.display(description="default plan", ordering="is_default")
    def default_words(self, plan: Plan) -> str:
        return "Yes" if plan.is_default else "No"

    @admin.display(description="offered", ordering="offer")
    def offer_words(self, plan: Plan) -> str:
        return OFFER_WORDS[Plan.Offer(plan.offer)]

    @admin.display(description="prices")
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
            self._save_default(request, obj, form.cleaned_data.get("default_plan", obj.is_default))
            # Not the whole row: another one may be switching the plan on at this moment.
            obj.save(update_fields=[name for name in ("name", "description", "offer") if name in form.changed_data])
            return
        obj.save()
        draft_version(obj)

    def _save_default(self, request: HttpRequest, plan: Plan, is_default: bool) -> None:
        if is_default == plan.is_default:
            return
        try:
            set_default(plan, is_default=is_default)
        except ValidationError as error:
            self.message_user(request, messages_of(error), messages.ERROR)
        else:
            if not is_default:
                text = f"{plan} is no longer the default plan: {plan_questions.NO_DEFAULT}."
                self.message_user(request, text, messages.WARNING)

    def response_add(self, request: HttpRequest, obj: Plan, post_url_continue: str | None = None) -> HttpResponse:
        self.message_user(request, f"{obj} is there. Add its product items, then activate it.", messages.SUCCESS)
        return HttpResponseRedirect(plan_url(obj.pk))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        plan = self.get_object(request, object_id)
        context = self._page_context(request, plan) if plan else {}
        context["show_save_and_add_another"] = False
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def _page_context(self, request: HttpRequest, plan: Plan) -> dict[str, Any]:
        page = plan_page(plan)
        private = [(private, status_chip(private)) for private in page["private_plans"]]
        own = {"status_chip": status_chip(plan), "put_on_url": plan_pages.put_on_url(plan, request)}
        if plan.is_private:
            own["subtitle"] = f"{plan.public_name}, private plan of {plan.customer}"
        return page | own | {"private_plans": private}

    # --- Its own pages ---

    def get_urls(self) -> list[Any]:
        actions: Routes = {
            "activate/": ("activate", plan_actions.activated),
            "retire/": ("retire", plan_actions.retired),
            "draft/": ("draft", plan_actions.drafted),
            "discard/": ("discard", plan_actions.discarded),
            "follow/": ("follow", plan_actions.followed),
            "rates/<int:rate_pk>/remove/": ("remove_rate", plan_actions.rate_removed),
            "rates/<int:rate_pk>/take-back/": ("take_back_rate", plan_actions.rate_taken_back),
            "fees/<int:fee_pk>/remove/": ("remove_fee", plan_actions.fee_removed),
            "fees/<int:fee_pk>/take-back/": ("take_back_fee", plan_actions.fee_taken_back),
            "terms/take-back/": ("take_back_terms", plan_actions.terms_taken_back),
        }
        pages: Routes = {
            "rates/add/": ("add_rate", rate_pages.rate_page),
            "rates/<int:rate_pk>/": ("change_rate", rate_pages.rate_page),
            "fees/add/": ("add_fee", plan_pages.fee_page),
            "fees/<int:fee_pk>/": ("change_fee", plan_pages.fee_page),
            "terms/": ("terms", plan_pages.terms_page),
            "private/": ("make_private", plan_pages.private_plan_page),
        }
        looks: Routes = {
            "versions/<int:number>/": ("version", plan_pages.shown_version),
            "document/": ("document", plan_documents.download),
        }
        kinds: list[tuple[Callable[..., HttpResponse], Routes]] = [
            (self._action_view, actions),
            (self._page_view, pages),
            (self._look_view, looks),
        ]
        own = [
            path(f"<int:pk>/{route}", self.admin_site.admin_view(partial(view, name, run)), name=f"pricing_plan_{name}")
            for view, routes in kinds
            for route, (name, run) in routes.items()
        ]
        apply = path("apply/", self.admin_site.admin_view(self.apply_view), name="pricing_plan_apply")
        return [apply, *own, *super().get_urls()]

    def apply_view(self, request: HttpRequest) -> HttpResponse:
        require(self.has_add_permission(request) and self.has_change_permission(request))
        return plan_documents.apply_page(self, request)

    def _action_view(
        self, name: str, run: Callable[..., str], request: HttpRequest, pk: int, **which: int
    ) -> HttpResponse:
        """One change of a plan, by POST: calls the service, tells what it did or why not, and shows the plan.

        GET asks for it, where there is something to ask.
        """
        require(self.has_change_permission(request))
        plan = get_object_or_404(Plan.objects.select_related("base", "customer"), pk=pk)
        if request.method != "POST" and name not in plan_questions.QUESTIONS:
            return HttpResponseNotAllowed(["POST"])
        try:
            if request.method != "POST":
                return plan_questions.ask(self, request, plan, name, plan_url(pk), **which)
            done = run(plan, request, **which)
        except ValidationError as error:
            self.message_user(request, messages_of(error), messages.ERROR)
        else:
            self.log_change(request, plan, done)
            self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(plan_url(pk))

    def _page_view(
        self, name: str, page: Callable[..., HttpResponse], request: HttpRequest, pk: int, **which: int
    ) -> HttpResponse:
        require(self.has_change_permission(request))
        return page(self, request, get_object_or_404(Plan.objects.select_related("base", "customer"), pk=pk), **which)

    def _look_view(
        self, name: str, page: Callable[..., HttpResponse], request: HttpRequest, pk: int, **which: int
    ) -> HttpResponse:
        require(self.has_view_permission(request))
        return page(self, request, get_object_or_404(Plan.objects.select_related("base", "customer"), pk=pk), **which)


def may_be_default(plan: Plan) -> bool:
    """Whether its page has the tick: one that is not active would leave new customers without a plan."""
    return plan.is_default or (plan.status == Plan.Status.ACTIVE and not plan.is_private)


def _count(rows: "QuerySet[Any]", group: str) -> Coalesce:
    return Coalesce(Subquery(rows.values(group).annotate(n=Count("pk")).values("n")), 0)
