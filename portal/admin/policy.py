"""The page of the portal's policy."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from meters.admin.base import KeepsRows, ModelAdmin, add_errors, require
from portal.models import PortalPolicy
from portal.policy import portal_policy, set_portal_policy
from pricing.admin.form_page import posted

LINES = {"class": "vLargeTextField", "rows": 4, "spellcheck": "false"}


class PolicyForm(forms.Form):
    return_origins = forms.CharField(
        label="Your own app",
        required=False,
        widget=forms.Textarea(attrs=LINES),
        help_text="Where the portal may lead back to that was opened by a link of your server: an address such as "
        "https://app.example a line, which stands for all of its pages.",
    )
    offers_read_keys = forms.BooleanField(
        label="Offer API access",
        required=False,
        help_text="Owners of a customer may make API keys that read its own usage and bills. Switched off, the page is "
        "gone; keys that are there go on working until you revoke them.",
    )

    def __init__(self, data: Any = None) -> None:
        policy = portal_policy()
        initial = {"return_origins": "\n".join(policy.return_origins), "offers_read_keys": policy.offers_read_keys}
        super().__init__(data, initial=initial)

    def changes(self) -> dict[str, Any]:
        return {**self.cleaned_data, "return_origins": self.cleaned_data["return_origins"].split()}


@admin.register(PortalPolicy)
class PortalPolicyAdmin(KeepsRows, ModelAdmin[PortalPolicy]):
    """One row, so the list is the page."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:portal_portalpolicy_changelist"))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        require(self.has_view_permission(request))
        may_change = self.has_change_permission(request)
        require(may_change or request.method != "POST")
        form = PolicyForm(posted(request))
        if not may_change:
            for field in form.fields.values():
                field.disabled = True
        if request.method == "POST" and form.is_valid():
            try:
                policy = set_portal_policy(changes=form.changes())
            except ValidationError as error:
                add_errors(form, error)
            else:
                self.log_change(request, policy, f"Changed: {', '.join(form.changed_data) or 'nothing'}")
                self.message_user(request, "Saved.", messages.SUCCESS)
                return HttpResponseRedirect(request.path)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Portal policy",
            "form": form,
            "may_change": may_change,
        }
        return TemplateResponse(request, "admin/portal/policy.html", context)
