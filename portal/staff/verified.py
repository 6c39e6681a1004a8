"""Whether a browser's session has shown the second factor, and the layer that keeps it from everything before."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import django_otp
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.http import urlencode
from django_otp.plugins.otp_totp.models import TOTPDevice

from portal.guests.seeing import READING
from portal.staff.second_factor import device_of, is_required, is_staff

# Of the session: when a code was given last.
GIVEN_KEY = "second-factor-at"
# So long after it a person may change what guards their own account.
FRESH = timedelta(minutes=15)

# What is open to a session that has a password only: the pages of the factor, the way out, and how pages look.
PAGES = "second_factor"
OPEN = {
    ("portal", "sign-out"),
    ("portal", "brand-logo"),
    ("portal", "brand-style"),
    ("admin", "logout"),
    ("", "healthz"),
}

Missing = Literal["code", "device"]


def missing(request: HttpRequest) -> Missing | None:
    """What the session of staff still lacks: a code of the device that the person has, or a device."""
    user: Any = request.user
    if not is_staff(user) or user.is_verified():
        return None
    if device_of(user) is not None:
        return "code"
    return "device" if is_required() else None


def note_verified(request: HttpRequest, device: TOTPDevice, *, now: datetime) -> None:
    """From now on the session is one of both factors. Its key is a new one."""
    request.session.cycle_key()
    django_otp.login(request, device)
    request.session[GIVEN_KEY] = now.isoformat()


def is_fresh(request: HttpRequest, *, now: datetime) -> bool:
    """Whether a code was given just now."""
    given = request.session.get(GIVEN_KEY)
    return given is not None and timedelta() <= now - datetime.fromisoformat(given) <= FRESH


class SecondFactor:
    """The middleware in front of all pages: until staff have shown their second factor, everything but its own pages
    leads there, so that no view has to think of it and no way to sign in goes past it."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, args: object, kwargs: object) -> HttpResponse | None:
        # Calls of the API and pages in frames know no person.
        if not hasattr(request, "user"):
            return None
        match = request.resolver_match
        assert match is not None
        name = match.url_name or ""
        is_its_own = match.app_name == "admin" and name.startswith(PAGES)
        if is_its_own or (match.app_name, name) in OPEN or (lacks := missing(request)) is None:
            return None
        page = resolve_url(f"admin:{PAGES}_code" if lacks == "code" else f"admin:{PAGES}_set_up")
        if request.method in READING and not getattr(request, "htmx", False):
            page = f"{page}?{urlencode({'next': request.get_full_path()})}"
        if getattr(request, "htmx", False):
            return HttpResponse(status=401, headers={"HX-Redirect": page})
        return redirect(page)
