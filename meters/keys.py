"""API keys: made at random, shown once, stored as a hash, replaced with an overlap."""

import hashlib
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from meters.models import ApiKey, Customer
from meters.staff_roles import StaffRole

PREFIX = "tm_"
# Writing "last used" at every request would make one row the hottest of the database.
LAST_USED_STEP = timedelta(minutes=1)
# A key of one customer can be put into that customer's own servers: it changes nothing.
CUSTOMER_SCOPES = frozenset({ApiKey.Scope.INGEST.value, ApiKey.Scope.READ.value})
MAX_RATE_LIMIT = 100_000
OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=90)

# The keys of the last second's requests, by digest, each with the monotonic nanosecond until which it is believed.
_HOLD_NS = 1_000_000_000
_MAX_HELD = 1000
_held: dict[bytes, tuple[int, ApiKey]] = {}
_lock = threading.Lock()
_forgotten = 0


@transaction.atomic
def create_api_key(
    *,
    name: str,
    scopes: Sequence[str],
    customer: Customer | None = None,
    expires_at: datetime | None = None,
    rate_limit: int | None = None,
    role: str = StaffRole.OWNER,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is shown now and never again. Raises ValidationError by field.

    `customer` restricts the key to sending and reading that customer's usage; `rate_limit` is in requests a second;
    `role` bounds what its scopes open. Whoever has somebody choose a role offers those within that person's own.
    """
    fields = {"name": name, "scopes": scopes, "customer": customer, "expires_at": expires_at}
    return _create({**fields, "rate_limit": rate_limit, "role": role}, now=timezone.now())


@transaction.atomic
def change_api_key(key: ApiKey, *, changes: Mapping[str, Any]) -> ApiKey:
    """Changes name, `expires_at` or `rate_limit` of a key that is in use. Raises ValidationError by field.

    What a key opens never changes: whoever holds it would not be told.
    """
    stored = ApiKey.objects.select_for_update().get(pk=key.pk)
    if fixed := sorted(set(changes) - {"name", "expires_at", "rate_limit"}):
        raise ValidationError(dict.fromkeys(fixed, "This never changes; create another key."))
    now = timezone.now()
    expires_at = changes.get("expires_at", stored.expires_at)
    if moved := expires_at != stored.expires_at:
        if state(stored, now=now) in ("revoked", "expired"):
            raise ValidationError({"expires_at": "This key opens nothing any more; create another one."})
        if stored.rotated_to.exists() and (expires_at is None or stored.expires_at < expires_at):
            raise ValidationError({"expires_at": "Another key takes the place of this one; it can only end earlier."})
    for name, value in changes.items():
        setattr(stored, name, value)
    _check(stored, now=now if moved else None)
    stored.save(update_fields=list(changes))
    _forget_now_and_at_commit()
    return stored


@transaction.atomic
def rotate(key: ApiKey, *, overlap: timedelta = OVERLAP) -> tuple[ApiKey, str]:
    """A key that takes the place of this one, and its text: same name, scopes, role, customer and limit.

    The old key works for `overlap` longer and never longer than it would have. A key that expires is followed by one
    that lives as long as it was to live. Raises ValidationError.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        raise ValidationError({"overlap": f"From nothing to {MAX_OVERLAP.days} days."})
    now = timezone.now()
    old = ApiKey.objects.select_for_update().get(pk=key.pk)
    if state(old, now=now) in ("revoked", "expired"):
        raise ValidationError(f"{old} opens nothing any more; create a new key.")
    if new := old.rotated_to.first():
        raise ValidationError(f"{new} takes the place of {old} already; rotate that one.")
    new, text = _create(
        {
            "name": old.name,
            "scopes": old.scopes,
            "customer": old.customer,
            "expires_at": old.expires_at and now + (old.expires_at - old.created_at),
            "rate_limit": old.rate_limit,
            "role": old.role,
            "rotated_from": old,
        },
        now=now,
    )
    end = now + overlap
    old.expires_at = end if old.expires_at is None else min(old.expires_at, end)
    old.save(update_fields=["expires_at"])
    _forget_now_and_at_commit()
    return new, text


def revoke(key: ApiKey) -> None:
    """From the next request on the key opens nothing; in other processes within a second."""
    ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now())
    _forget_now_and_at_commit()
    key.refresh_from_db()


def find(text: str) -> ApiKey | None:
    """The key of this text that is neither revoked nor expired, with its customer.

    It is found by its hash, so its time tells nothing of other keys. The row is believed for a second, so that a
    stream of single events does not pay a query each; callers share it and must not change it. Texts that are no keys
    are not remembered at all, so guessing fills no memory.
    """
    hashed = digest(text)
    held = _held.get(hashed)
    key = held[1] if held is not None and time.monotonic_ns() < held[0] else _load(hashed)
    if key is not None and key.expires_at is not None and key.expires_at <= timezone.now():
        return None
    return key


def _load(hashed: bytes) -> ApiKey | None:
    forgotten, until = _forgotten, time.monotonic_ns() + _HOLD_NS
    key = ApiKey.objects.select_related("customer").filter(digest=hashed, revoked_at=None).first()
    if key is not None:
        with _lock:
            # Somebody who revoked it while we read has emptied the cache already.
            if forgotten == _forgotten:
                if len(_held) >= _MAX_HELD:
                    _held.clear()
                _held[hashed] = (until, key)
    return key


def forget() -> None:
    """Empties this process's cache."""
    global _forgotten
    with _lock:
        _forgotten += 1
        _held.clear()


def _forget_now_and_at_commit() -> None:
    # At once for this transaction's own reads; again at the commit, as others could read the old row until then.
    forget()
    transaction.on_commit(forget)


def touch(key: ApiKey, *, now: datetime) -> None:
    """Notes that the key was used, once a minute at most, whoever asks at the same time."""
    last = key.last_used_at
    if last is None or abs(now - last) > LAST_USED_STEP:
        ApiKey.objects.filter(pk=key.pk, last_used_at=last).update(last_used_at=now)
        key.last_used_at = now


def state(key: ApiKey, *, now: datetime) -> str:
    """What the key is good for: `in_use`, `expires` (in use until `expires_at`), `expired` or `revoked`."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "in_use"
    return "expires" if now < key.expires_at else "expired"


def digest(text: str) -> bytes:
    """SHA-256 is enough: a key has 256 random bits, so there is nothing to guess that a slow hash would slow down."""
    return hashlib.sha256(text.encode()).digest()


def _create(fields: dict[str, Any], *, now: datetime) -> tuple[ApiKey, str]:
    if not fields["scopes"]:
        raise ValidationError({"scopes": "Choose at least one scope."})
    text = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(**fields | {"scopes": sorted(set(fields["scopes"]))}, start=text[:8], digest=digest(text))
    _check(key, now=now)
    key.save(force_insert=True)
    return key, text


def _check(key: ApiKey, *, now: datetime | None) -> None:
    """Raises ValidationError by field; `now` where the expiry is a new one."""
    faults: dict[str, str] = {}
    if key.customer_id is not None and not CUSTOMER_SCOPES.issuperset(key.scopes):
        faults["scopes"] = "A key of one customer can send events and read, and change nothing."
    if now is not None and key.expires_at is not None and key.expires_at <= now:
        faults["expires_at"] = "This moment has passed already."
    if key.rate_limit is not None and not 1 <= key.rate_limit <= MAX_RATE_LIMIT:
        faults["rate_limit"] = f"From 1 to {MAX_RATE_LIMIT:,} requests a second, or empty."
    if faults:
        raise ValidationError(faults)
    key.full_clean()
