"""Making buckets and distinct values anew from the events: after a void, and where a check found a difference."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, date, datetime, time
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

from django.db import connection, transaction
from django.utils import timezone

from meters import voiding_sql as sql
from meters.distribution import is_distributed
from meters.signals import usage_changed
from meters.statements import array, execute

# Customer, meter and the UTC hour or day that begins here.
Hour = tuple[int, int, datetime]
Day = tuple[int, int, date]

Row = TypeVar("Row")


def lock_usage() -> None:
    """Waits for the batches in flight and holds up new ones until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(sql.LOCK_USAGE)


def rebuild(hours: Collection[Hour], days: Collection[Day]) -> None:
    """Makes these hours and days what the events that are not voided come to, and raises the usage versions of their
    customers, who are announced after the commit.

    Call it in the transaction that took `lock_usage`, so that no batch adds to what is being counted.
    """
    for statement, one, some_days in together(sql.REBUILD_DISTINCT, days, itemgetter(0)):
        execute(statement, _columns(some_days) | {"customer": one})
    for statement, one, some_hours in together(sql.REBUILD_BUCKETS, hours, itemgetter(0)):
        execute(statement, _columns(some_hours) | {"customer": one})
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


def together(
    statement: str, rows: Collection[Row], customer_of: Callable[[Row], int]
) -> Iterator[tuple[str, int | None, list[Row]]]:
    """A statement of voiding_sql and all rows to run it for at once; or, where customers are spread over several
    machines, each customer's rows for themselves, and the customer."""
    if not is_distributed():
        if rows:
            yield sql.of_many(statement), None, list(rows)
        return
    for customer, some in groupby(sorted(rows, key=customer_of), customer_of):
        yield sql.of_one(statement), customer, list(some)


def _columns(spans: Sequence[Hour] | Sequence[Day]) -> dict[str, str]:
    return {
        "customers": array(str(customer) for customer, _, _ in spans),
        "meters": array(str(meter) for _, meter, _ in spans),
        "times": array(begins.isoformat() for _, _, begins in spans),
    }


def _oldest(hours: Collection[Hour], days: Collection[Day]) -> dict[int, datetime]:
    """When the oldest of these begins, by customer."""
    oldest: dict[int, datetime] = {}
    midnights = ((customer, datetime.combine(day, time(), UTC)) for customer, _, day in days)
    for customer, begins in (*((customer, hour) for customer, _, hour in hours), *midnights):
        oldest[customer] = min(begins, oldest.get(customer, begins))
    return oldest
