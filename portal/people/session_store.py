"""Where sessions are kept: a row each, under the hash of its key, with whose it is, so that it can be ended.

Django's store of sessions in the database, on a table of our own.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.contrib.auth import SESSION_KEY as USER_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

from portal.models import BrowserSession

# Of the session: from where and since when, as `sessions_of` shows it.
DEVICE_KEY = "device"
# A session that is used is noted to be no more often than that.
SEEN_STEP = timedelta(minutes=5)


def digest_of(key: str) -> str:
    return sha256(key.encode()).hexdigest()


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> type[BrowserSession]:
        return BrowserSession

    def _get_session_from_db(self) -> BrowserSession | None:
        now, rows = timezone.now(), BrowserSession.objects.filter(session_key=digest_of(self.session_key or ""))
        row = rows.filter(expire_date__gt=now).first()
        if row is None:
            # A key that is unknown is never taken up: it may have been put into the browser by somebody else.
            self._session_key = None
            return None
        if abs(now - row.last_seen_at) >= SEEN_STEP:
            rows.update(last_seen_at=now)
        return row

    def exists(self, session_key: str | None) -> bool:
        return BrowserSession.objects.filter(session_key=digest_of(session_key or "")).exists()

    def create_model_instance(self, data: dict[str, Any]) -> BrowserSession:
        now, device = timezone.now(), data.get(DEVICE_KEY, {})
        return BrowserSession(
            session_key=digest_of(self._get_or_create_session_key()),  # type: ignore[attr-defined]
            session_data=self.encode(data),
            expire_date=self.get_expiry_date(),
            user_id=data.get(USER_KEY),
            agent=device.get("agent", ""),
            address=device.get("address"),
            since=datetime.fromisoformat(device["since"]) if device else now,
            last_seen_at=now,
        )

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            BrowserSession.objects.filter(session_key=digest_of(key)).delete()
