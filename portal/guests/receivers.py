"""What ends when somebody signs in or out."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.http import HttpRequest
from django.utils import timezone

from portal.guests.looking_on import end_look
from portal.guests.seeing import forget_guest, look_of
from portal.models import StaffView


def connect() -> None:
    user_logged_in.connect(_signed_in, dispatch_uid="portal-signed-in")
    user_logged_out.connect(_signed_out, dispatch_uid="portal-signed-out")


def _signed_in(request: HttpRequest | None, **_: Any) -> None:
    """Django keeps what a session holds of before the sign-in; a guest's customer must not be among it."""
    if request is not None and hasattr(request, "session"):
        forget_guest(request)


def _signed_out(request: HttpRequest | None, **_: Any) -> None:
    if request is not None and hasattr(request, "session") and (look := look_of(request)):
        end_look(look, StaffView.End.SIGNED_OUT, now=timezone.now())
