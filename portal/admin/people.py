"""Accounts: Django's own page of them, with where a person is signed in, and an end to it; and wrong passwords.

Who may change accounts may not thereby become more than they are: those of staff are the business of owners, as is
who is one and in which group.
"""

from typing import Any

from axes.models import AccessAttempt
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from meters.admin.base import ModelAdmin, ReadOnly, TabularInline, instant, link, require
from meters.staff_groups import is_owner
from portal.models import BrowserSession
from portal.people.browser_sessions import end_sessions, this_session
from portal.people.devices import device_words
from portal.staff.second_factor import device_of, is_required, is_staff, remove_device

admin.site.unregister(User)


class SessionInline(TabularInline[BrowserSession, User]):
    """Who ticks "delete" signs that browser out."""

    model = BrowserSession
    verbose_name_plural = "Signed in at"
    extra = 0
    fields = ["device", "address", "began", "seen"]
    readonly_fields = ["device", "address", "began", "seen"]

    def get_queryset(self, request: HttpRequest) -> "QuerySet[BrowserSession]":
        return super().get_queryset(request).filter(expire_date__gt=timezone.now()).order_by("-last_seen_at")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    # Who may change a person may end what that person has open.
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("auth.view_user") or request.user.has_perm("auth.change_user")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("auth.change_user")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("auth.change_user")

    @admin.display(description="browser")
    def device(self, session: BrowserSession) -> str:
        return device_words(session.agent)

    @admin.display(description="since")
    def began(self, session: BrowserSession) -> str:
        return instant(session.since)

    @admin.display(description="last seen")
    def seen(self, session: BrowserSession) -> str:
        return instant(session.last_seen_at)


# What makes somebody staff, and which.
OF_OWNERS = ("is_staff", "is_superuser", "groups", "user_permissions")


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    inlines = [SessionInline]
    actions = ["end_all_sessions"]

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return super().get_inlines(request, obj) if obj else []

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and _may_manage(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and _may_manage(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        shown = [*super().get_readonly_fields(request, obj), *(["second_factor"] if obj else [])]
        return shown if is_owner(request.user) else [*shown, *OF_OWNERS]

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or not is_staff(obj):
            return fieldsets
        return [*fieldsets[:1], ("Second factor", {"fields": ["second_factor"]}), *fieldsets[1:]]

    @admin.display(description="device")
    def second_factor(self, user: User) -> SafeString | str:
        device = device_of(user)
        if device is None:
            return "None"
        used = f", last used {instant(device.last_used_at)}" if device.last_used_at else ""
        words = f"An authenticator app since {instant(device.created_at)}{used}. "
        return format_html("{}{}", words, link(reverse("admin:auth_user_second_factor", args=[user.pk]), "Reset it…"))

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.reset_view)
        return [path("<int:pk>/second-factor/", view, name="auth_user_second_factor"), *super().get_urls()]

    def reset_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """For a person who has lost the device and the recovery codes."""
        require(is_owner(request.user))
        person = get_object_or_404(User, pk=pk)
        back = reverse("admin:auth_user_change", args=[pk])
        if request.method == "POST":
            if remove_device(person, now=timezone.now()):
                self.log_change(request, person, "Reset the second factor.")
                self.message_user(request, f"{person} has no second factor any more, and is signed out.")
            return redirect(back)
        context = {
            **self.admin_site.each_context(request),
            "title": "Reset the second factor",
            "person": person,
            "has_device": device_of(person) is not None,
            "is_required": is_required(),
            "submit": "Reset it",
            "back": back,
            "crumbs": [("Users", reverse("admin:auth_user_changelist")), (person, back)],
        }
        return TemplateResponse(request, "admin/second_factor/reset.html", context)

    @admin.action(description="End all sessions", permissions=["change"])
    def end_all_sessions(self, request: HttpRequest, queryset: "QuerySet[User]") -> None:
        """Their own, too, where staff are among those chosen."""
        ended = 0
        for user in queryset:
            if not self.has_change_permission(request, user):
                self.message_user(request, f"{user} is staff: owners end those sessions.", messages.ERROR)
                continue
            ended += end_sessions(user, now=timezone.now())
            self.log_change(request, user, "Ended all sessions.")
        self.message_user(request, f"Sessions that were ended: {ended}.", messages.SUCCESS)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        answer = super().user_change_password(request, id, form_url)
        if request.method == "POST" and answer.status_code == 302 and (user := self.get_object(request, unquote(id))):
            end_sessions(user, now=timezone.now(), but=this_session(request))
        return answer


def _may_manage(request: HttpRequest, user: User | None) -> bool:
    return user is None or not is_staff(user) or is_owner(request.user)


@admin.register(AccessAttempt)
class WrongPasswordsAdmin(ReadOnly, ModelAdmin[AccessAttempt]):
    """Who removes a row opens the lock that it keeps."""

    list_display = ["username", "ip_address", "failures_since_start", "last"]
    search_fields = ["username", "ip_address"]
    fields = ["username", "ip_address", "device", "failures_since_start", "last"]
    readonly_fields = ["device", "last"]
    show_full_result_count = False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("axes.delete_accessattempt")

    @admin.display(description="browser")
    def device(self, tries: AccessAttempt) -> str:
        return device_words(tries.user_agent)

    @admin.display(description="last at", ordering="attempt_time")
    def last(self, tries: AccessAttempt) -> str:
        return instant(tries.attempt_time)
