"""Celery's way in: thin tasks that call one service."""

from celery import shared_task
from django.utils import timezone

from meters import partitions


@shared_task
def make_partitions() -> None:
    """Makes the partitions of the coming months."""
    partitions.ensure_accepted_span(timezone.now())
