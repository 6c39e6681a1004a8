from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from meters.admin.base import KeepsRows, ModelAdmin, chip, link
from pricing.models import ProductItem


@admin.register(ProductItem)
class ProductItemAdmin(KeepsRows, ModelAdmin[ProductItem]):
    """Items come and go with the meter's tick "used for billing"; here they are renamed."""

    list_display = ["name", "meter_link", "unit", "state", "created_at"]
    list_select_related = ["meter"]
    search_fields = ["name", "meter__key"]
    fields = ["name", "meter_link", "unit", "state", "created_at"]
    readonly_fields = ["meter_link", "unit", "state", "created_at"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="meter", ordering="meter__key")
    def meter_link(self, item: ProductItem) -> SafeString:
        return link(reverse("admin:meters_meter_change", args=[item.meter_id]), item.meter.key)

    @admin.display(description="unit")
    def unit(self, item: ProductItem) -> str:
        return item.meter.unit or "units"

    @admin.display(description="state", ordering="retired_at")
    def state(self, item: ProductItem) -> SafeString:
        return chip("Retired", "quiet") if item.retired_at else chip("For sale", "good")
