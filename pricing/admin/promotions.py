"""What can be taken off bills: in the order in which it is, with who has it."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.safestring import SafeString

from meters.admin.base import KeepsRows, ServiceAdmin, ServiceForm
from meters.admin.fields import NumberField
from pricing.admin.applied_promotions import apply_page, end_page
from pricing.admin.order_column import InOrder
from pricing.admin.promotion_words import applied_chip, offer_chip
from pricing.models import Promotion, account_currency
from pricing.promotion_words import limit_words, what_words
from pricing.promotions import promotion_faults, save_promotion

FIELDS = [
    *("key", "name", "code", "kind", "percent", "amount", "currency", "product_items"),
    *("periods", "cap", "starts_on", "ends_on", "enabled"),
]
CUSTOMERS_SHOWN = 100


class PromotionForm(ServiceForm):
    percent = NumberField(help_text="For example 20.")
    amount = NumberField(label="Amount off", help_text="In each period, never more than the bill.")
    cap = NumberField(
        label="At most, in all", help_text="What one customer gets off, over all periods. Empty: no limit."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A lower-case one, or one with blanks around it, is meant as well.
        self.fields["currency"] = forms.CharField(
            required=False,
            max_length=20,
            help_text="Of the amount and the cap; invoices in others get nothing off.",
        )
        self.fields["periods"].help_text = "How many of a plan's periods get it. Empty: all of them, without end."
        if not self.instance.pk:
            self.initial.setdefault("currency", account_currency())

    def clean(self) -> dict[str, Any] | None:
        """Where a field is no good in itself, the service is not asked: tells what else is wrong all the same."""
        data = super().clean()
        if self.errors and "kind" in self.cleaned_data and not self.instance.pk:
            for name, texts in promotion_faults(self._changes()).items():
                if name in self.fields and name not in self.errors:
                    self.add_error(name, texts)
        return data

    def call_service(self) -> Promotion:
        return save_promotion(self.instance if self.instance.pk else None, changes=self._changes())

    def _changes(self) -> dict[str, Any]:
        data = {name: self.cleaned_data[name] for name in FIELDS if name in self.cleaned_data}
        # Only the field of the chosen kind counts: what is left in the other was never meant.
        data["amount" if data.get("kind") == Promotion.Kind.PERCENT else "percent"] = None
        return data

    def _save_m2m(self) -> None:
        """Written by the service already."""


@admin.register(Promotion)
class PromotionAdmin(ServiceAdmin, KeepsRows, InOrder[Promotion]):
    form = PromotionForm
    change_form_template = "admin/pricing/promotion/change_form.html"
    change_list_template = "admin/pricing/promotion/change_list.html"
    list_display = ["name", "what", "limits", "code", "state", "customer_count", "moves"]
    search_fields = ["key", "name", "code"]
    list_filter = ["enabled"]
    show_facets = admin.ShowFacets.NEVER

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Promotion]":
        found = super().get_queryset(request).annotate(customers=Count("applied"))
        return found.prefetch_related("product_items")

    def get_fields(self, request: HttpRequest, obj: Promotion | None = None) -> Any:
        return FIELDS

    def get_readonly_fields(self, request: HttpRequest, obj: Promotion | None = None) -> Any:
        return ["key"] if obj else []

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["widget"] = forms.CheckboxSelectMultiple
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    @admin.display(description="what")
    def what(self, promotion: Promotion) -> str:
        return what_words(promotion)

    @admin.display(description="limits")
    def limits(self, promotion: Promotion) -> str:
        return limit_words(promotion)

    @admin.display(description="state")
    def state(self, promotion: Promotion) -> SafeString:
        return offer_chip(promotion, timezone.localdate())

    @admin.display(description="customers")
    def customer_count(self, promotion: Any) -> int:
        return int(promotion.customers)

    def response_add(self, request: HttpRequest, obj: Promotion, post_url_continue: str | None = None) -> HttpResponse:
        response = super().response_add(request, obj, post_url_continue)
        self.message_user(request, "It is taken off after all others; the list changes the order.", messages.INFO)
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        promotion = self.get_object(request, object_id)
        if promotion is not None and request.user.has_perm("pricing.view_appliedpromotion"):
            applied = promotion.applied.select_related("customer").order_by("-starts_on", "-pk")
            today = timezone.localdate()
            context = {
                "applied": [(row, applied_chip(row, today)) for row in applied[:CUSTOMERS_SHOWN]],
                "applied_count": applied.count(),
            }
            extra_context = {**context, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra_context)

    # --- Giving it to a customer, and ending that ---

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("apply/<int:customer_pk>/", view(self.apply_view), name="pricing_promotion_apply"),
            path("applied/<int:pk>/end/", view(self.end_view), name="pricing_promotion_end"),
            *super().get_urls(),
        ]

    def apply_view(self, request: HttpRequest, customer_pk: int) -> HttpResponse:
        return apply_page(self, request, customer_pk)

    def end_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return end_page(self, request, pk)
