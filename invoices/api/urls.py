"""The API of `invoices`."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from invoices.api.alerts import AlertFiringViewSet, AlertViewSet
from invoices.api.backtests import BacktestViewSet
from invoices.api.credits import CreditBalanceView, CreditEntryViewSet, CreditRuleView, CreditViewSet
from invoices.api.estimates import PlanEstimateView
from invoices.api.papers import AS_PDF
from invoices.api.policy import BillingPolicyView, PlanPolicyView
from invoices.api.settling import CreditNoteViewSet
from invoices.api.statements import StatementView
from invoices.api.views import InvoiceViewSet
from invoices.api.webhooks import WebhookDeliveryViewSet, WebhookEndpointViewSet

router = SimpleRouter(trailing_slash=False)
router.register("invoices", InvoiceViewSet, basename="invoice")
router.register("credits", CreditViewSet, basename="credit")
router.register("credit-entries", CreditEntryViewSet, basename="credit-entry")
router.register("alerts", AlertViewSet, basename="alert")
router.register("alert-firings", AlertFiringViewSet, basename="alert-firing")
router.register("webhook-endpoints", WebhookEndpointViewSet, basename="webhook-endpoint")
router.register("webhook-deliveries", WebhookDeliveryViewSet, basename="webhook-delivery")

BACKTESTS = "plans/<str:key>/backtests"

urlpatterns = [
    path("billing-policy", BillingPolicyView.as_view(), name="billing-policy"),
    path("plans/<str:key>/billing", PlanPolicyView.as_view(), name="plan-billing"),
    path("plans/<str:key>/estimate", PlanEstimateView.as_view(), name="plan-estimate"),
    path(BACKTESTS, BacktestViewSet.as_view({"get": "list", "post": "create"}), name="backtests"),
    path(f"{BACKTESTS}/<int:pk>", BacktestViewSet.as_view({"get": "retrieve"}), name="backtest"),
    path(f"{BACKTESTS}/<int:pk>/rows", BacktestViewSet.as_view({"get": "rows"}), name="backtest-rows"),
    path("credit-notes", CreditNoteViewSet.as_view({"get": "list"}), name="credit-notes"),
    # A number may have slashes in it.
    path("credit-notes/<path:number>/pdf", CreditNoteViewSet.as_view({"get": "pdf"}, **AS_PDF), name="credit-note-pdf"),
    path("credit-notes/<path:number>", CreditNoteViewSet.as_view({"get": "retrieve"}), name="credit-note"),
    # The customer's key, which may hold slashes.
    path("credit-balances/<path:customer>", CreditBalanceView.as_view(), name="credit-balance"),
    path("statements/<path:customer>", StatementView.as_view(), name="statement"),
    path("credit-rules/<path:customer>", CreditRuleView.as_view(), name="credit-rule"),
    path("", include(router.urls)),
]
