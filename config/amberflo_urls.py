"""Amberflo's API as far as its clients need it, mounted below AMBERFLO_PREFIX.

Their Python client writes some addresses with a slash at the end. None is redirected: that would make a GET of a POST.
"""

from django.urls import path, re_path

from invoices.api.amberflo import InvoicesView, InvoiceView, OrdersView, OrderView
from meters.api.amberflo import CustomersView, CustomerView, IngestView
from meters.api.amberflo_base import NothingLikeIt
from meters.api.amberflo_usage import UsageBatchView, UsageOfAllView, UsageView
from portal.api.amberflo import SessionView
from pricing.api.amberflo import PricingListView, PricingView

PRICING = "payments/pricing/amberflo"
INVOICES = "payments/billing/customer-product-invoice"

urlpatterns = [
    re_path(r"^ingest/?$", IngestView.as_view()),
    re_path(r"^customers/?$", CustomersView.as_view()),
    path("customers/<path:key>", CustomerView.as_view()),
    re_path(r"^usage/?$", UsageView.as_view()),
    re_path(r"^usage/batch/?$", UsageBatchView.as_view()),
    re_path(r"^usage/all/?$", UsageOfAllView.as_view()),
    re_path(rf"^{PRICING}/customer-pricing/?$", PricingView.as_view()),
    re_path(rf"^{PRICING}/customer-pricing/list/?$", PricingListView.as_view()),
    re_path(rf"^{PRICING}/customer-prepaid/?$", OrderView.as_view()),
    re_path(rf"^{PRICING}/customer-prepaid/list/?$", OrdersView.as_view()),
    re_path(rf"^{INVOICES}/?$", InvoiceView.as_view()),
    re_path(rf"^{INVOICES}/all/?$", InvoicesView.as_view()),
    re_path(r"^session/?$", SessionView.as_view()),
    path("<path:rest>", NothingLikeIt.as_view()),
]
