"""API keys for staff: made, limited, rotated, revoked. A key is shown once, on a page of its own."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from meters import rate_limit
from meters.admin.base import KeepsRows, ModelAdmin, ServiceAdmin, ServiceForm, add_errors, chip, instant, link, require
from meters.keys import MAX_OVERLAP, OVERLAP, change_api_key, create_api_key, revoke, rotate, state
from meters.models import ApiKey
from meters.staff_groups import roles_within
from meters.staff_roles import StaffRole

HOUR = timedelta(hours=1)
EMPTY = "—"


class NewApiKeyForm(ServiceForm):
    scopes = forms.MultipleChoiceField(
        choices=ApiKey.Scope.choices,
        initial=[ApiKey.Scope.INGEST],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one scope."},
    )
    role = forms.ChoiceField(
        help_text="What its scopes open is bounded by what staff of this role may do, and that by what you may."
    )
    # Those that the person who fills it in may give away.
    roles: Sequence[StaffRole] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["role"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [(role.value, role.label) for role in self.roles]
        field.initial = self.roles[0].value if self.roles else None

    def call_service(self) -> ApiKey:
        key, self.text = create_api_key(**self.cleaned_data)
        return key


class ApiKeyForm(ServiceForm):
    def call_service(self) -> ApiKey:
        return change_api_key(self.instance, changes={name: self.cleaned_data[name] for name in self.changed_data})


class RotateForm(forms.Form):
    overlap = forms.IntegerField(
        label="Hours of overlap",
        min_value=0,
        max_value=MAX_OVERLAP // HOUR,
        initial=OVERLAP // HOUR,
        help_text="For so long the old key works beside the new one, and never longer than it would have.",
    )


@admin.register(ApiKey)
class ApiKeyAdmin(ServiceAdmin, KeepsRows, ModelAdmin[ApiKey]):
    list_display = ["name", "beginning", "whose", "scope_names", "role", "state", "last_used"]
    list_filter = ["role"]
    list_select_related = ["customer"]
    search_fields = ["name", "start", "customer__key"]
    actions = ["rotate_key", "revoke_keys"]
    autocomplete_fields = ["customer"]

    def get_form(self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **({"form": ApiKeyForm if obj else NewApiKeyForm} | kwargs))
        if obj is None:
            form.roles = roles_within(request.user)
        return form

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            return ["name", "scopes", "role", "customer", "expires_at", "rate_limit"]
        return ["name", "expires_at", "rate_limit", *self.get_readonly_fields(request, obj)]

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            return []
        shown = ["state", "beginning", "scope_names", "role", "whose", "burst", "created", "last_used"]
        return [*shown, *(["before"] if obj.rotated_from_id else []), *(["after"] if obj.rotated_to.exists() else [])]

    def get_urls(self) -> Any:
        page = self.admin_site.admin_view(self.rotate_page)
        return [path("<int:pk>/rotate/", page, name="meters_apikey_rotate"), *super().get_urls()]

    @admin.display(description="key", ordering="start")
    def beginning(self, key: ApiKey) -> str:
        return f"{key.start}…"

    @admin.display(description="scopes")
    def scope_names(self, key: ApiKey) -> str:
        return ", ".join(str(ApiKey.Scope(scope).label) for scope in key.scopes)

    @admin.display(description="of", ordering="customer__key")
    def whose(self, key: ApiKey) -> str:
        return str(key.customer) if key.customer else "All customers"

    @admin.display(description="state", ordering="revoked_at")
    def state(self, key: ApiKey) -> SafeString:
        match state(key, now=timezone.now()):
            case "revoked":
                return chip("Revoked", "quiet")
            case "expired":
                return chip("Expired", "quiet")
            case "expires":
                return chip(f"In use until {instant(key.expires_at)}", "busy")
            case _:
                return chip("In use", "good")

    @admin.display(description="last used", ordering="last_used_at")
    def last_used(self, key: ApiKey) -> str:
        return instant(key.last_used_at) or "Never"

    @admin.display(description="created", ordering="created_at")
    def created(self, key: ApiKey) -> str:
        return instant(key.created_at)

    @admin.display(description="requests")
    def burst(self, key: ApiKey) -> str:
        limit = rate_limit.limit_of(key)
        if limit is None:
            return "Any number"
        return f"{limit:,} a second, of which {rate_limit.burst(limit):,} may come at once"

    @admin.display(description="takes the place of")
    def before(self, key: ApiKey) -> SafeString | str:
        return self._link(key.rotated_from)

    @admin.display(description="replaced by")
    def after(self, key: ApiKey) -> SafeString | str:
        return self._link(key.rotated_to.first())

    def _link(self, key: ApiKey | None) -> SafeString | str:
        return link(reverse("admin:meters_apikey_change", args=[key.pk]), key) if key else EMPTY

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        key = super().save_form(request, form, change)
        if not change:
            key.shown_once = form.text
        return key

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._show_once(request, obj, obj.shown_once)

    def _show_once(self, request: HttpRequest, key: ApiKey, text: str, old: ApiKey | None = None) -> HttpResponse:
        """The only page that ever shows the key: an answer of its own, as a message would be stored in a cookie."""
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"The API key {key.name}",
            "text": text,
            "key": key,
            "old": old,
            "old_ends": instant(old.expires_at) if old else "",
        }
        return TemplateResponse(request, "admin/meters/apikey/created.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        key = self.get_object(request, object_id)
        may = isinstance(key, ApiKey) and self._may_rotate(request, key) and self._is_rotatable(key)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "may_rotate": may})

    def _may_rotate(self, request: HttpRequest, key: ApiKey | None = None) -> bool:
        """Who rotates a key is shown one that opens as much, so nobody rotates one of a role beyond their own."""
        may = self.has_change_permission(request) and self.has_add_permission(request)
        return may and (key is None or key.role in roles_within(request.user))

    def _is_rotatable(self, key: ApiKey) -> bool:
        return state(key, now=timezone.now()) in ("in_use", "expires") and not key.rotated_to.exists()

    def rotate_page(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Asks for the overlap, and then shows the new key once."""
        require(self._may_rotate(request))
        key = ApiKey.objects.filter(pk=pk).first()
        if key is None:
            raise Http404
        require(self._may_rotate(request, key))
        form = RotateForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            try:
                new, text = rotate(key, overlap=form.cleaned_data["overlap"] * HOUR)
            except ValidationError as error:
                add_errors(form, error)
            else:
                self.log_change(request, key, f"Rotated: {new} takes its place.")
                self.log_addition(request, new, f"Takes the place of {key}.")
                key.refresh_from_db()
                return self._show_once(request, new, text, key)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Rotate {key}",
            "key": key,
            "form": form,
            "life": instant(key.expires_at),
        }
        return TemplateResponse(request, "admin/meters/apikey/rotate.html", context)

    @admin.action(description="Rotate the selected key…", permissions=["change"])
    def rotate_key(self, request: HttpRequest, queryset: "QuerySet[ApiKey]") -> HttpResponse | None:
        keys = list(queryset[:2])
        if len(keys) == 1:
            return HttpResponseRedirect(reverse("admin:meters_apikey_rotate", args=[keys[0].pk]))
        self.message_user(request, "Rotate one key at a time: each new one is shown once.", messages.ERROR)
        return None

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke_keys(self, request: HttpRequest, queryset: "QuerySet[ApiKey]") -> None:
        keys = list(queryset.filter(revoked_at=None))
        for key in keys:
            revoke(key)
            self.log_change(request, key, "Revoked.")
        self.message_user(request, f"Keys revoked: {len(keys)}. They open nothing any more.", messages.SUCCESS)
