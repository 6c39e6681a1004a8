"""Prepaid credits for staff: all grants, a grant with its ledger, and the pages that grant, void and set the rule."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from invoices.admin.credit_panel import ledger_rows
from invoices.models import CreditGrant, CreditRule, Invoice
from invoices.prepaid.balances import with_left
from invoices.prepaid.credits import grant_credits, void_grant
from invoices.prepaid.rules import drop_credit_rule, set_credit_rule
from invoices.prepaid.words import items_words, state_of
from meters.admin.base import ModelAdmin, ReadOnly, chip, instant, link, require
from meters.models import Customer
from meters.periods import local_date, local_midnight
from pricing.admin.form_page import change_url, date_input, form_page, list_crumb, posted, row_crumb
from pricing.models import ProductItem
from pricing.money import format_money


def account_zone() -> ZoneInfo:
    return ZoneInfo(settings.ACCOUNT_TIME_ZONE)


@admin.register(CreditGrant)
class CreditGrantAdmin(ReadOnly, ModelAdmin[CreditGrant]):
    list_display = ["name", "customer_link", "granted", "left", "state", "starts", "expires", "only_for"]
    list_filter = ["currency", "source"]
    list_select_related = ["customer"]
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    ordering = ["-id"]
    search_fields = ["name", "reference", "customer__key", "customer__name"]
    search_help_text = "Name, reference or customer"
    change_form_template = "admin/invoices/creditgrant/change_form.html"
    readonly_fields = ["customer_link", "state", "granted", "left", "paid", "priority_words", "starts", "expires"]
    readonly_fields += ["only_for", "origin", "reference"]
    fields = tuple(readonly_fields)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[CreditGrant]":
        return with_left(super().get_queryset(request)).prefetch_related("product_items")

    @admin.display(description="customer", ordering="customer__key")
    def customer_link(self, grant: CreditGrant) -> SafeString:
        return link(f"{reverse('admin:meters_customer_change', args=[grant.customer_id])}#credits", grant.customer)

    @admin.display(description="granted")
    def granted(self, grant: CreditGrant) -> str:
        return format_money(grant.amount, grant.currency)

    @admin.display(description="left")
    def left(self, grant: Any) -> str:
        return format_money(grant.left, grant.currency)

    @admin.display(description="state")
    def state(self, grant: CreditGrant) -> SafeString:
        found = state_of(grant, timezone.now())
        return chip(found.words, found.kind)

    @admin.display(description="paid for it")
    def paid(self, grant: CreditGrant) -> str:
        return format_money(grant.price_paid, grant.currency) if grant.price_paid else "nothing"

    @admin.display(description="priority")
    def priority_words(self, grant: CreditGrant) -> str:
        return f"{grant.priority}; the lowest is drawn first"

    @admin.display(description="good from", ordering="starts_at")
    def starts(self, grant: CreditGrant) -> str:
        return instant(grant.starts_at)

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, grant: CreditGrant) -> str:
        return instant(grant.expires_at) or "never"

    @admin.display(description="pays for")
    def only_for(self, grant: CreditGrant) -> str:
        return items_words(grant) or "Everything"

    @admin.display(description="granted by")
    def origin(self, grant: CreditGrant) -> str:
        by = f" ({grant.actor})" if grant.actor else ""
        return f"{grant.get_source_display()}{by}, {instant(grant.created_at)}"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        grant = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if grant is not None:
            context = {
                "ledger": ledger_rows(grant),
                "may_void": grant.voided_at is None and request.user.has_perm("invoices.change_creditgrant"),
            }
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("grant/<int:customer>/", view(self.grant_view), name="invoices_creditgrant_grant"),
            path("rule/<int:customer>/", view(self.rule_view), name="invoices_creditgrant_rule"),
            path("<int:pk>/void/", view(self.void_view), name="invoices_creditgrant_void"),
            *super().get_urls(),
        ]

    def grant_view(self, request: HttpRequest, customer: int) -> HttpResponse:
        return grant_page(self, request, customer)

    def rule_view(self, request: HttpRequest, customer: int) -> HttpResponse:
        return rule_page(self, request, customer)

    def void_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return void_page(self, request, pk)


# --- Granting ---


class GrantForm(forms.Form):
    name = forms.CharField(
        max_length=200,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="What the customer reads, such as Starter pack.",
    )
    amount = forms.DecimalField(max_digits=40, decimal_places=4, widget=forms.TextInput(attrs={"inputmode": "decimal"}))
    currency = forms.CharField(max_length=3, help_text="It pays invoices in this currency only.")
    price_paid = forms.DecimalField(
        required=False,
        max_digits=40,
        decimal_places=4,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
        help_text="What the customer paid for it, in the same currency. Empty: nothing.",
    )
    priority = forms.IntegerField(
        min_value=0, max_value=32767, help_text="The lowest is drawn first; then what expires first; then the oldest."
    )
    starts_on = forms.DateField(label="From", required=False, widget=date_input(), help_text="Empty: from now on.")
    expires_on = forms.DateField(label="To, not included", required=False, widget=date_input())
    product_items = forms.ModelMultipleChoiceField(
        ProductItem.objects.none(),
        label="Pays for",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None: for everything, taxes and fees as well. Some: for these and their share of taxes.",
    )
    reference = forms.CharField(
        required=False, max_length=200, help_text="Your own id of it; a reference is granted once. May be empty."
    )

    def __init__(self, data: Any, *, customer: Customer) -> None:
        live = Invoice.objects.filter(customer=customer, status__in=Invoice.LIVE).values_list("currency", flat=True)
        currency = live.first() or settings.ACCOUNT_CURRENCY
        super().__init__(data, initial={"currency": currency, "priority": 50})
        items = self.fields["product_items"]
        assert isinstance(items, forms.ModelMultipleChoiceField)
        items.queryset = ProductItem.objects.filter(retired_at=None)
        zone = settings.ACCOUNT_TIME_ZONE
        self.fields["expires_on"].help_text = f"The first day that it is no longer good, {zone}. Empty: no end."

    def moments(self) -> tuple[datetime | None, datetime | None]:
        """The days as moments: midnights of the account. Today is now."""
        starts_on: date | None = self.cleaned_data["starts_on"]
        expires_on: date | None = self.cleaned_data["expires_on"]
        zone = account_zone()
        is_now = starts_on is None or starts_on == local_date(timezone.now(), zone)
        starts_at = None if is_now or starts_on is None else local_midnight(starts_on, zone)
        return starts_at, local_midnight(expires_on, zone) if expires_on else None


# What the service says of moments stands beside the days of the form.
DAYS = {"starts_at": "starts_on", "expires_at": "expires_on"}


def grant_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, customer_pk: int) -> HttpResponse:
    require(request.user.has_perm("invoices.add_creditgrant"))
    customer = get_object_or_404(Customer, pk=customer_pk)
    form = GrantForm(posted(request), customer=customer)

    def save() -> str:
        data = form.cleaned_data
        starts_at, expires_at = form.moments()
        try:
            grant, is_new = grant_credits(
                customer=customer,
                **{name: data[name] for name in ("name", "amount", "priority", "product_items", "reference")},
                currency=data["currency"].strip().upper(),
                price_paid=data["price_paid"] or 0,
                starts_at=starts_at,
                expires_at=expires_at,
                actor=request.user.get_username(),
            )
        except ValidationError as error:
            raise ValidationError(
                {DAYS.get(name, name): faults for name, faults in error.error_dict.items()}
            ) from error
        amount = format_money(grant.amount, grant.currency)
        if not is_new:
            return f"{customer} has {grant.name} of {amount} by this reference already; nothing was granted again."
        return f"Granted to {customer}: {grant.name}, {amount}."

    return form_page(
        model_admin,
        request,
        form=form,
        save=save,
        concerns=customer,
        title="Grant credit",
        submit="Grant credit",
        crumbs=[list_crumb(Customer), row_crumb(customer)],
        back=f"{change_url(customer)}#credits",
    )


# --- Voiding ---


class VoidForm(forms.Form):
    reason = forms.CharField(
        required=False,
        max_length=300,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Kept in the ledger; the customer does not read it.",
    )


def void_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, pk: int) -> HttpResponse:
    require(request.user.has_perm("invoices.change_creditgrant"))
    grant = get_object_or_404(with_left(CreditGrant.objects.select_related("customer")), pk=pk)
    left = format_money(grant.left, grant.currency)
    form = VoidForm(posted(request))

    def save() -> str:
        void_grant(grant, reason=form.cleaned_data["reason"], actor=request.user.get_username())
        return f"{grant} of {grant.customer} is void; {left} of it was left."

    return form_page(
        model_admin,
        request,
        form=form,
        save=save,
        concerns=grant,
        title=f"Void {grant}?",
        submit=f"Void, taking back {left}",
        crumbs=[list_crumb(CreditGrant), row_crumb(grant)],
        back=change_url(grant),
        template="admin/invoices/creditgrant/void.html",
        left=left,
        grant=grant,
    )


# --- When it is low ---


class RuleForm(forms.Form):
    enabled = forms.BooleanField(label="Tell when it is low", required=False)
    currency = forms.CharField(max_length=3)
    low_below = forms.DecimalField(
        required=False,
        max_digits=40,
        decimal_places=4,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
        help_text="Low is less than this, once the running invoices are paid as they are now.",
    )
    top_up = forms.DecimalField(
        required=False,
        max_digits=40,
        decimal_places=4,
        widget=forms.TextInput(attrs={"inputmode": "decimal"}),
        help_text="How much more the event credit.low asks for: your system takes the money and grants the credit."
        " Empty: it only tells.",
    )

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data.get("enabled") and not self.errors and data["low_below"] is None:
            self.add_error("low_below", "Say below which amount it is low.")
        return data


def rule_page(model_admin: "admin.ModelAdmin[Any]", request: HttpRequest, customer_pk: int) -> HttpResponse:
    require(request.user.has_perm("invoices.change_creditrule"))
    customer = get_object_or_404(Customer, pk=customer_pk)
    rule = CreditRule.objects.filter(customer=customer).first()
    names = ("currency", "low_below", "top_up")
    has = {name: getattr(rule, name) for name in names} if rule else {"currency": settings.ACCOUNT_CURRENCY}
    form = RuleForm(posted(request), initial=has | {"enabled": rule is not None})

    def save() -> str:
        data = form.cleaned_data
        if not data["enabled"]:
            if rule is not None:
                drop_credit_rule(customer)
            return f"Nobody is told when the credit of {customer} is low."
        code = data["currency"].strip().upper()
        made = set_credit_rule(customer, currency=code, low_below=data["low_below"], top_up=data["top_up"])
        return f"The credit of {customer} is low below {format_money(made.low_below, made.currency)}."

    return form_page(
        model_admin,
        request,
        form=form,
        save=save,
        concerns=customer,
        title="Low credit",
        submit="Save",
        crumbs=[list_crumb(Customer), row_crumb(customer)],
        back=f"{change_url(customer)}#credits",
    )
