"""`manage.py make_partitions`: what the worker does every 6 hours."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from meters import partitions


class Command(BaseCommand):
    help = "Makes the partitions of all months whose events are accepted now and in the next two months."

    def handle(self, *args: Any, **options: Any) -> None:
        partitions.ensure_accepted_span(timezone.now())
        self.stdout.write(f"There are {partitions.count()} partitions.")
