"""Celery's way in: thin tasks that call one service."""

from celery import shared_task
from django.utils import timezone

from meters import answers, partitions, refusals
from meters.audit_log import sealing, verifying


@shared_task
def make_partitions() -> None:
    """Makes the partitions of the coming months."""
    partitions.ensure_accepted_span(timezone.now())


@shared_task
def forget_old_refusals() -> None:
    """Deletes what was refused more than two weeks ago."""
    refusals.forget_old(timezone.now())


@shared_task
def forget_old_answers() -> None:
    """Removes what repeated calls are no longer answered with."""
    answers.forget_old(now=timezone.now())


@shared_task
def seal_audit_log() -> None:
    """Gives what was written to the audit log its place in the chain."""
    sealing.seal()


@shared_task
def keep_audit_log() -> None:
    """Prints the head of the audit log, and verifies what was sealed since the last time."""
    sealing.print_head()
    verifying.keep_verified(now=timezone.now())
