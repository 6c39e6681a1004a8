"""Celery's part of webhooks: what is told goes out."""

import logging
import time

from celery import shared_task
from django.utils import timezone

from invoices.webhooks.delivering import give_up_old, send_due
from invoices.webhooks.spreading import MOST, forget_old, spread

logger = logging.getLogger(__name__)

# A run ends after so long; the next tick goes on.
SECONDS = 8


@shared_task
def send_webhooks() -> None:
    """Makes deliveries of what was told, and sends those that are due."""
    started = time.monotonic()
    while spread() == MOST:
        pass
    while time.monotonic() - started < SECONDS and send_due(alone=True):
        pass


@shared_task
def forget_old_webhooks() -> None:
    """Gives up what nobody wants any more, and removes what is kept no longer."""
    now = timezone.now()
    if given_up := give_up_old(now=now):
        logger.info("given up %s deliveries of endpoints that are switched off", given_up)
    while forget_old(now=now):
        pass
