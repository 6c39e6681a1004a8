"""Tokens for pages in frames: made by the vendor's server for one customer, a while and named origins.

A token opens pages that only show, so it is all that they ask for: no cookie, which browsers withhold in frames of
another site. It is found by its hash at each request, so one that is revoked opens nothing from then on.
"""

import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction

from meters.keys import digest
from meters.models import Customer
from portal.embedding.origins import NotAnOrigin, origins_of
from portal.models import EmbedToken

PREFIX = "tme_"
VIEWS: tuple[str, ...] = tuple(EmbedToken.View.values)
LIFE = timedelta(minutes=15)
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(hours=1)
# So long the page of a token that has ended can still say so, to the origins that it was made for.
KEPT = timedelta(days=1)


@transaction.atomic
def create_embed_token(
    *,
    customer: Customer,
    origins: Iterable[str],
    views: Iterable[str] = VIEWS,
    life: timedelta = LIFE,
    actor: str,
    now: datetime,
) -> tuple[EmbedToken, str]:
    """A new token and its text, which is told now and never again. Raises ValidationError by field.

    Forgets the customer's tokens that ended long ago.
    """
    wanted = set(views)
    chosen = [view for view in VIEWS if view in wanted]
    faults = {}
    named: list[str] = []
    try:
        named = origins_of(origins)
    except NotAnOrigin as error:
        faults["origins"] = str(error)
    if not chosen or not wanted <= set(VIEWS):
        faults["views"] = f"Some of: {', '.join(VIEWS)}."
    if not SHORTEST <= life <= LONGEST:
        faults["expires_in"] = f"From {SHORTEST.seconds} to {LONGEST.seconds:,} seconds."
    if faults:
        raise ValidationError(faults)
    EmbedToken.objects.filter(customer=customer, expires_at__lt=now - KEPT).delete()
    text = PREFIX + secrets.token_urlsafe(32)
    token = EmbedToken.objects.create(
        customer=customer,
        digest=digest(text),
        origins=named,
        views=chosen,
        actor=actor,
        created_at=now,
        expires_at=now + life,
    )
    return token, text


def revoke_embed_tokens(customer: Customer, *, pk: int | None = None, now: datetime) -> int:
    """Ends one of the customer's tokens, or all of them, from the next request on; returns how many there were."""
    tokens = EmbedToken.objects.filter(customer=customer)
    if pk is not None:
        tokens = tokens.filter(pk=pk)
    tokens.filter(revoked_at=None, expires_at__gt=now).update(revoked_at=now)
    return tokens.count()


def find_embed_token(text: str) -> EmbedToken | None:
    """The token of this text with its customer, also one that has ended."""
    if not text.startswith(PREFIX):
        return None
    return EmbedToken.objects.select_related("customer").filter(digest=digest(text)).first()


def has_ended(token: EmbedToken, *, now: datetime) -> bool:
    return token.revoked_at is not None or token.expires_at <= now
