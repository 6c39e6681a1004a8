from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from meters.admin.base import KeepsRows, ModelAdmin, chip, instant, link
from pricing.admin.plan_status import status_chip
from pricing.explain import describe_rate
from pricing.models import Plan, PlanVersion, ProductItem, Rate
from pricing.plan_words import describe_filter
from pricing.product_items import rename_product_item

# Of prices on the page of an item: private plans may be many.
MOST_PRICES = 50


@dataclass(frozen=True, slots=True)
class PricedBy:
    """What an item costs in the active version of a plan."""

    plan: Plan
    status: SafeString
    where: str
    words: Sequence[str]


@admin.register(ProductItem)
class ProductItemAdmin(KeepsRows, ModelAdmin[ProductItem]):
    """Items come and go with the meter's tick "used for billing"; here they are renamed."""

    list_display = ["name", "meter_link", "unit", "state", "plan_count", "created"]
    list_select_related = ["meter"]
    search_fields = ["name", "meter__key"]
    fields = ["name", "meter_link", "unit", "state", "created"]
    readonly_fields = ["meter_link", "unit", "state", "created"]
    change_form_template = "admin/pricing/productitem/change_form.html"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> "QuerySet[ProductItem]":
        active = Q(rates__plan_version__status=PlanVersion.Status.ACTIVE)
        plans = Count("rates__plan_version", filter=active, distinct=True)
        return super().get_queryset(request).annotate(plans=plans)

    def save_model(self, request: HttpRequest, obj: ProductItem, form: Any, change: bool) -> None:
        rename_product_item(obj, name=obj.name)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        item = self.get_object(request, object_id) if request.user.has_perm("pricing.view_plan") else None
        context = _priced(item) if item else {}
        return super().change_view(request, object_id, form_url, {**context, **(extra_context or {})})

    @admin.display(description="meter", ordering="meter__key")
    def meter_link(self, item: ProductItem) -> SafeString:
        return link(reverse("admin:meters_meter_change", args=[item.meter_id]), item.meter.key)

    @admin.display(description="unit")
    def unit(self, item: ProductItem) -> str:
        return item.meter.unit or "units"

    @admin.display(description="state", ordering="retired_at")
    def state(self, item: ProductItem) -> SafeString:
        return chip("Retired", "quiet") if item.retired_at else chip("For sale", "good")

    @admin.display(description="created", ordering="created_at")
    def created(self, item: ProductItem) -> str:
        return instant(item.created_at)

    @admin.display(description="in plans", ordering="plans")
    def plan_count(self, item: Any) -> int:
        return int(item.plans)


def _priced(item: ProductItem) -> dict[str, Any]:
    rates = Rate.objects.filter(product_item=item, plan_version__status=PlanVersion.Status.ACTIVE)
    shown = rates.select_related("plan_version__plan__customer").order_by("plan_version__plan__key", "id")[:MOST_PRICES]
    return {"priced": [_priced_by(rate, item) for rate in shown], "priced_count": rates.count()}


def _priced_by(rate: Rate, item: ProductItem) -> PricedBy:
    version = rate.plan_version
    return PricedBy(
        plan=version.plan,
        status=status_chip(version.plan),
        where=describe_filter(rate.where),
        words=describe_rate(rate.parsed, unit=item.meter.unit, currency=version.currency),
    )
