"""The pages of the billing policy: the account's, and what a plan has in its place."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from invoices.models import BillingPolicy
from invoices.policy import account_grace_hours, billing_policy, plan_policy
from invoices.policy_changes import PATTERNS, next_numbers, set_billing_policy, set_plan_policy
from meters.admin.base import KeepsRows, ModelAdmin, add_errors, require
from meters.admin.fields import NumberField
from pricing.admin.form_page import form_page, list_crumb, posted, row_crumb
from pricing.models import Plan

YES_NO = {"": None, "yes": True, "no": False}
SHORT = {"class": "short-number"}
WIDE = {"class": "vTextField", "autocomplete": "off", "spellcheck": "false"}
LONG = {"class": "vTextField", "autocomplete": "off"}
LINES = {"class": "vLargeTextField", "rows": 4}


class PolicyForm(forms.Form):
    grace_hours = forms.IntegerField(
        label="Grace time, hours", min_value=0, required=False, widget=forms.NumberInput(attrs=SHORT)
    )
    needs_approval = forms.BooleanField(
        label="Approve invoices",
        required=False,
        help_text="Invoices become final only once staff have approved them. Until then they follow usage.",
    )
    payment_days = forms.IntegerField(
        label="Days of payment",
        min_value=0,
        widget=forms.NumberInput(attrs=SHORT),
        help_text="From the day that an invoice becomes final, in its customer's zone, to the day that it is due.",
    )
    invoice_numbers = forms.CharField(
        max_length=40,
        widget=forms.TextInput(attrs=WIDE),
        help_text="With {year} and {number}, once each. {number:04} has at least four digits: 0042. Numbers have no "
        "gaps, and begin anew each year.",
    )
    credit_note_numbers = forms.CharField(
        max_length=40,
        widget=forms.TextInput(attrs=WIDE),
        help_text="Likewise. Credit notes are counted by themselves.",
    )
    late_usage = forms.ChoiceField(
        label="Late usage",
        choices=BillingPolicy.LateUsage.choices,
        widget=forms.RadioSelect,
        help_text="Where the difference goes that usage makes which comes, or is voided, after an invoice is final.",
    )
    late_ignored_below = NumberField(
        label="Wait below",
        min_value=0,
        help_text="Differences of a period that come to less than this, in the invoice's currency, wait until they are "
        "more. 0: none wait.",
    )
    seller_name = forms.CharField(label="Name", max_length=200, required=False, widget=forms.TextInput(attrs=LONG))
    seller_address = forms.CharField(
        label="Address", max_length=500, required=False, widget=forms.Textarea(attrs=LINES)
    )
    seller_tax_id = forms.CharField(label="Tax ID", max_length=50, required=False, widget=forms.TextInput(attrs=LONG))
    paper_footer = forms.CharField(
        label="Foot of each page",
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs=LINES),
        help_text="Such as where to pay to.",
    )

    def __init__(self, data: Any = None) -> None:
        policy = billing_policy()
        super().__init__(data, initial={name: getattr(policy, name) for name in self.base_fields})
        self.fields["seller_name"].help_text = (
            f"Who sends invoices and credit notes; those that are issued keep what was here then. Empty: the "
            f"name of the brand; without one {settings.COMPANY_NAME}, as this installation is set up."
        )
        self.fields["grace_hours"].help_text = (
            f"How long after its period late usage is still counted in an invoice. Empty: {settings.GRACE_HOURS}, as "
            "this installation is set up. Invoices that are open already keep the end that they have."
        )

    def preview(self) -> dict[str, str]:
        """The next numbers by what is typed; by what is stored, where that makes none."""
        typed = {name: self[name].value() or "" for name in PATTERNS.values()}
        try:
            return next_numbers(typed, timezone.now())
        except ValidationError:
            stored = billing_policy()
            return next_numbers({name: getattr(stored, name) for name in PATTERNS.values()}, timezone.now())


class PlanPolicyForm(forms.Form):
    grace_hours = forms.IntegerField(
        label="Grace time, hours", min_value=0, required=False, widget=forms.NumberInput(attrs=SHORT)
    )
    payment_days = forms.IntegerField(
        label="Days of payment", min_value=0, required=False, widget=forms.NumberInput(attrs=SHORT)
    )
    needs_approval = forms.ChoiceField(label="Approve invoices", required=False)

    def __init__(self, data: Any = None, *, plan: Plan) -> None:
        own, account = plan_policy(plan), billing_policy()
        approval = next(text for text, value in YES_NO.items() if value == own.needs_approval)
        initial = {"grace_hours": own.grace_hours, "payment_days": own.payment_days, "needs_approval": approval}
        super().__init__(data, initial=initial)
        hours = account_grace_hours(account)
        grace = self.fields["grace_hours"]
        grace.help_text = f"Empty: {hours}, as the account. Invoices that are open keep the end that they have."
        self.fields["payment_days"].help_text = f"Empty: {account.payment_days}, as the account."
        said = "yes" if account.needs_approval else "no"
        choices = [("", f"As the account: {said}"), ("yes", "Yes"), ("no", "No")]
        self.fields["needs_approval"] = forms.ChoiceField(label="Approve invoices", choices=choices, required=False)

    def changes(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {**data, "needs_approval": YES_NO[data["needs_approval"]]}


def billing_panel(plan: Plan) -> dict[str, Any]:
    """What the page of a plan says of how it is billed."""
    own, account = plan_policy(plan), billing_policy()
    approval = account.needs_approval if own.needs_approval is None else own.needs_approval
    hours = account_grace_hours(account) if own.grace_hours is None else own.grace_hours
    days = account.payment_days if own.payment_days is None else own.payment_days
    return {
        "plan": plan,
        "rows": [
            ("Grace time", f"{hours} hours", own.grace_hours is not None),
            ("Days of payment", str(days), own.payment_days is not None),
            ("Approve invoices", "Yes" if approval else "No", own.needs_approval is not None),
        ],
    }


def _next_words(numbers: dict[str, str]) -> str:
    return f"The next invoice is {numbers['invoice_numbers']}."


@admin.register(BillingPolicy)
class BillingPolicyAdmin(KeepsRows, ModelAdmin[BillingPolicy]):
    """One row, so the list is the page."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.plan_view)
        return [path("plans/<int:pk>/", view, name="invoices_plan_policy"), *super().get_urls()]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:invoices_billingpolicy_changelist"))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(self.has_view_permission(request))
        may_change = self.has_change_permission(request)
        require(may_change or request.method != "POST")
        form = PolicyForm(posted(request))
        if not may_change:
            for field in form.fields.values():
                field.disabled = True

        if request.method == "POST" and form.is_valid():
            try:
                next_numbers(form.cleaned_data, timezone.now())
                if "_preview" not in request.POST:
                    return self._save(request, form)
            except ValidationError as error:
                add_errors(form, error)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Billing policy",
            "form": form,
            "preview": form.preview(),
            "may_change": may_change,
        }
        return TemplateResponse(request, "admin/invoices/policy.html", context)

    def _save(self, request: HttpRequest, form: PolicyForm) -> HttpResponse:
        policy = set_billing_policy(changes=form.cleaned_data, now=timezone.now())
        self.log_change(request, policy, f"Changed: {', '.join(form.changed_data) or 'nothing'}")
        self.message_user(request, f"Saved. {_next_words(form.preview())}", messages.SUCCESS)
        return HttpResponseRedirect(request.path)

    def plan_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        require(self.has_change_permission(request))
        plan = get_object_or_404(Plan, pk=pk)
        form = PlanPolicyForm(posted(request), plan=plan)

        def save() -> str:
            set_plan_policy(plan, changes=form.changes())
            return f"Billing of {plan} saved."

        return form_page(
            self,
            request,
            form=form,
            save=save,
            concerns=billing_policy(),
            title="Billing",
            submit="Save",
            crumbs=[list_crumb(Plan), row_crumb(plan)],
            back=f"{reverse('admin:pricing_plan_change', args=[plan.pk])}#billing",
            subtitle=str(plan),
        )
