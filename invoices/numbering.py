"""Invoice numbers: one series a year, without gaps."""

from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings

from invoices.models import NumberSeries


def next_number(now: datetime) -> str:
    """The next number of the year that `now` is in at the account, such as "2026-0042". Call it in a transaction.

    The counter's row lock is held until that ends: whoever else wants a number waits, and a rollback gives it
    back. So numbers have no gap and no repeat, at the price of one finalisation at a time.
    """
    year = now.astimezone(ZoneInfo(settings.ACCOUNT_TIME_ZONE)).year
    NumberSeries.objects.get_or_create(year=year)
    series = NumberSeries.objects.select_for_update().get(year=year)
    series.last += 1
    series.save(update_fields=["last"])
    return f"{year}-{series.last:04}"
