"""Celery's part of mails."""

from celery import shared_task

from invoices.mailing.mails import send_due


@shared_task
def send_mails() -> None:
    """Sends the mails that are due."""
    send_due(alone=True)
