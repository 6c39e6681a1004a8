"""Celery's part of the audit: begun once a night, a few seconds of work a message, taken up where a worker died."""

import logging
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone

from invoices.auditing import runs

logger = logging.getLogger(__name__)


@shared_task
def work_on_audit(run_id: int) -> None:
    """Works on it for a while and passes it on."""
    if runs.work_on(run_id):
        send(run_id)


@shared_task
def keep_audits() -> None:
    """Begins the audit of the night, and takes up the one that no worker is on. Asks the rows whether it is time, so a
    night on which nothing ran is made up for."""
    now = timezone.now()
    for run_id in runs.unattended(now):
        send(run_id)
    if runs.is_due(now):
        since = now.date() - timedelta(days=settings.AUDIT_DAYS) if settings.AUDIT_DAYS else None
        try:
            send(runs.start_audit(since=since, now=now).pk)
        except ValidationError as error:
            # Somebody was faster.
            logger.info("no audit begun: %s", " ".join(error.messages))


def send(run_id: int) -> None:
    """A message that is lost or comes too late is made up for by `keep_audits`."""
    work_on_audit.apply_async((run_id,), retry=False, expires=60)
