"""What the front page of the admin says of the audits: that the last one found something, or that there was none."""

from typing import Any

from django import template
from django.utils import timezone

from invoices.admin.audits import found_words, may_see
from invoices.auditing.runs import is_overdue, last_audit
from invoices.models import AuditRun
from meters.admin.base import instant

register = template.Library()


@register.inclusion_tag("admin/invoices/_audit_notice.html", takes_context=True)
def audit_notice(context: Any) -> dict[str, Any]:
    if not may_see(context["request"]):
        return {}
    last = last_audit()
    return {
        "run": last if last is not None and (last.found or last.status == AuditRun.Status.FAILED) else None,
        "found": found_words(last.found) if last is not None and last.found else "",
        "at": instant(last.started_at) if last is not None else "",
        "is_overdue": is_overdue(timezone.now()),
    }
