"""The pages beside a plan's own: a fee, the terms, a version beside another, a new private plan."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from meters.models import Customer
from pricing.admin.fee_form import FeeForm
from pricing.admin.form_page import Crumb, app_crumb, form_page, list_crumb, posted, row_crumb
from pricing.admin.plan_page import version_page
from pricing.admin.terms_form import TermsForm
from pricing.admin.version_view import terms_words
from pricing.models import Assignment, Fee, Plan, PlanVersion
from pricing.plan_words import describe_fee
from pricing.private_plans import make_private


def plan_url(pk: int) -> str:
    return reverse("admin:pricing_plan_change", args=[pk])


def crumbs(plan: Plan) -> list[Crumb]:
    return [list_crumb(Plan), row_crumb(plan)]


def fee_page(
    model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, plan: Plan, fee_pk: int | None = None
) -> HttpResponse:
    fees = Fee.objects.select_related("plan_version__plan")
    fee = get_object_or_404(fees, pk=fee_pk, plan_version__plan=plan) if fee_pk else None
    version = fee.plan_version if fee else _draft(plan)
    if version is None or not version.is_draft:
        return _frozen(model_admin, request, plan)
    form = FeeForm(posted(request), version=version, fee=fee)

    def save() -> str:
        saved = form.save()
        return f"{saved.name} in {version}: {describe_fee(saved, version.currency)}."

    return form_page(
        model_admin,
        request,
        form=form,
        save=save,
        concerns=plan,
        title=f"Fee {fee.name}" if fee else "Add a fee",
        submit="Save fee",
        crumbs=crumbs(plan),
        back=f"{plan_url(plan.pk)}#draft",
        template="admin/pricing/plan/fee_form.html",
        subtitle=str(version),
        fee=fee,
    )


def terms_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, plan: Plan) -> HttpResponse:
    version = _draft(plan)
    if version is None:
        return _frozen(model_admin, request, plan)
    form = TermsForm(posted(request), version=version)

    def save() -> str:
        saved = form.save()
        saved.refresh_from_db()
        return f"Terms of {saved}: {terms_words(saved)}."

    return form_page(
        model_admin,
        request,
        form=form,
        save=save,
        concerns=plan,
        title="Terms",
        submit="Save terms",
        crumbs=crumbs(plan),
        back=f"{plan_url(plan.pk)}#draft",
        template="admin/pricing/plan/terms_form.html",
        subtitle=str(version),
        version=version,
    )


class PrivatePlanForm(forms.Form):
    customer = forms.ModelChoiceField(Customer.objects.all(), help_text="Only this customer can be put on the plan.")
    follows_base = forms.BooleanField(
        required=False,
        initial=True,
        help_text="A new version of this plan makes a new version of the customer's, with its own prices kept. "
        "Otherwise the customer's plan stays as it is.",
    )

    def __init__(self, data: Any = None, *, plan: Plan, site: admin.AdminSite) -> None:
        super().__init__(data)
        customer = self.fields["customer"]
        assert isinstance(customer, forms.ModelChoiceField)
        customer.widget = AutocompleteSelect(Plan._meta.get_field("customer"), site)
        customer.widget.choices = customer.choices
        self.fields["follows_base"].label = f"Follows {plan}"


def private_plan_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, plan: Plan) -> HttpResponse:
    """Makes one customer's own plan of this one, and goes on to it."""
    form = PrivatePlanForm(posted(request), plan=plan, site=model_admin.admin_site)
    made: list[Plan] = []

    def save() -> str:
        data = form.cleaned_data
        made.append(make_private(plan, customer=data["customer"], follows_base=data["follows_base"]))
        return f"{made[0].key} is there: give it the prices that only {data['customer']} has, then activate it."

    response = form_page(
        model_admin,
        request,
        form=form,
        save=save,
        concerns=plan,
        title="Make a private plan",
        submit="Make the plan",
        crumbs=crumbs(plan),
        back=plan_url(plan.pk),
        template="admin/pricing/plan/private_form.html",
        subtitle=f"Of {plan}",
        media=form.media,
    )
    return HttpResponseRedirect(plan_url(made[0].pk)) if made else response


def put_on_url(plan: Plan, request: HttpRequest) -> str:
    """Where an active private plan's customer is put on it: by a change of plan from the base, or else anew.

    Empty where the customer is on it already, now or later, or where the user may not.
    """
    if not plan.is_private or plan.status != Plan.Status.ACTIVE:
        return ""
    assignments = Assignment.objects.filter(customer=plan.customer_id)
    lasting = assignments.filter(Q(ends_on=None) | Q(ends_on__gt=timezone.localdate()))
    if lasting.filter(plan=plan).exists():
        return ""
    from_base = lasting.filter(plan=plan.base).order_by("starts_on").first()
    if from_base is not None and request.user.has_perm("pricing.change_assignment"):
        return reverse("admin:pricing_assignment_change_plan", args=[from_base.pk])
    if from_base is None and request.user.has_perm("pricing.add_assignment"):
        query = urlencode({"customer": str(plan.customer_id), "plan": str(plan.pk)})
        return f"{reverse('admin:pricing_assignment_add')}?{query}"
    return ""


def shown_version(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, plan: Plan, number: int) -> HttpResponse:
    page = version_page(plan, number, request.GET.get("against", ""))
    if page is None:
        raise Http404
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": str(page["shown"].version),
        "original": plan,
        "crumbs": [app_crumb(crumbs(plan)), *crumbs(plan)],
        **page,
    }
    return TemplateResponse(request, "admin/pricing/plan/version.html", context)


def _draft(plan: Plan) -> PlanVersion | None:
    return plan.versions.filter(status=PlanVersion.Status.DRAFT).select_related("plan").first()


def _frozen(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, plan: Plan) -> HttpResponse:
    text = f"What is active of {plan} is frozen. Change prices starts a new version."
    model_admin.message_user(request, text, "ERROR")
    return HttpResponseRedirect(plan_url(plan.pk))
