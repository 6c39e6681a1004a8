"""Sessions that the vendor's server asks for: a link that works once, and what it is exchanged for.

What stands in an address ends up in histories, logs and mails. So the link is worth nothing once it was used or five
minutes are over, and the session that comes of it is a row that is looked at with each request and can be revoked.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from invoices.models import Invoice
from meters.keys import LAST_USED_STEP, digest
from meters.models import ApiKey, Customer
from portal.guests.return_urls import NotAnAddress, origin_of
from portal.models import PortalSession
from portal.policy import portal_policy
from portal.roles import Role
from pricing.inputs import check_row

LINK_LIFE = timedelta(minutes=5)
LIFE = timedelta(hours=1)
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(hours=12)
# So long staff can see who came by a link.
KEPT = timedelta(days=365)


class LinkRefused(Exception):
    """The link opens nothing. `session`: what it was of, where there is such a link at all."""

    def __init__(self, words: str, session: PortalSession | None = None) -> None:
        super().__init__(words)
        self.words, self.session = words, session


@dataclass(frozen=True, slots=True)
class Caller:
    """Who exchanges a link: the address it comes from, and what its browser calls itself."""

    address: str | None
    agent: str = ""


@transaction.atomic
def create_portal_session(
    *,
    customer: Customer,
    api_key: ApiKey,
    now: datetime,
    return_url: str = "",
    page: str = "",
    invoice: str = "",
    role: Role = Role.READ_ONLY,
    member: str = "",
    life: timedelta = LIFE,
) -> tuple[PortalSession, str]:
    """A session that waits for its link to be used, and what stands in the link, which is told now and never again.

    `invoice` is the number of one of the customer's, to begin with. The session ends `life` from now, whenever its link
    is used. Raises ValidationError by field. Forgets the customer's sessions that ended a year ago.
    """
    faults: dict[str, str] = {}
    if return_url and (fault := _fault_of(return_url)):
        faults["return_url"] = fault
    if not SHORTEST <= life <= LONGEST:
        faults["expires_in"] = f"From {SHORTEST.seconds} to {LONGEST.seconds:,} seconds."
    first = _invoice(customer, invoice) if invoice else None
    if invoice and first is None:
        faults["invoice"] = f"{customer.key!r} has no invoice with the number {invoice!r}."
    if first is not None and page not in ("", PortalSession.Page.INVOICES):
        faults["page"] = "With an invoice it is invoices, or left out."
    if len(member.strip().splitlines()) > 1:
        faults["member"] = "On one line."
    if faults:
        raise ValidationError(faults)
    text = secrets.token_urlsafe(32)
    session = PortalSession(
        customer=customer,
        api_key=api_key,
        role=role,
        member=member.strip(),
        page=PortalSession.Page.INVOICES if first is not None else page or PortalSession.Page.OVERVIEW,
        invoice=first,
        return_url=return_url,
        digest=digest(text),
        created_at=now,
        link_expires_at=now + min(LINK_LIFE, life),
        expires_at=now + life,
    )
    check_row(session)
    PortalSession.objects.filter(customer=customer, expires_at__lt=now - KEPT).delete()
    session.save(force_insert=True)
    return session, text


def look_at_link(text: str, *, now: datetime) -> PortalSession:
    """The session that the link would open; changes nothing. Raises LinkRefused."""
    return _usable(PortalSession.objects.select_related("customer").filter(digest=digest(text)).first(), now)


@transaction.atomic
def exchange(text: str, *, caller: Caller, now: datetime) -> PortalSession:
    """Uses the link up and returns its session. Of two at once one wins. Raises LinkRefused."""
    locked = PortalSession.objects.select_for_update(of=["self"]).select_related("customer", "invoice")
    session = _usable(locked.filter(digest=digest(text)).first(), now)
    session.used_at = session.last_seen_at = now
    session.used_from, session.used_with = caller.address, caller.agent
    session.save(update_fields=["used_at", "last_seen_at", "used_from", "used_with"])
    return session


@transaction.atomic
def revoke_portal_session(session: PortalSession, *, actor: str, now: datetime) -> PortalSession:
    """From the next request on it opens nothing. Whoever does it first is kept."""
    stored = PortalSession.objects.select_for_update(of=["self"]).select_related("customer").get(pk=session.pk)
    if stored.revoked_at is None:
        stored.revoked_at, stored.revoked_by = now, actor[:200]
        stored.save(update_fields=["revoked_at", "revoked_by"])
    return stored


def find_session(pk: object) -> PortalSession | None:
    """The session that a browser holds, also one that is over."""
    found = PortalSession.objects.select_related("customer").filter(used_at__isnull=False)
    return found.filter(pk=pk).first() if isinstance(pk, int) else None


def touch_session(session: PortalSession, *, now: datetime) -> None:
    """Notes that it was seen, once a minute at most."""
    last = session.last_seen_at
    if last is None or abs(now - last) > LAST_USED_STEP:
        PortalSession.objects.filter(pk=session.pk, last_seen_at=last).update(last_seen_at=now)


def session_state(session: PortalSession, *, now: datetime) -> str:
    """`waiting` for its link to be used, `active`, `revoked`, or `expired`: its link unused, or its time over."""
    if session.revoked_at is not None:
        return "revoked"
    if session.used_at is None:
        return "waiting" if now < session.link_expires_at else "expired"
    return "active" if now < session.expires_at else "expired"


def _usable(session: PortalSession | None, now: datetime) -> PortalSession:
    if session is None:
        raise LinkRefused("This link is not complete, or there never was one like it.")
    if session.revoked_at is not None:
        raise LinkRefused("This link was taken back.", session)
    if session.used_at is not None:
        raise LinkRefused("This link was used already. Each one works once.", session)
    if session.link_expires_at <= now:
        raise LinkRefused("This link has expired. Each one works for a few minutes.", session)
    return session


def _fault_of(return_url: str) -> str:
    try:
        origin = origin_of(return_url)
    except NotAnAddress as error:
        return str(error)
    if origin not in portal_policy().return_origins:
        return f"{origin} is not among the addresses that links may lead back to: see the portal policy in the admin."
    return ""


def _invoice(customer: Customer, number: str) -> Invoice | None:
    """The customer's invoice with this number."""
    if "\0" in number:
        return None
    return Invoice.objects.filter(Q(number=number) & ~Q(number=""), customer=customer).first()
