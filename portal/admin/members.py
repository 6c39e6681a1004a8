"""Who may sign in for which customer. What staff change is in the log that the customer's team sees."""

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from meters.admin.base import ModelAdmin
from portal.models import Membership
from portal.people.team import log, person_words
from portal.roles import Role


@admin.register(Membership)
class MembershipAdmin(ModelAdmin[Membership]):
    list_display = ["user", "customer", "role", "created_at"]
    list_filter = ["role"]
    list_select_related = ["user", "customer"]
    search_fields = ["user__username", "user__email", "customer__key", "customer__name"]
    autocomplete_fields = ["user", "customer"]

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[str]:
        """Whose membership it is stays: another one is another row."""
        return ["user", "customer"] if obj else []

    @transaction.atomic
    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            _log(request, obj, "added {person} as {role}")
        elif "role" in form.changed_data:
            _log(request, obj, "made {person} {role}")

    @transaction.atomic
    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        _log(request, obj, "removed {person}, who was {role}")
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Membership]") -> None:
        for member in queryset.select_related("user", "customer"):
            _log(request, member, "removed {person}, who was {role}")
        super().delete_queryset(request, queryset)


def _log(request: HttpRequest, member: Membership, what: str) -> None:
    said = what.format(person=person_words(member.user), role=Role(member.role).label)
    log(member.customer, said, actor=f"{request.user.get_username()} (staff)", now=timezone.now())
