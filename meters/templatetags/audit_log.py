"""What happened to an object, on its history page; and the way there from pages without one."""

from typing import Any

from django import template
from django.db import models
from django.urls import reverse
from django.utils.http import urlencode

from meters.audit_log.reading import history_of, tables_seen
from meters.audit_log.words import entries_of

register = template.Library()

PERMISSION = "meters.view_auditrow"
AT_ONCE = 50


@register.inclusion_tag("admin/meters/auditrow/_history.html", takes_context=True)
def audit_history(context: dict[str, Any], shown: models.Model) -> dict[str, Any]:
    """The changes of an object and of what belongs to it, as far as who looks may see them."""
    request = context["request"]
    if not request.user.has_perm(PERMISSION):
        return {"may_see": False}
    asked = request.GET.get("before", "")
    before = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else None
    rows = history_of(
        shown._meta.db_table,
        str(shown.pk),
        seen=tables_seen(request.user.has_perm),
        limit=AT_ONCE + 1,
        before=before,
    )
    return {
        "may_see": True,
        "entries": entries_of(rows[:AT_ONCE]),
        "older": rows[AT_ONCE - 1].pk if len(rows) > AT_ONCE else None,
        "is_older": before is not None,
    }


@register.inclusion_tag("admin/meters/auditrow/_link.html", takes_context=True)
def audit_link(context: dict[str, Any], table: str) -> dict[str, Any]:
    """To the changes of a table that has a page and no object's page."""
    may_see = context["request"].user.has_perm(PERMISSION)
    return {"address": f"{list_address()}?{urlencode({'table': table})}" if may_see else ""}


def list_address() -> str:
    return reverse("admin:meters_auditrow_changelist")
