"""What the vendor lets the portal do: read, and changed by staff."""

import time
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from portal.guests.return_urls import NotAnAddress, just_origin, origin_of
from portal.models import PortalPolicy
from pricing.inputs import check_row, known

FIELDS = ("return_origins", "offers_read_keys")
MOST_ORIGINS = 50
LIVE_SECONDS = 3

# Until when it is known whether customers are offered keys, by the process's own clock, and whether they are.
_known = (0, True)


def portal_policy() -> PortalPolicy:
    """The vendor's policy; as it comes, where staff have not saved one."""
    return PortalPolicy.objects.filter(pk=1).first() or PortalPolicy()


def offers_read_keys() -> bool:
    """Whether customers are offered keys of their own: asked by each page, and of the database every few seconds."""
    global _known
    until, offers = _known
    now = time.monotonic_ns()
    if now >= until:
        offers = portal_policy().offers_read_keys
        _known = (now + LIVE_SECONDS * 1_000_000_000, offers)
    return offers


def forget() -> None:
    """Has this process read it again."""
    global _known
    _known = (0, _known[1])


@transaction.atomic
def set_portal_policy(*, changes: Mapping[str, Any]) -> PortalPolicy:
    """Changes the policy. Raises ValidationError by field.

    An origin that is taken off the list is no longer led back to by links that are there either.
    """
    known(changes, FIELDS)
    PortalPolicy.objects.get_or_create(pk=1)
    policy = PortalPolicy.objects.select_for_update().get(pk=1)
    for name, value in changes.items():
        setattr(policy, name, _origins(value) if name == "return_origins" else value)
    check_row(policy)
    policy.save()
    transaction.on_commit(forget)
    return policy


def may_return_to(url: str) -> bool:
    """Whether the vendor has listed where this address leads."""
    try:
        return bool(url) and origin_of(url) in portal_policy().return_origins
    except NotAnAddress:
        return False


def _origins(texts: list[str]) -> list[str]:
    origins: dict[str, None] = {}
    for text in texts:
        try:
            origins[just_origin(text)] = None
        except NotAnAddress as error:
            raise ValidationError({"return_origins": f"“{text[:100]}”: {error}"}) from None
    if len(origins) > MOST_ORIGINS:
        raise ValidationError({"return_origins": f"At most {MOST_ORIGINS}."})
    return list(origins)
