"""Sessions by the vendor's links, for staff: who is in, and out with them."""

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from meters.admin.base import ModelAdmin, ReadOnly, chip, instant
from portal.guests.sessions import revoke_portal_session, session_state
from portal.models import PortalSession

if TYPE_CHECKING:
    from django.db.models import QuerySet

STATES = {
    "waiting": ("Link not used", "busy"),
    "active": ("Active", "good"),
    "expired": ("Expired", "quiet"),
    "revoked": ("Revoked", "quiet"),
}


@admin.register(PortalSession)
class PortalSessionAdmin(ReadOnly, ModelAdmin[PortalSession]):
    list_display = ["customer", "member", "role", "state", "used", "used_from", "until"]
    list_filter = ["role"]
    list_select_related = ["customer"]
    search_fields = ["customer__key", "customer__name", "member"]
    show_full_result_count = False
    fields = ["customer", "member", "role", "state", "page", "invoice", "return_url", "api_key", "made", "used"]
    fields += ["used_from", "used_with", "seen", "until", "ended", "revoked_by"]
    readonly_fields = ["state", "made", "used", "seen", "until", "ended"]
    actions = ["revoke_sessions"]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Nobody changes a session; who has Django's "change" may revoke it."""
        return request.user.has_perm("portal.change_portalsession")

    @admin.display(description="state")
    def state(self, session: PortalSession) -> SafeString:
        return chip(*STATES[session_state(session, now=timezone.now())])

    @admin.display(description="made", ordering="created_at")
    def made(self, session: PortalSession) -> str:
        return instant(session.created_at)

    @admin.display(description="used")
    def used(self, session: PortalSession) -> str:
        return instant(session.used_at)

    @admin.display(description="last seen")
    def seen(self, session: PortalSession) -> str:
        return instant(session.last_seen_at)

    @admin.display(description="until", ordering="expires_at")
    def until(self, session: PortalSession) -> str:
        return instant(session.expires_at)

    @admin.display(description="revoked")
    def ended(self, session: PortalSession) -> str:
        return instant(session.revoked_at)

    @admin.action(description="Revoke the selected sessions", permissions=["revoke"])
    def revoke_sessions(self, request: HttpRequest, queryset: "QuerySet[PortalSession]") -> None:
        sessions = list(queryset.filter(revoked_at=None))
        for session in sessions:
            revoke_portal_session(session, actor=request.user.get_username(), now=timezone.now())
            self.log_change(request, session, "Revoked.")
        self.message_user(request, f"Sessions revoked: {len(sessions)}. They open nothing any more.", messages.SUCCESS)
