"""Groups: those of the roles are as the table says, others are what owners make of them."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django_otp.plugins.otp_totp.admin import TOTPDeviceAdmin
from django_otp.plugins.otp_totp.models import TOTPDevice

from meters.staff_groups import is_owner
from meters.staff_roles import StaffRole

admin.site.unregister(Group)
# Its page shows secrets, and sets them. Ours are those of a person, who sets up their own.
if admin.site.is_registered(TOTPDevice):
    assert TOTPDeviceAdmin
    admin.site.unregister(TOTPDevice)


@admin.register(Group)
class StaffGroupAdmin(GroupAdmin):
    list_display = ["name", "follows"]

    @admin.display(description="permissions")
    def follows(self, group: Group) -> str:
        return "Those of the role (docs/security.md)" if _is_role(group) else "Its own"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_add_permission(request)) and is_owner(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of a role nothing is changed here: the next `migrate` would take it back."""
        return bool(super().has_change_permission(request, obj)) and is_owner(request.user) and not _is_role(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and is_owner(request.user) and not _is_role(obj)


def _is_role(group: Group | None) -> bool:
    return group is not None and group.name in StaffRole.values
