"""`manage.py advance_clock --days N`: puts the demo's clock forward by days, and tells what happened to invoices."""

import time
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import F
from django.utils import timezone

from invoices.models import InvoiceEvent
from invoices.tasks import bills, prepaid
from meters import clock, partitions
from meters.words import day_words
from portal.models import BrowserSession
from pricing.money import format_money

MOST_DAYS = 400
# What one tick of the worker leaves undone, the next one does.
TICKS = 2


class Command(BaseCommand):
    help = "Puts the demo's clock forward, so that a month ends in front of your eyes. Refuses outside a demo."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=int, default=1, help="How many days (default: 1).")
        parser.add_argument("--pause", type=int, default=0, help="Seconds to wait after each day, to watch pages.")

    def handle(self, *args: Any, days: int, pause: int, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError("This is not a demo installation (DEMO is not set): its clock stays as it is.")
        if not 1 <= days <= MOST_DAYS:
            raise CommandError(f"--days is a number from 1 to {MOST_DAYS}.")
        if pause < 0:
            raise CommandError("--pause is a number of seconds.")
        for _ in range(days):
            clock.put_forward(settings.CLOCK_FILE, timedelta(days=1))
            # Whoever looks on stays signed in.
            BrowserSession.objects.update(expire_date=F("expire_date") + timedelta(days=1))
            self._live_through()
            time.sleep(pause)
        self.stdout.write(f"It is {day_words(timezone.now().date())} now.")

    def _live_through(self) -> None:
        """Does what the worker would do in its time, beside it, and tells what came of it."""
        last = InvoiceEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0
        partitions.ensure_accepted_span(timezone.now())
        for _ in range(TICKS):
            bills.close_periods()
            bills.sweep()
        prepaid.follow_credits()
        happened = InvoiceEvent.objects.filter(id__gt=last, kind__in=["opened", "grace", "finalized"])
        for event in happened.select_related("invoice__customer").order_by("id"):
            invoice = event.invoice
            total = format_money(invoice.total, invoice.currency)
            name = f" {invoice.number}" if event.kind == "finalized" else ""
            self.stdout.write(
                f"{day_words(timezone.now().date())}  {event.kind:<10}{invoice.customer}{name}"
                + (f"  {total}" if event.kind != "opened" else "")
            )
