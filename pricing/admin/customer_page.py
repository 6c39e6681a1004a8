"""What pricing adds to the page of a customer: plans, promotions, taxes and to whom bills are written."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.safestring import SafeString

from meters.admin.base import require
from meters.models import Customer
from meters.periods import local_date
from pricing.admin.assignment_log import log_rows
from pricing.admin.assignment_page import can_change_plan
from pricing.admin.assignments import state_chip, why
from pricing.admin.form_page import change_url, form_page, list_crumb, posted, row_crumb
from pricing.admin.promotion_words import applied_chip
from pricing.models import AppliedPromotion, Assignment, BillingProfile, TaxRate
from pricing.promotion_words import limit_words, what_words
from pricing.taxes import set_billing_profile, tax_rates_of

LOG_SHOWN = 10


def customer_panels(request: HttpRequest, customer: Customer, taken_off: Mapping[int, str] | None) -> dict[str, Any]:
    """The context of the panels that the staff member may see. `taken_off`: by applied promotion, in words; None where
    that is not to be seen."""
    may = request.user.has_perm
    context: dict[str, Any] = {
        "may_assign": may("pricing.add_assignment"),
        "may_end": may("pricing.change_assignment"),
        "may_give": may("pricing.add_appliedpromotion") and may("pricing.view_promotion"),
        "may_end_promotion": may("pricing.change_appliedpromotion"),
        "may_change_billing": may("pricing.change_billingprofile"),
        "may_see_log": may("pricing.view_assignmentlog"),
    }
    if may("pricing.view_assignment"):
        context["assignments"] = _assignments(customer)
    if may("pricing.view_appliedpromotion"):
        context |= {"promotions": _promotions(customer, taken_off or {}), "show_taken_off": taken_off is not None}
    if may("pricing.view_billingprofile"):
        context |= {"billing": BillingProfile.objects.filter(customer=customer).first(), "show_billing": True}
        context["taxes"] = tax_rates_of(customer)
    if context["may_see_log"]:
        entries = customer.assignment_log.all()
        context |= {"log": log_rows(entries[:LOG_SHOWN]), "log_count": entries.count()}
    return context


def _assignments(customer: Customer) -> list[tuple[Assignment, SafeString, str, bool]]:
    """The customer's assignments, newest first, each with its state, what made it, and whether its plan can change."""
    found = customer.assignments.select_related("plan", "rule__plan").order_by("-starts_on", "-pk")
    return [(row, state_chip(row), why(row), can_change_plan(row)) for row in found]


def _promotions(
    customer: Customer, taken_off: Mapping[int, str]
) -> list[tuple[AppliedPromotion, SafeString, str, str, str]]:
    """Those the customer has or had, in the order in which they are taken off."""
    today = local_date(timezone.now(), customer.zone)
    found = customer.promotions.select_related("promotion").prefetch_related("promotion__product_items")
    return [
        (
            row,
            applied_chip(row, today),
            what_words(row.promotion),
            limit_words(row.promotion),
            taken_off.get(row.pk, ""),
        )
        for row in found.order_by("promotion__position", "promotion_id", "id")
    ]


# --- Billing ---


class BillingForm(forms.Form):
    tax_exempt = forms.BooleanField(required=False, help_text="No tax is charged, whatever is chosen below.")
    tax_rates = forms.ModelMultipleChoiceField(
        TaxRate.objects.none(), required=False, widget=forms.CheckboxSelectMultiple
    )
    tax_note = forms.CharField(
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Printed on the invoice, for example why no tax is charged.",
    )
    tax_id = forms.CharField(
        label="Tax ID", required=False, max_length=50, help_text="The customer's own, printed on the invoice."
    )
    legal_name = forms.CharField(
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="To whom the invoice is written. Empty: the customer's name.",
    )
    address = forms.CharField(required=False, max_length=500, widget=forms.Textarea(attrs={"rows": 4, "cols": 60}))

    def __init__(self, data: Any, *, customer: Customer) -> None:
        profile = BillingProfile.objects.filter(customer=customer).first()
        own = list(profile.tax_rates.all()) if profile else []
        initial = {name: getattr(profile, name) for name in self.base_fields if name != "tax_rates"} if profile else {}
        super().__init__(data, initial=initial | {"tax_rates": own})
        rates = self.fields["tax_rates"]
        assert isinstance(rates, forms.ModelMultipleChoiceField)
        rates.queryset = TaxRate.objects.filter(retired_at=None)
        for_all = ", ".join(str(rate) for rate in TaxRate.objects.filter(retired_at=None, is_default=True))
        rates.help_text = f"None: those that are for everybody, {f'now {for_all}' if for_all else 'now none'}."


def billing_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, pk: int) -> HttpResponse:
    require(request.user.has_perm("pricing.change_billingprofile"))
    customer = get_object_or_404(Customer, pk=pk)
    form = BillingForm(posted(request), customer=customer)

    def save() -> str:
        set_billing_profile(customer, **form.cleaned_data)
        return f"Billing of {customer} is changed: open invoices follow, final ones stay."

    return form_page(
        model_admin,
        request,
        form=form,
        save=save,
        concerns=customer,
        title="Taxes and billing",
        submit="Save",
        crumbs=[list_crumb(Customer), row_crumb(customer)],
        back=f"{change_url(customer)}#billing",
    )
