"""Links by mail that let a person in: to sign in without a password, or to set a new one.

Who asks learns nothing of who has an account: asking writes one row, the same for every address, and the worker looks
up whose it is. What stands in a sign-in link is made as the mail goes out, is good for one time and a quarter of an
hour, and only its hash is stored. Those of a reset are Django's: they are signed, and end with the password they set.
"""

import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.db import transaction
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from invoices.branding import brand
from invoices.mailing.contents import MailContent
from invoices.mailing.personal import queue_personal
from invoices.mailing.private_links import PLACE
from invoices.models import PersonalMail
from meters.keys import digest
from portal.models import LinkRequest
from portal.people.accounts import accounts_of

Kind = LinkRequest.Kind

LIFE = timedelta(minutes=15)
# A mail server that cannot be reached for longer is waited for no more: who still wants a link asks again.
SENT_WITHIN = timedelta(hours=1)
# How many may be asked for in WINDOW, for one address and from one.
WINDOW = timedelta(hours=1)
MOST_FOR, MOST_FROM = 5, 30
KEPT = timedelta(days=30)


class TooMany(Exception):
    """Enough links were asked for. `until`: when the next one may be."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"not before {until}")
        self.until = until


@transaction.atomic
def ask_for_link(
    kind: Kind, *, address: str, base: str, now: datetime, asked_from: str | None = None, next_page: str = ""
) -> LinkRequest:
    """Notes that somebody wants a link mailed to this address, whoever it is. Raises TooMany."""
    recent = LinkRequest.objects.filter(created_at__gt=now - WINDOW, created_at__lte=now).order_by("-created_at")
    times = recent.values_list("created_at", flat=True)
    limits = [(times.alias(lower=Lower("address")).filter(lower=address.lower()), MOST_FOR)]
    if asked_from is not None:
        limits.append((times.alias(lower=Lower("address")).filter(asked_from=asked_from), MOST_FROM))
    for asked, most in limits:
        # The one that has to become too old for there to be room.
        if full := list(asked[most - 1 : most]):
            raise TooMany(full[0] + WINDOW)
    return LinkRequest.objects.create(
        kind=kind, address=address, base=base, next=next_page, asked_from=asked_from, created_at=now
    )


@transaction.atomic
def answer_requests(*, now: datetime, most: int = 100) -> int:
    """Writes the mails that were asked for and not written yet, and answers how many. The worker calls it."""
    mails = 0
    waiting = LinkRequest.objects.filter(answered_at=None).select_for_update(skip_locked=True)
    for request in waiting.order_by("id")[:most]:
        request.answered_at = now
        fresh = now - request.created_at <= SENT_WITHIN
        # An address of several accounts gets a link for each.
        for number, user in enumerate(accounts_of(request.address) if fresh else ()):
            if number:
                request.pk = None
            request.user = user
            request.save(force_insert=bool(number))
            _write(request, user, now)
            mails += 1
        if request.user is None:
            request.save(update_fields=["answered_at"])
    return mails


def _write(request: LinkRequest, user: User, now: datetime) -> None:
    asked = [("Asked for", f"{request.created_at:%-d %b %Y %H:%M} UTC"), ("From", request.asked_from or "unknown")]
    name = brand().name
    if request.kind == Kind.SIGN_IN:
        minutes = int(LIFE.total_seconds() // 60)
        kind = PersonalMail.SIGN_IN
        content = MailContent(
            subject=f"Your link to sign in to {name}",
            intro=f"This link signs you in as {user}. It works once, and for {minutes} minutes.",
            facts=asked,
            outro="If you did not ask for it, leave it: nobody comes in without it.",
            url=PLACE,
            url_text="Sign in",
        )
    else:
        minutes = settings.PASSWORD_RESET_TIMEOUT // 60
        kind = PersonalMail.RESET
        content = MailContent(
            subject=f"Set a new password for {name}",
            intro=f"This link sets a new password for {user}. It works once, and for {minutes} minutes.",
            facts=asked,
            outro="If you did not ask for it, leave it: your password stays as it is.",
            url=PLACE,
            url_text="Set a new password",
        )
    queue_personal(kind, f"link:{request.pk}", user.email, content, now)


def sign_in_url(about: str, now: datetime) -> str | None:
    """Makes what stands in a sign-in link, as its mail goes out; None where nobody waits for it any more."""
    request = _waited_for(about, now)
    if request is None:
        return None
    token = secrets.token_urlsafe(32)
    request.digest, request.expires_at = digest(token), now + LIFE
    request.save(update_fields=["digest", "expires_at"])
    return request.base + reverse("portal:sign-in-by-link", args=[token])


def reset_url(about: str, now: datetime) -> str | None:
    """Like `sign_in_url`, for a new password."""
    request = _waited_for(about, now)
    if request is None or request.user is None:
        return None
    uid = urlsafe_base64_encode(force_bytes(request.user.pk))
    token = default_token_generator.make_token(request.user)
    return request.base + reverse("portal:password-reset-confirm", args=[uid, token])


def _waited_for(about: str, now: datetime) -> LinkRequest | None:
    found = LinkRequest.objects.select_for_update(of=("self",)).filter(pk=int(about.removeprefix("link:")))
    return found.filter(used_at=None, created_at__gte=now - SENT_WITHIN, user__is_active=True).first()


def find_link(token: str, *, now: datetime) -> LinkRequest | None:
    """The sign-in link that this stands in, if it still opens something."""
    found = LinkRequest.objects.filter(digest=digest(token), used_at=None, expires_at__gt=now, user__is_active=True)
    return found.select_related("user").first()


@transaction.atomic
def use_link(token: str, *, now: datetime) -> LinkRequest | None:
    """Like `find_link`, and uses it up: of two at once one gets it. The person's other links end with it."""
    request = find_link(token, now=now)
    if request is None or not LinkRequest.objects.filter(pk=request.pk, used_at=None).update(used_at=now):
        return None
    end_links(request.user_id, now=now)
    return request


def end_links(user_id: int | None, *, now: datetime) -> None:
    """Has no sign-in link of a person open anything from now on."""
    LinkRequest.objects.filter(kind=Kind.SIGN_IN, user=user_id, used_at=None).update(used_at=now)


def forget_old_requests(*, now: datetime) -> None:
    LinkRequest.objects.filter(created_at__lt=now - KEPT).delete()
