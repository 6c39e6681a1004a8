from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from meters.admin.base import KeepsRows, ModelAdmin, ModelForm, ServiceForm, chip
from meters.keys import create_api_key, revoke
from meters.models import ApiKey


class NewApiKeyForm(ServiceForm):
    scopes = forms.MultipleChoiceField(
        choices=ApiKey.Scope.choices,
        initial=[ApiKey.Scope.INGEST],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one scope."},
    )

    def call_service(self) -> ApiKey:
        key, self.text = create_api_key(name=self.cleaned_data["name"], scopes=self.cleaned_data["scopes"])
        return key


class RenameForm(ModelForm[ApiKey]):
    pass


@admin.register(ApiKey)
class ApiKeyAdmin(KeepsRows, ModelAdmin[ApiKey]):
    list_display = ["name", "beginning", "scope_names", "created_at", "last_used_at", "state"]
    search_fields = ["name", "start"]
    actions = ["revoke_keys"]

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **({"form": RenameForm if obj else NewApiKeyForm} | kwargs))

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            return ["name", "scopes"]
        return ["name", "beginning", "scope_names", "created_at", "last_used_at", "state"]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        return ["beginning", "scope_names", "created_at", "last_used_at", "state"] if obj else []

    @admin.display(description="key", ordering="start")
    def beginning(self, key: ApiKey) -> str:
        return f"{key.start}…"

    @admin.display(description="scopes")
    def scope_names(self, key: ApiKey) -> str:
        return ", ".join(str(ApiKey.Scope(scope).label) for scope in key.scopes)

    @admin.display(description="state", ordering="revoked_at")
    def state(self, key: ApiKey) -> SafeString:
        return chip("Revoked", "quiet") if key.revoked_at else chip("In use", "good")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        # A new key is written by its form's service already.
        if change:
            super().save_model(request, obj, form, change)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        key = super().save_form(request, form, change)
        if not change:
            key.shown_once = form.text
        return key

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The only page that ever shows the key: an answer of its own, as a message would be stored in a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"The API key {obj.name}",
            "text": obj.shown_once,
            "key": obj,
        }
        return TemplateResponse(request, "admin/meters/apikey/created.html", context)

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke_keys(self, request: HttpRequest, queryset: "QuerySet[ApiKey]") -> None:
        keys = list(queryset.filter(revoked_at=None))
        for key in keys:
            revoke(key)
            self.log_change(request, key, "Revoked.")
        self.message_user(request, f"Keys revoked: {len(keys)}. They open nothing any more.", messages.SUCCESS)
