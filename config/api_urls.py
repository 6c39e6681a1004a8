"""The API, version 1."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from meters.api.docs import docs

urlpatterns = [
    # Before the customers, whose keys may hold slashes.
    path("", include("portal.api.urls")),
    path("", include("meters.api.urls")),
    path("", include("pricing.api.urls")),
    path("", include("invoices.api.urls")),
    path("schema", SpectacularAPIView.as_view(), name="schema"),
    path("docs", docs, name="api-docs"),
]
