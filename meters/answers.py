"""Answers that were given, kept so that a repeated call gets the same one and does nothing."""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from meters.models import ApiKey, IdempotentRequest

KEPT = timedelta(hours=24)


def claim(*, api_key: ApiKey, key: str, fingerprint: bytes) -> tuple[IdempotentRequest, bool]:
    """The row of this call, and whether it is new: then the caller does the work in this same transaction and fills it.

    Whoever asks while another transaction works on the same call waits here for its end: it finds the answer after a
    commit, and a row of its own after a rollback.
    """
    assert transaction.get_connection().in_atomic_block
    row = IdempotentRequest(api_key=api_key, key=key, fingerprint=fingerprint, status=0, content_type="", body=b"")
    while True:
        try:
            with transaction.atomic():
                row.save(force_insert=True)
        except IntegrityError:
            row.pk = None
        else:
            return row, True
        # Locked, because an answer that is too old makes way for a new one. It may be gone by now, cleaned away.
        found = IdempotentRequest.objects.select_for_update().filter(api_key=api_key, key=key).first()
        if found is not None and timezone.now() - found.created_at <= KEPT:
            return found, False
        if found is not None:
            found.delete()


def forget_old(*, now: datetime) -> int:
    """Removes the answers that are no longer kept, and answers how many they were."""
    return IdempotentRequest.objects.filter(created_at__lt=now - KEPT).delete()[0]
