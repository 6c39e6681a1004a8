"""Tax rates: made, put on everybody or on single customers, retired. One that is on an invoice never changes."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils.safestring import SafeString

from meters.admin.base import KeepsRows, ModelAdmin, ServiceAdmin, ServiceForm, chip, instant, messages_of, require
from meters.admin.fields import NumberField
from meters.aggregation import plain
from pricing.admin.form_page import change_url
from pricing.models import TaxRate
from pricing.taxes import retire_tax_rate, save_tax_rate

NEVER_CHANGES = "Once a final invoice has it, key, name and percentage stay: retire it and make another."


class TaxRateForm(ServiceForm):
    percent = NumberField(min_value=0, max_value=1000, help_text="For example 19.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "percent" in self.fields:
            self.fields["percent"].required = True

    def call_service(self) -> TaxRate:
        names = ("key", "name", "percent", "is_default")
        data = {name: self.cleaned_data[name] for name in names if name in self.cleaned_data}
        return save_tax_rate(self.instance if self.instance.pk else None, changes=data)


@admin.register(TaxRate)
class TaxRateAdmin(ServiceAdmin, KeepsRows, ModelAdmin[TaxRate]):
    form = TaxRateForm
    change_form_template = "admin/pricing/taxrate_change_form.html"
    list_display = ["name", "percentage", "key", "whose", "state"]
    search_fields = ["key", "name"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[TaxRate]":
        return super().get_queryset(request).annotate(customers=Count("billing_profiles"))

    def get_fields(self, request: HttpRequest, obj: TaxRate | None = None) -> Any:
        fields = ["key", "name", "percent", "is_default"]
        return [*fields, "state", "whose", "created"] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: TaxRate | None = None) -> Any:
        return ["key", "state", "whose", "created"] if obj else []

    def has_change_permission(self, request: HttpRequest, obj: TaxRate | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.retired_at is None)

    @admin.display(description="percent", ordering="percent")
    def percentage(self, rate: TaxRate) -> str:
        return f"{plain(rate.percent)}%"

    @admin.display(description="charged to")
    def whose(self, rate: Any) -> str:
        own = f"{rate.customers} customer{'' if rate.customers == 1 else 's'} of its own" if rate.customers else ""
        if rate.retired_at:
            return "Nobody any more"
        if rate.is_default:
            return f"Everybody without taxes of their own{', and ' + own if own else ''}"
        return own or "Nobody yet"

    @admin.display(description="state", ordering="retired_at")
    def state(self, rate: TaxRate) -> SafeString:
        return chip("Retired", "quiet") if rate.retired_at else chip("In use", "good")

    @admin.display(description="created")
    def created(self, rate: TaxRate) -> str:
        return instant(rate.created_at)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        rate = self.get_object(request, object_id)
        if rate is not None:
            may = self.has_change_permission(request, rate)
            extra_context = {"may_retire": may, "never_changes": NEVER_CHANGES, **(extra_context or {})}
        return super().change_view(request, object_id, form_url, extra_context)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.retire_view)
        return [path("<int:pk>/retire/", view, name="pricing_taxrate_retire"), *super().get_urls()]

    def retire_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        require(self.has_change_permission(request))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        rate = get_object_or_404(TaxRate, pk=pk)
        try:
            retire_tax_rate(rate)
        except ValidationError as error:
            self.message_user(request, messages_of(error), messages.ERROR)
        else:
            done = f"{rate} is retired: no invoice that is still open has it."
            self.log_change(request, rate, done)
            self.message_user(request, done, messages.SUCCESS)
        return HttpResponseRedirect(change_url(rate))
