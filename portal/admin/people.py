"""Accounts: Django's own page of them, with where a person is signed in, and an end to it; and wrong passwords."""

from typing import Any

from axes.models import AccessAttempt
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from meters.admin.base import ModelAdmin, ReadOnly, TabularInline, instant
from portal.models import BrowserSession
from portal.people.browser_sessions import end_sessions, this_session
from portal.people.devices import device_words

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


@admin.register(User)
class PersonAdmin(UserAdmin):  # type: ignore[type-arg]
    inlines = [SessionInline]
    actions = ["end_all_sessions"]

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return super().get_inlines(request, obj) if obj else []

    @admin.action(description="End all sessions", permissions=["change"])
    def end_all_sessions(self, request: HttpRequest, queryset: "QuerySet[User]") -> None:
        """Their own, too, where staff are among those chosen."""
        ended = 0
        for user in queryset:
            ended += end_sessions(user, now=timezone.now())
            self.log_change(request, user, "Ended all sessions.")
        self.message_user(request, f"Sessions that were ended: {ended}.", messages.SUCCESS)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        answer = super().user_change_password(request, id, form_url)
        if request.method == "POST" and answer.status_code == 302 and (user := self.get_object(request, unquote(id))):
            end_sessions(user, now=timezone.now(), but=this_session(request))
        return answer


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
