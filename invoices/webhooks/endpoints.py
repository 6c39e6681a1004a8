"""Endpoints: where webhooks go, which of them, and the secrets that they are signed with."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from invoices.models import OutboxEvent, WebhookEndpoint
from invoices.webhooks.guard import RefusedAddress, check_literal
from invoices.webhooks.signing import new_secret

EDITABLE = ("url", "description", "types", "allow_private", "enabled")
# How long the old secret signs beside a new one, unless it is said.
OVERLAP_HOURS = 24
LONGEST_OVERLAP_HOURS = 24 * 30
LONGEST_URL = 500


@transaction.atomic
def create_endpoint(*, url: str, **fields: Any) -> WebhookEndpoint:
    """A new endpoint with a secret of its own, in `secret`: show it once. `fields`: others of EDITABLE.

    Raises ValidationError by field.
    """
    endpoint = WebhookEndpoint(secret=new_secret())
    return update_endpoint(endpoint, changes={"url": url, **fields})


@transaction.atomic
def update_endpoint(endpoint: WebhookEndpoint, *, changes: Mapping[str, Any]) -> WebhookEndpoint:
    """Changes some of EDITABLE. Raises ValidationError by field."""
    for name, value in changes.items():
        if name not in EDITABLE:
            raise ValueError(f"{name} of an endpoint cannot be changed")
        setattr(endpoint, name, value)
    endpoint.types = _checked_types(endpoint.types)
    endpoint.url = checked_url(endpoint.url, allow_private=endpoint.allow_private)
    # The URL has been looked at: hosts of one's own network have names that Django's check refuses.
    endpoint.full_clean(exclude=["url", "types", "old_secret_until"])
    if endpoint._state.adding:
        endpoint.after_event = OutboxEvent.objects.aggregate(last=Max("id"))["last"] or 0
        endpoint.save(force_insert=True)
    else:
        endpoint.save(update_fields=[*changes, "types", "url"])
    return endpoint


@transaction.atomic
def rotate_secret(
    endpoint: WebhookEndpoint, *, overlap_hours: int = OVERLAP_HOURS, now: datetime | None = None
) -> WebhookEndpoint:
    """Gives an endpoint a new secret, in `secret`: show it once. For so long what is sent is signed with the old one
    too; 0: no longer. Raises ValidationError by field."""
    now = now or timezone.now()
    if not 0 <= overlap_hours <= LONGEST_OVERLAP_HOURS:
        raise ValidationError({"overlap_hours": f"From 0 to {LONGEST_OVERLAP_HOURS} hours."})
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).get(pk=endpoint.pk)
    endpoint.old_secret, endpoint.secret = endpoint.secret, new_secret()
    endpoint.old_secret_until = now + timedelta(hours=overlap_hours)
    if not overlap_hours:
        endpoint.old_secret, endpoint.old_secret_until = "", None
    endpoint.save(update_fields=["secret", "old_secret", "old_secret_until"])
    return endpoint


def keys_of(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """The secrets that count now, the newest first."""
    until = endpoint.old_secret_until
    if endpoint.old_secret and until is not None and now < until:
        return [endpoint.secret, endpoint.old_secret]
    return [endpoint.secret]


def checked_url(url: str, *, allow_private: bool) -> str:
    """The URL, its host as DNS has it. Raises ValidationError at `url`.

    A name is not looked up here: where it leads is looked at each time that something is sent.
    """
    parts = _parts(url.strip())
    host = parts.hostname or ""
    if parts.scheme == "http" and not allow_private:
        raise _refusal("An address on the internet begins with https://.")
    try:
        name = host if ":" in host else host.encode("idna").decode().lower()
    except UnicodeError:
        raise _refusal("This is no name of a host.") from None
    try:
        check_literal(name, allow_private=allow_private)
    except RefusedAddress as error:
        raise _refusal(str(error)) from None
    port = "" if parts.port is None else f":{parts.port}"
    netloc = f"[{name}]{port}" if ":" in name else f"{name}{port}"
    checked = urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))
    if len(checked) > LONGEST_URL:
        raise _refusal(f"At most {LONGEST_URL} characters.")
    return checked


def _parts(url: str) -> SplitResult:
    # `urlsplit` drops line breaks and tabs: the address would be another than the one that was written.
    if any(sign in url for sign in "\r\n\t"):
        raise _refusal("This is no URL: there is a line break or a tab in it.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refusal("This is no URL.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise _refusal("This is no URL, such as https://example.com/webhooks.")
    if parts.username is not None or parts.password is not None:
        raise _refusal("A URL with a password in it is not taken: deliveries are signed instead.")
    rest = f"{parts.path}{parts.query}{parts.fragment}"
    if parts.fragment or any(not "\x20" < sign < "\x7f" for sign in rest):
        raise _refusal("Write what is behind the host in plain characters, and without a #.")
    if any(not ("\x20" < sign != "\x7f") for sign in parts.hostname) or set(parts.hostname) & set("<>\\^`{|}\"'%"):
        raise _refusal("This is no name of a host.")
    return parts


def _checked_types(types: Sequence[str]) -> list[str]:
    """In the order in which docs have them, each once. Raises ValidationError at `types`."""
    if not isinstance(types, list) or not all(isinstance(name, str) for name in types):
        raise ValidationError({"types": "This is a list of types of events."})
    if unknown := [name for name in types if name not in OutboxEvent.Type.values]:
        raise ValidationError({"types": f"There is no event {unknown[0][:50]!r}."})
    return [name for name in OutboxEvent.Type.values if name in types]


def _refusal(text: str) -> ValidationError:
    return ValidationError({"url": text})
