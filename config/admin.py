"""The staff admin's front page: Django's own site, in the order in which staff think."""

from http import HTTPStatus
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone

ORDER = {
    "meters": ["Meter", "Customer", "Event", "VoidRecord", "RejectedEvent", "ApiKey", "AuditRow"],
    "pricing": ["Plan", "ProductItem", "AssignmentRule", "Assignment", "AssignmentLog", "Promotion", "TaxRate"],
    "invoices": [
        "Invoice",
        "CreditNote",
        "BillingPolicy",
        "BrandVersion",
        "MailSetting",
        "Mail",
        "WebhookEndpoint",
        "WebhookDelivery",
        "FailingWork",
    ],
    "portal": ["Membership", "PortalPolicy", "PortalSession", "StaffView", "ReadKeyEvent"],
    "auth": [],
}


class TollmeterAdminSite(AdminSite):
    site_title = "Tollmeter"
    site_header = "Tollmeter"
    index_title = "Overview"

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        from invoices.branding import brand

        return super().each_context(request) | {"company_name": brand().name}

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        # Not at the top: the site is made before there are models.
        from meters.admin.rejected import recent_refusals

        return super().index(request, {"refusals": recent_refusals(request), **(extra_context or {})})

    def get_urls(self) -> list[Any]:
        from config.doctor.pages import health
        from portal.admin import second_factor

        page = path("health/", self.admin_view(health), {"site": self}, name="health")
        return [page, *second_factor.urls(self), *super().get_urls()]

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """A new password ends what the person has open elsewhere, as on the page of the portal."""
        from portal.people.browser_sessions import end_sessions, this_session

        answer = super().password_change(request, extra_context)
        if request.method == "POST" and answer.status_code == HTTPStatus.FOUND and request.user.is_authenticated:
            end_sessions(request.user, now=timezone.now(), but=this_session(request))
        return answer

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        apps: list[dict[str, Any]] = super().get_app_list(request, app_label)
        apps.sort(key=lambda app: _place(list(ORDER), app["app_label"]))
        for app in apps:
            app["models"].sort(key=lambda model: _place(ORDER.get(app["app_label"], []), model["object_name"]))
        return apps


def _place(order: list[str], name: str) -> int:
    """What is not in the order stays behind what is, in Django's order."""
    return order.index(name) if name in order else len(order)


class TollmeterAdminConfig(AdminConfig):
    default_site = "config.admin.TollmeterAdminSite"
