"""Invitations to a customer's team: mailed as a link that works once and for a week, of which only a hash is stored."""

import secrets
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse

from invoices.branding import brand
from invoices.locking import lock_customer
from invoices.mailing.contents import MailContent
from invoices.mailing.personal import queue_personal
from invoices.mailing.private_links import PLACE
from invoices.models import PersonalMail
from meters.keys import digest
from meters.models import Customer
from portal.models import Invitation, Membership
from portal.people.accounts import is_of, is_taken
from portal.people.team import log, person_words
from portal.roles import Role

LIFE = timedelta(days=7)
# Mails to anybody are to be written by nobody: how many a customer may have made in a day, and one be sent.
MOST_A_DAY = 50
MOST_SENT = 5
PAUSE = timedelta(minutes=1)


class NotOpen(Exception):
    """The invitation was accepted or revoked, or its time is over."""


def open_invitations(customer: Customer) -> list[Invitation]:
    """Those that were neither accepted nor revoked, also when their time is over, as they can be sent again."""
    return list(Invitation.objects.filter(customer=customer, accepted_at=None, revoked_at=None).order_by("email"))


@transaction.atomic
def invite(customer: Customer, *, email: str, role: Role, base: str, actor: str, now: datetime) -> Invitation:
    """Invites who reads mails at this address. Raises ValidationError in words for people."""
    lock_customer(customer.pk)
    invitations = Invitation.objects.filter(customer=customer)
    members = Membership.objects.filter(customer=customer).select_related("user")
    if any(is_of(member.user, email) for member in members):
        raise ValidationError({"email": f"{email} is in the team already. Change the role above."})
    if invitations.filter(email__iexact=email, accepted_at=None, revoked_at=None).exists():
        raise ValidationError({"email": f"{email} is invited already. You can send that again above."})
    if invitations.filter(created_at__gt=now - timedelta(days=1)).count() >= MOST_A_DAY:
        raise ValidationError(f"That were {MOST_A_DAY} invitations in a day, which is all there are. Go on tomorrow.")
    invitation = Invitation.objects.create(
        customer=customer,
        email=email,
        role=role,
        invited_by=actor[:200],
        base=base,
        sent_at=now,
        created_at=now,
        expires_at=now + LIFE,
    )
    _mail(invitation, now)
    log(customer, f"invited {email} as {role.label}", actor=actor, now=now)
    return invitation


@transaction.atomic
def send_again(customer: Customer, invitation_id: int, *, base: str, actor: str, now: datetime) -> Invitation:
    """Mails it once more, for another week; the link that was sent before ends. Raises NotOpen, ValidationError, and
    Invitation.DoesNotExist."""
    invitation = _held(customer, invitation_id)
    if invitation.accepted_at or invitation.revoked_at:
        raise NotOpen
    if invitation.sent >= MOST_SENT:
        raise ValidationError(f"It was sent {MOST_SENT} times. Revoke it, and invite {invitation.email} anew.")
    if now - invitation.sent_at < PAUSE:
        raise ValidationError("It was sent within the last minute. Wait for that mail first.")
    invitation.sent += 1
    invitation.sent_at, invitation.expires_at, invitation.digest, invitation.base = now, now + LIFE, None, base
    invitation.save(update_fields=["sent", "sent_at", "expires_at", "digest", "base"])
    _mail(invitation, now)
    log(customer, f"sent the invitation of {invitation.email} again", actor=actor, now=now)
    return invitation


@transaction.atomic
def revoke(customer: Customer, invitation_id: int, *, actor: str, now: datetime) -> Invitation:
    """Raises NotOpen, and Invitation.DoesNotExist."""
    invitation = _held(customer, invitation_id)
    if invitation.accepted_at or invitation.revoked_at:
        raise NotOpen
    invitation.revoked_at = now
    invitation.save(update_fields=["revoked_at"])
    log(customer, f"revoked the invitation of {invitation.email}", actor=actor, now=now)
    return invitation


def find_invitation(token: str) -> Invitation | None:
    """The invitation that this stands in the link of, whatever became of it."""
    return Invitation.objects.filter(digest=digest(token)).select_related("customer").first()


def is_open(invitation: Invitation, *, now: datetime) -> bool:
    return invitation.accepted_at is None and invitation.revoked_at is None and now < invitation.expires_at


def has_account(invitation: Invitation) -> bool:
    return is_taken(invitation.email)


@transaction.atomic
def accept(token: str, user: User, *, now: datetime) -> Membership:
    """Has who is invited join; who is in the team meanwhile keeps the role. Raises NotOpen, also for anybody else."""
    invitation = _opened(token, now)
    if not is_of(user, invitation.email):
        raise NotOpen
    return _join(invitation, user, now)


@transaction.atomic
def accept_as_new(token: str, *, name: str, password: str, now: datetime) -> Membership:
    """Makes the account of who is invited, and has them join. Raises NotOpen, also where there is an account by now."""
    invitation = _opened(token, now)
    if has_account(invitation):
        raise NotOpen
    first, _, last = name.strip().rpartition(" ")
    names = {"first_name": first or last, "last_name": last if first else ""}
    try:
        user = User.objects.create_user(invitation.email, invitation.email, password, **names)
    except IntegrityError:
        # By an invitation of another customer, at the same moment.
        raise NotOpen from None
    return _join(invitation, user, now)


def _join(invitation: Invitation, user: User, now: datetime) -> Membership:
    member, is_new = Membership.objects.get_or_create(
        user=user, customer=invitation.customer, defaults={"role": invitation.role}
    )
    invitation.accepted_at = now
    invitation.save(update_fields=["accepted_at"])
    if is_new:
        said = f"joined as {Role(member.role).label}, invited by {invitation.invited_by}"
        log(invitation.customer, said, actor=person_words(user), now=now)
    return member


def _opened(token: str, now: datetime) -> Invitation:
    """The invitation, held with its customer."""
    found = find_invitation(token)
    if found is None:
        raise NotOpen
    invitation = _held(found.customer, found.pk)
    if invitation.digest != found.digest or not is_open(invitation, now=now):
        raise NotOpen
    return invitation


def _held(customer: Customer, invitation_id: int) -> Invitation:
    lock_customer(customer.pk)
    return Invitation.objects.select_related("customer").get(customer=customer, pk=invitation_id)


def _mail(invitation: Invitation, now: datetime) -> None:
    name, customer, role = brand().name, invitation.customer, Role(invitation.role)
    content = MailContent(
        subject=f"{invitation.invited_by} invites you to see the usage and bills of {customer} at {name}",
        intro=f"{invitation.invited_by} invites you to the team of {customer} at {name}.",
        facts=[("Your role", f"{role.label}. {role.words}")],
        outro=f"The link works once, until {invitation.expires_at:%-d %b %Y %H:%M} UTC. "
        "If you do not know who invites you, leave it.",
        url=PLACE,
        url_text="Accept the invitation",
    )
    about = f"invitation:{invitation.pk}:{invitation.sent}"
    queue_personal(PersonalMail.INVITATION, about, invitation.email, content, now)


def invitation_url(about: str, now: datetime) -> str | None:
    """Makes what stands in the link, as the mail goes out; None where that is not wanted any more."""
    _, pk, sent = about.split(":")
    invitation = Invitation.objects.select_for_update().filter(pk=int(pk), sent=int(sent)).first()
    if invitation is None or not is_open(invitation, now=now):
        return None
    token = secrets.token_urlsafe(32)
    invitation.digest = digest(token)
    invitation.save(update_fields=["digest"])
    return invitation.base + reverse("portal:join", args=[token])
