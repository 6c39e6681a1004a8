"""Celery's part of signing in."""

from celery import shared_task
from django.utils import timezone

from invoices.mailing.mails import send_due
from portal.people.browser_sessions import forget_old_sessions
from portal.people.mailed_links import answer_requests, forget_old_requests


@shared_task
def answer_link_requests() -> None:
    """Mails the links that were asked for, at once: somebody waits for them."""
    if answer_requests(now=timezone.now()):
        send_due(alone=True)


@shared_task
def forget_old_sign_ins() -> None:
    now = timezone.now()
    forget_old_sessions(now=now)
    forget_old_requests(now=now)
