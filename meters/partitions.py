"""The monthly partitions of `meters_event`: made ahead by a task, and on demand for a month nobody foresaw."""

from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from meters import sql
from meters.periods import next_month
from meters.retention import retired_before

# Months (their first days) that this process knows to exist. Partitions are only ever removed by a command that
# also refuses events of their months, so the set never promises too much.
_known: set[date] = set()

AHEAD = timedelta(days=62)


def forget() -> None:
    """Empties the process's memory of partitions (another database, or a test that rolled back)."""
    _known.clear()


def ensure_accepted_span(now: datetime) -> None:
    """Makes the partitions of every time that ingest accepts now and in the next two months."""
    ensure_span(now - timedelta(days=settings.INGEST_HORIZON_DAYS), now + AHEAD)


def lacking(first: datetime, last: datetime) -> list[date]:
    """The months from one instant's to the other's that have no partition, but for those that are retired."""
    first = max(first, retired_before() or first)
    there = _there()
    return [month for month in _months(first, last) if _name(month) not in there]


def count() -> int:
    return len(_there())


def ensure_span(first: datetime, last: datetime) -> None:
    """Makes the partitions of the months from one instant's to the other's where they are missing, but not of those
    that are retired. Safe to race."""
    first = max(first, retired_before() or first)
    missing = [month for month in _months(first, last) if month not in _known]
    if not missing:
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.PARTITIONS_LOCK)
        existing = _there()
        for month in missing:
            name = _name(month)
            if name in existing:
                continue
            cursor.execute(sql.IS_TABLE, {"name": name})
            if cursor.fetchone() == (False,):
                bounds = {"start": f"'{month} 00:00+00'", "end": f"'{next_month(month)} 00:00+00'"}
                cursor.execute(sql.CREATE_PARTITION.format(name=name))
                cursor.execute(sql.ATTACH_PARTITION.format(name=name, **bounds))
    transaction.on_commit(lambda: _known.update(missing))


def _there() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(sql.PARTITIONS)
        return {name for (name,) in cursor.fetchall()}


def _name(month: date) -> str:
    return f"meters_event_{month:%Y_%m}"


def _months(first: datetime, last: datetime) -> list[date]:
    months = [_month(first)]
    end = _month(max(first, last))
    while months[-1] < end:
        months.append(next_month(months[-1]))
    return months


def _month(instant: datetime) -> date:
    utc = instant.astimezone(UTC)
    return date(utc.year, utc.month, 1)
