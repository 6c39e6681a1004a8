"""The admin's page of the doctor: as quick as the slowest check, and never slower than a lane may be."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from config.doctor.checks import CHECKS
from config.doctor.findings import Check, Line, examine, summary
from meters.admin.base import instant, require

# Who reloads the page, or opens it beside others, is shown what was seen just now: checks that hang are not heaped up.
FRESH_SECONDS = 5.0


class Latest:
    def __init__(self, checks: Sequence[Check]) -> None:
        self._checks = checks
        self._guard = threading.Lock()
        self._lines: list[Line] = []
        self._until = 0.0

    def lines(self) -> list[Line]:
        with self._guard:
            if time.monotonic() >= self._until:
                self._lines = examine(self._checks)
                self._until = time.monotonic() + FRESH_SECONDS
            return self._lines


latest = Latest(CHECKS)


@require_safe
def health(request: HttpRequest, site: AdminSite) -> TemplateResponse:
    require(request.user.has_perm("meters.view_heartbeat"))
    lines = latest.lines()
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": "Health",
        "lines": lines,
        "summary": summary(lines),
        "at": instant(timezone.now()),
    }
    return TemplateResponse(request, "admin/health.html", context)
