"""Where a person is signed in, and how that ends: who removes the row of a session signs its browser out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from portal.models import BrowserSession
from portal.people.addresses import address_of, agent_of
from portal.people.devices import device_words
from portal.people.mailed_links import end_links
from portal.people.session_store import DEVICE_KEY, SessionStore, digest_of


@dataclass(frozen=True, slots=True)
class OpenSession:
    """`id` is the hash of its key, which opens nothing."""

    id: str
    device: str
    agent: str
    address: str
    since: datetime
    last_seen_at: datetime
    is_this: bool


def connect() -> None:
    user_logged_in.connect(_signed_in, dispatch_uid="portal.note_device")


def _signed_in(request: Any, **_: Any) -> None:
    device = {"agent": agent_of(request), "address": address_of(request), "since": timezone.now().isoformat()}
    request.session[DEVICE_KEY] = device


def this_session(request: HttpRequest) -> str:
    """The id of the session of a request; empty where it has none yet."""
    key = request.session.session_key
    return digest_of(key) if key else ""


def sessions_of(user: User, *, now: datetime, this: str = "") -> list[OpenSession]:
    """Where the person is signed in, this one first, then those that were used last."""
    found = BrowserSession.objects.filter(user=user, expire_date__gt=now).order_by("-last_seen_at", "session_key")
    rows = [
        OpenSession(
            id=row.session_key,
            device=device_words(row.agent),
            agent=row.agent,
            address=row.address or "",
            since=row.since,
            last_seen_at=row.last_seen_at,
            is_this=row.session_key == this,
        )
        for row in found
        if _is_open(row, user)
    ]
    return sorted(rows, key=lambda row: not row.is_this)


def _is_open(row: BrowserSession, user: User) -> bool:
    """Whether it was begun with the password that the person has now; Django ends the others when they are used."""
    begun_with = SessionStore().decode(row.session_data).get(HASH_SESSION_KEY, "")
    return constant_time_compare(begun_with, user.get_session_auth_hash())


def end_session(user: User, session_id: str) -> bool:
    """Whether the person had it."""
    return bool(BrowserSession.objects.filter(user=user, session_key=session_id).delete()[0])


def end_sessions(user: User, *, now: datetime, but: str = "") -> int:
    """Ends all of a person's sessions, or all `but` one, and what could begin another one: links that are out. Answers
    how many sessions there were."""
    end_links(user.pk, now=now)
    return BrowserSession.objects.filter(user=user).exclude(session_key=but).delete()[0]


def forget_old_sessions(*, now: datetime) -> None:
    BrowserSession.objects.filter(expire_date__lte=now).delete()
