"""Celery's way in: thin tasks that call one service."""

from celery import shared_task
from django.utils import timezone

from meters import answers, partitions, refusals


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
