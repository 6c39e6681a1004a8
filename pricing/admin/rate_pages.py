"""The page on which a rate of a draft is added or changed."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse

from pricing.admin.form_page import AT_DRAFT
from pricing.admin.rate_form import RateForm, items_to_add, one_row_more
from pricing.admin.rate_rows import TIER_COLUMNS, TIER_FIELDS, TierForm
from pricing.explain import describe_rate
from pricing.models import Plan, PlanVersion, Rate
from pricing.money import CurrencyError, minor_units
from pricing.plan_words import rate_name
from pricing.plans import remove_rate
from pricing.rate_models_percentage import Percentage
from pricing.rate_models_tiered import GraduatedPercentage


def rate_page(
    model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, plan: Plan, rate_pk: int | None = None
) -> HttpResponse:
    back = reverse("admin:pricing_plan_change", args=[plan.pk])
    rate = _rate(plan, rate_pk) if rate_pk else None
    version = rate.plan_version if rate else plan.versions.filter(status=PlanVersion.Status.DRAFT).first()
    if version is None or not version.is_draft:
        model_admin.message_user(
            request, f"The prices of {version or plan} are frozen. Change prices starts a new version.", messages.ERROR
        )
        return HttpResponseRedirect(back)
    added = next((rows for rows in ("tiers", "where") if f"add_{rows}" in request.POST), None)
    if added:
        form = RateForm(version=version, rate=rate, begin=one_row_more(request.POST, added))
    else:
        form = RateForm(request.POST if request.method == "POST" else None, version=version, rate=rate)
    if form.is_bound and form.is_valid() and (saved := form.save()):
        lines = describe_rate(saved.parsed, unit=saved.product_item.meter.unit, currency=version.currency)
        words = "; ".join(lines).replace(":;", ":")
        done = f"{rate_name(saved)} in {version}: {words}."
        model_admin.log_change(request, plan, done)
        model_admin.message_user(request, done, messages.SUCCESS, extra_tags=AT_DRAFT)
        if hint := not_of_money(saved):
            model_admin.message_user(request, hint, messages.WARNING, extra_tags=AT_DRAFT)
        return HttpResponseRedirect(f"{back}#draft")
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": f"Price of {rate_name(rate)}" if rate else "Add a product item",
        "subtitle": str(version),
        "plan": plan,
        "version": version,
        "rate": rate,
        "form": form,
        "tiers": tier_rows(form),
        "columns": [(TierForm.base_fields[name].label, models) for name, models in TIER_COLUMNS.items()],
        "tiered_models": " ".join(TIER_FIELDS),
        "no_items": rate is None and not items_to_add(version).exists(),
    }
    return TemplateResponse(request, "admin/pricing/plan/rate_form.html", context)


def remove(plan: Plan, rate_pk: int) -> str:
    """Takes a rate out of the plan's draft; answers what was done. Raises ValidationError for a frozen one."""
    rate = _rate(plan, rate_pk)
    remove_rate(rate)
    return f"{rate_name(rate)} is no longer in {rate.plan_version}."


def not_of_money(rate: Rate) -> str:
    """A hint for a percentage of what is not measured in a currency; empty where there is nothing to say."""
    if not isinstance(rate.parsed.model, Percentage | GraduatedPercentage):
        return ""
    meter = rate.product_item.meter
    try:
        minor_units(meter.unit.upper())
    except CurrencyError:
        measured = f"is measured in {meter.unit}" if meter.unit else "has no unit"
        return (
            f"A percentage is taken of an amount of money, and {meter} {measured}: each unit counts as 1 "
            f"{rate.plan_version.currency}. If that is not meant, take a price per unit."
        )
    return ""


def tier_rows(form: RateForm) -> list[tuple[str, TierForm]]:
    """The rows, each with the bound that it begins above, as far as it can be told from what was typed."""
    lower, rows = "0", []
    for tier in form.tiers.forms:
        rows.append((lower, tier))
        lower = tier["up_to"].value() or ""
    return rows


def _rate(plan: Plan, pk: int) -> Rate:
    rates = Rate.objects.select_related("plan_version__plan", "product_item__meter")
    return get_object_or_404(rates, pk=pk, plan_version__plan=plan)
