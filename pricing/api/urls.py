"""The API of `pricing`."""

from typing import Any

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from pricing.api.assignments import AssignmentLogViewSet, AssignmentViewSet
from pricing.api.documents import PlanDocumentView
from pricing.api.plans import PlanViewSet
from pricing.api.product_items import ProductItemViewSet
from pricing.api.promotions import AppliedPromotionViewSet, PromotionViewSet
from pricing.api.rates import FeeViewSet, RateViewSet
from pricing.api.rules import RuleViewSet
from pricing.api.taxes import BillingProfileView, TaxRateViewSet
from pricing.api.versions import VersionViewSet

router = SimpleRouter(trailing_slash=False)
router.register("product-items", ProductItemViewSet, basename="product-item")
router.register("plans", PlanViewSet, basename="plan")
router.register("assignments", AssignmentViewSet, basename="assignment")
router.register("assignment-log", AssignmentLogViewSet, basename="assignment-log")
router.register("assignment-rules", RuleViewSet, basename="assignment-rule")
router.register("promotions", PromotionViewSet, basename="promotion")
router.register("applied-promotions", AppliedPromotionViewSet, basename="applied-promotion")
router.register("tax-rates", TaxRateViewSet, basename="tax-rate")

# `version` is a number, `draft` or `active`.
VERSION = "plans/<str:key>/versions/<str:version>"
ONE: dict[str, Any] = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
MANY: dict[str, Any] = {"get": "list", "post": "create"}
DROP: dict[str, Any] = {"post": "drop_override"}

urlpatterns = [
    path("plans/<str:key>/document", PlanDocumentView.as_view(), name="plan-document"),
    path("plans/<str:key>/versions", VersionViewSet.as_view(MANY), name="plan-versions"),
    path(VERSION, VersionViewSet.as_view(ONE), name="plan-version"),
    path(f"{VERSION}/differences", VersionViewSet.as_view({"get": "differences"}), name="plan-differences"),
    path(f"{VERSION}/drop-terms", VersionViewSet.as_view({"post": "drop_terms"}), name="plan-drop-terms"),
    path(f"{VERSION}/rates", RateViewSet.as_view(MANY), name="rates"),
    path(f"{VERSION}/rates/<int:pk>", RateViewSet.as_view(ONE), name="rate"),
    path(f"{VERSION}/rates/<int:pk>/drop-override", RateViewSet.as_view(DROP), name="rate-drop-override"),
    path(f"{VERSION}/fees", FeeViewSet.as_view(MANY), name="fees"),
    path(f"{VERSION}/fees/<str:fee>", FeeViewSet.as_view(ONE), name="fee"),
    path(f"{VERSION}/fees/<str:fee>/drop-override", FeeViewSet.as_view(DROP), name="fee-drop-override"),
    # The customer's key, which may hold slashes.
    path("billing-profiles/<path:customer>", BillingProfileView.as_view(), name="billing-profile"),
    path("", include(router.urls)),
]
