"""The API of `portal`."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from portal.api.embed_tokens import EmbedTokensView, EmbedTokenView
from portal.api.sessions import CustomerPortalSessionsView, PortalSessionViewSet

router = SimpleRouter(trailing_slash=False)
router.register("portal-sessions", PortalSessionViewSet, basename="portal-session")

urlpatterns = [
    # The customer's key, which may hold slashes.
    path("customers/<path:key>/portal-sessions", CustomerPortalSessionsView.as_view(), name="customer-portal-sessions"),
    path("customers/<path:key>/embed-tokens", EmbedTokensView.as_view(), name="embed-tokens"),
    path("customers/<path:key>/embed-tokens/<int:pk>", EmbedTokenView.as_view(), name="embed-token"),
    path("", include(router.urls)),
]
