"""The second factor of staff: an app that shows a new code every half minute (TOTP), and codes on paper beside it.

A person has one device. Wrong codes of either kind count against it: after each, the next is looked at twice as late
(django-otp), half an hour at most, so that somebody who has the password can keep its owner out for no longer.
"""

import io
import secrets
from base64 import b32encode
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

import segno
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.core.exceptions import ValidationError
from django.db import transaction
from django_otp.plugins.otp_totp.models import TOTPDevice

from invoices.branding import brand
from meters.keys import digest
from portal.models import RecoveryCode
from portal.people.browser_sessions import end_sessions

CODES = 10
DIGITS = 6
# 16 letters and digits of base 32, in fours.
CODE_BYTES = 10
# The wait after so many wrong codes is 2 ** 11 seconds, and stays so.
MOST_FAILURES = 12


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a code came to. `until`: before then no code is looked at. `left`: recovery codes, once one was used."""

    is_right: bool
    until: datetime | None = None
    left: int | None = None


def is_staff(user: AbstractBaseUser | AnonymousUser) -> bool:
    return isinstance(user, User) and (user.is_staff or user.is_superuser)


def is_required() -> bool:
    """Whether staff without a device have to set one up first; who has one has to use it in any case."""
    return bool(settings.STAFF_SECOND_FACTOR == "required")


def device_of(user: AbstractBaseUser | AnonymousUser) -> TOTPDevice | None:
    return TOTPDevice.objects.filter(user_id=user.pk, confirmed=True).order_by("pk").first()


def new_secret() -> str:
    """In hexadecimal, as devices are stored."""
    return secrets.token_hex(20)


def secret_text(secret: str) -> str:
    """As a person types it into an app: in base 32, in fours."""
    return _in_fours(b32encode(bytes.fromhex(secret)).decode())


def enrolment_url(user: User, secret: str) -> str:
    """What stands in the picture: https://github.com/google/google-authenticator/wiki/Key-Uri-Format"""
    issuer = brand().name.replace(":", "")
    fields = {"secret": b32encode(bytes.fromhex(secret)).decode(), "issuer": issuer, "digits": DIGITS, "period": 30}
    return f"otpauth://totp/{quote(f'{issuer}:{user.get_username()}')}?{urlencode(fields, quote_via=quote)}"


def picture(text: str) -> bytes:
    """A QR code as SVG, dark on light whatever the page is like, as apps read it best."""
    image = io.BytesIO()
    segno.make(text, error="m", micro=False).save(image, kind="svg", scale=5, dark="#000", light="#fff", xmldecl=False)
    return image.getvalue()


@transaction.atomic
def enrol(user: User, secret: str, code: str, *, now: datetime, but: str = "") -> tuple[TOTPDevice, list[str]]:
    """Makes the app with this secret the person's device, in place of another one, and answers it with its recovery
    codes, which are shown now and never again. All of the person's sessions end, or all `but` one. Raises
    ValidationError where the app shows another code.
    """
    # Of two at once one comes after the other, so that one device is left.
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
    TOTPDevice.objects.filter(user=user).delete()
    device = TOTPDevice.objects.create(user=user, name="Authenticator app", key=secret, digits=DIGITS)
    typed = _typed(code)
    if len(typed) != DIGITS or not typed.isdecimal() or not device.verify_token(typed):
        raise ValidationError({"code": "The app shows another code now. Check that its clock is right."})
    end_sessions(user, now=now, but=but)
    return device, new_codes(device)


@transaction.atomic
def verify(user: AbstractBaseUser, code: str, *, now: datetime) -> tuple[TOTPDevice | None, Verdict]:
    """Looks at a code of the person's device, or a recovery code. Each is right once, also of two at once."""
    found = TOTPDevice.objects.select_for_update().filter(user_id=user.pk, confirmed=True).order_by("pk").first()
    if found is None:
        return None, Verdict(False)
    allowed, why = found.verify_is_allowed()
    if not allowed:
        return None, Verdict(False, until=why["locked_until"])
    typed, left = _typed(code), None
    if len(typed) == DIGITS and typed.isdecimal():
        right = found.verify_token(typed)
    else:
        same = RecoveryCode.objects.filter(device=found, digest=digest(typed), used_at=None)
        right = bool(same.update(used_at=now))
        if right:
            found.throttle_reset()
            left = codes_left(found)
        else:
            found.throttle_increment()
    if found.throttling_failure_count > MOST_FAILURES:
        found.throttling_failure_count = MOST_FAILURES
        found.save(update_fields=["throttling_failure_count"])
    return (found, Verdict(True, left=left)) if right else (None, Verdict(False))


@transaction.atomic
def new_codes(device: TOTPDevice) -> list[str]:
    """Recovery codes in place of those that there were, to be shown now and never again."""
    texts = [b32encode(secrets.token_bytes(CODE_BYTES)).decode().lower() for _ in range(CODES)]
    RecoveryCode.objects.filter(device=device).delete()
    RecoveryCode.objects.bulk_create([RecoveryCode(device=device, digest=digest(text)) for text in texts])
    return [_in_fours(text) for text in texts]


def codes_left(device: TOTPDevice) -> int:
    return RecoveryCode.objects.filter(device=device, used_at=None).count()


@transaction.atomic
def remove_device(user: User, *, now: datetime, but: str = "") -> bool:
    """Takes the device away with its recovery codes, and ends the person's sessions, or all `but` one. Whether there
    was one."""
    removed = TOTPDevice.objects.filter(user=user).delete()[0]
    if removed:
        end_sessions(user, now=now, but=but)
    return bool(removed)


def _typed(code: str) -> str:
    """What was typed, without what sets it apart for the eye."""
    return "".join(code.split()).replace("-", "").lower() if len(code) <= 100 and "\0" not in code else ""


def _in_fours(text: str) -> str:
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))
