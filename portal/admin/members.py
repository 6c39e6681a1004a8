"""Who may sign in for which customer."""

from django.contrib import admin

from meters.admin.base import ModelAdmin
from portal.models import Membership


@admin.register(Membership)
class MembershipAdmin(ModelAdmin[Membership]):
    list_display = ["user", "customer", "role", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "customer"]
    search_fields = ["user__username", "user__email", "customer__key", "customer__name"]
    autocomplete_fields = ["user", "customer"]
