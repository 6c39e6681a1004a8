"""Where everything is mounted: the API, the admin, the portal."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from config import dropins
from config.health import healthz
from config.watching.figures import metrics

handler400 = "config.errors.bad_request"
handler404 = "config.errors.not_found"
handler500 = "config.errors.server_error"

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", healthz, name="healthz"),
    path("metrics", metrics, name="metrics"),
    path("admin/", admin.site.urls),
    path("v1/", include("config.api_urls")),
    *dropins.patterns(),
    path("", include("portal.urls")),
]
