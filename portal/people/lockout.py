"""What happens after too many wrong passwords: words, and when it goes on."""

from typing import Any

from axes.models import AccessAttempt
from axes.utils import reset
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Max
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from portal.people.addresses import address_of

LONGEST_NAME = 255


def name_of(request: HttpRequest, credentials: dict[str, Any] | None) -> str:
    """Under which name a wrong password is counted."""
    given = (credentials or {}).get("username") or request.POST.get("username") or ""
    return str(given).replace("\0", "").strip().casefold()[:LONGEST_NAME]


def locked_out(
    request: HttpRequest, response: HttpResponse | None = None, credentials: dict[str, Any] | None = None
) -> HttpResponse:
    """Says so, and until when. It says the same of a name that nobody has."""
    tries = AccessAttempt.objects.filter(username=name_of(request, credentials), ip_address=address_of(request))
    last = tries.aggregate(last=Max("attempt_time"))["last"] or timezone.now()
    until = last + settings.AXES_COOLOFF_TIME
    seconds = max(int((until - timezone.now()).total_seconds()), 1)
    context = {"until": until, "minutes": -(-seconds // 60)}
    answer = render(request, "portal/locked_out.html", context, status=429)
    answer["Retry-After"] = str(seconds)
    add_never_cache_headers(answer)
    return answer


def unlock(user: User) -> None:
    """Has somebody who came in otherwise try passwords again."""
    reset(username=user.get_username().casefold())
