"""Making buckets and distinct values anew from the events: after a void, and where a check found a difference."""

from collections.abc import Collection
from datetime import UTC, date, datetime, time

from django.db import connection, transaction
from django.utils import timezone

from meters import voiding_sql as sql
from meters.signals import usage_changed
from meters.statements import array, execute

# Customer, meter and the UTC hour or day that begins here.
Hour = tuple[int, int, datetime]
Day = tuple[int, int, date]


def lock_usage() -> None:
    """Waits for the batches in flight and holds up new ones until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(sql.LOCK_USAGE)


def rebuild(hours: Collection[Hour], days: Collection[Day]) -> None:
    """Makes these hours and days what the events that are not voided come to, and raises the usage versions of their
    customers, who are announced after the commit.

    Call it in the transaction that took `lock_usage`, so that no batch adds to what is being counted.
    """
    if days:
        execute(
            sql.REBUILD_DISTINCT,
            {
                "customers": array(str(customer) for customer, _, _ in days),
                "meters": array(str(meter) for _, meter, _ in days),
                "days": array(day.isoformat() for _, _, day in days),
            },
        )
    if hours:
        execute(
            sql.REBUILD_BUCKETS,
            {
                "customers": array(str(customer) for customer, _, _ in hours),
                "meters": array(str(meter) for _, meter, _ in hours),
                "hours": array(hour.isoformat() for _, _, hour in hours),
            },
        )
    oldest = _oldest(hours, days)
    customers = sorted(oldest)
    if customers:
        raised = {
            "customers": array(str(customer) for customer in customers),
            "oldest": array(oldest[customer].isoformat() for customer in customers),
            "at": timezone.now(),
        }
        execute(sql.RAISE_VERSIONS, raised)
        transaction.on_commit(lambda: usage_changed.send(sender=None, customer_ids=customers), robust=True)


def _oldest(hours: Collection[Hour], days: Collection[Day]) -> dict[int, datetime]:
    """When the oldest of these begins, by customer."""
    oldest: dict[int, datetime] = {}
    midnights = ((customer, datetime.combine(day, time(), UTC)) for customer, _, day in days)
    for customer, begins in (*((customer, hour) for customer, _, hour in hours), *midnights):
        oldest[customer] = min(begins, oldest.get(customer, begins))
    return oldest
