"""API keys: made at random, shown once, stored as a hash."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from meters.models import ApiKey

PREFIX = "tm_"
# Writing "last used" at every request would make one row the hottest of the database.
LAST_USED_STEP = timedelta(minutes=1)


@transaction.atomic
def create_api_key(*, name: str, scopes: Sequence[str]) -> tuple[ApiKey, str]:
    """A new key and its text, which is shown now and never again. Raises ValidationError by field."""
    if not scopes:
        raise ValidationError({"scopes": "Choose at least one scope."})
    text = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(name=name, start=text[:8], digest=digest(text), scopes=sorted(set(scopes)))
    key.full_clean()
    key.save(force_insert=True)
    return key, text


def revoke(key: ApiKey) -> None:
    """From the next request on the key opens nothing."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    key.refresh_from_db()


def find(text: str) -> ApiKey | None:
    """The unrevoked key of this text. It is found by its hash, so its time tells nothing of other keys."""
    return ApiKey.objects.filter(digest=digest(text), revoked_at=None).first()


def touch(key: ApiKey, *, now: datetime) -> None:
    """Notes that the key was used, once a minute at most."""
    if key.last_used_at is None or now - key.last_used_at > LAST_USED_STEP:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


def digest(text: str) -> bytes:
    """SHA-256 is enough: a key has 256 random bits, so there is nothing to guess that a slow hash would slow down."""
    return hashlib.sha256(text.encode()).digest()
