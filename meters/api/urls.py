"""The API of `meters`."""

from django.urls import include, path
from rest_framework.routers import SimpleRouter

from meters.api import schema  # noqa: F401 (registers with drf-spectacular)
from meters.api.audit_log import AuditLogViewSet
from meters.api.event_log import EventView
from meters.api.events import EventsView
from meters.api.resources import CustomerViewSet, MeterViewSet
from meters.api.usage import UsageView
from meters.api.voids import UnvoidView, VoidView

router = SimpleRouter(trailing_slash=False)
router.register("customers", CustomerViewSet, basename="customer")
router.register("audit-log", AuditLogViewSet, basename="audit-log")
router.register("meters", MeterViewSet, basename="meter")

urlpatterns = [
    path("events", EventsView.as_view(), name="events"),
    path("events/void", VoidView.as_view(), name="void"),
    path("events/unvoid", UnvoidView.as_view(), name="unvoid"),
    # The key of a customer, and an id; both may hold slashes.
    path("events/<path:path>", EventView.as_view(), name="event"),
    path("usage", UsageView.as_view(), name="usage"),
    path("", include(router.urls)),
]
