"""Months of events taken out into an archive, and brought back from it.

A month is closed first: from then on nobody takes new events of it (`retention`). Its partition is detached, which
waits for whoever writes there, and so is as it will stay; it is written to a file, the file is read again and counted,
and only then the table is dropped. Killed anywhere in between, the same call goes on from there.
"""

import gzip
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from csv import reader as csv_reader
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import connection, transaction

from meters import partitions, retention, sql
from meters import retiring_sql as statements
from meters.aggregation import plain
from meters.distribution import is_distributed
from meters.models import RetiredMonth
from meters.periods import next_month

COLUMNS = ["id", "customer", "meter", "time", "value", "dimensions", "stored"]
# Seconds: longer than any process goes on with what it knew (`retention.LIVE`).
CLOSED_FOR = 3
PIECE = 1024 * 1024


class NotRetired(Exception):
    """A month cannot be retired or brought back. A sentence for a person."""


@dataclass(frozen=True, slots=True)
class Sums:
    events: int
    voided: int
    # Of the values of those that are not voided.
    sum: str


@dataclass(frozen=True, slots=True)
class Month:
    """A month that can be retired; `bytes` on the disk."""

    month: date
    events: int
    voided: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What stands beside a file of events. A month without events has no file."""

    month: str
    file: str
    sha256: str
    events: int
    meters: dict[str, Sums]
    made_at: str


def months_before(before: date) -> list[Month]:
    """The months before that day whose events are here, oldest first; with those whose retirement was begun.

    Raises NotRetired where none can be retired.
    """
    _need_one_database()
    found = []
    for table in _tables():
        month = _month_of(table)
        if month < before:
            sums = _sums(table).values()
            found.append(Month(month, _total(sums), sum(one.voided for one in sums), _size(table)))
    return found


def retire(month: date, folder: Path, *, now: datetime) -> Manifest:
    """Takes a month out. Raises NotRetired, and OSError where the file cannot be written: then the month is as it was.

    Must not be called inside a transaction.
    """
    with _alone():
        return _retired(month, folder, now)


def _retired(month: date, folder: Path, now: datetime) -> Manifest:
    table = table_of(month)
    if table not in _tables():
        raise NotRetired(f"There are no events of {month:%Y-%m} here.")
    if any(_month_of(other) < month for other in _tables()):
        raise NotRetired(f"Retire the months before {month:%Y-%m} first.")
    _close(month, now)
    try:
        time.sleep(CLOSED_FOR)
        _detach(table)
        manifest = _export(month, table, folder, now)
    except BaseException:
        _reopen(month)
        raise
    with transaction.atomic(), connection.cursor() as cursor:
        begun = RetiredMonth.objects.select_for_update().get(month=month, finished_at=None)
        cursor.execute(statements.DROP.format(table=table))
        begun.events, begun.sha256, begun.finished_at = manifest.events, manifest.sha256, now
        begun.file = str((folder / manifest.file).resolve())[:500] if manifest.events else ""
        begun.save()
    partitions.forget()
    return manifest


def _need_one_database() -> None:
    if is_distributed():
        raise NotRetired(
            "The events are on several machines (manage.py distribute), where months are neither retired nor brought "
            "back: Citus detaches no month while others go on writing. Nothing was done; the events stay."
        )


@contextmanager
def _alone() -> Iterator[None]:
    """One retires or restores at a time."""
    _need_one_database()
    with connection.cursor() as cursor:
        cursor.execute(statements.TRY_LOCK)
        if cursor.fetchone() != (True,):
            raise NotRetired("Another command is retiring or restoring events.")
        try:
            yield
        finally:
            cursor.execute(statements.UNLOCK)


def _reopen(month: date) -> None:
    """Undoes a retirement that was not finished."""
    table = table_of(month)
    if _attached().get(table):
        _detach(table)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.PARTITIONS_LOCK)
        if table in _tables() and table not in _attached():
            _attach(table, month)
        RetiredMonth.objects.filter(month=month, finished_at=None).delete()
    retention.forget()


def restore(file: Path) -> Manifest:
    """Brings a month back from its file. Raises NotRetired; then nothing has changed."""
    with _alone():
        return _restored(file)


def _restored(file: Path) -> Manifest:
    manifest = read_manifest(file)
    month = date.fromisoformat(f"{manifest.month}-01")
    if not RetiredMonth.objects.filter(month=month).exclude(finished_at=None).exists():
        raise NotRetired(f"{manifest.month} is not retired.")
    # What is here is here from one month on: else it would be counted and found wanting.
    later = RetiredMonth.objects.filter(month__gt=month, events__gt=0).first()
    if later is not None:
        raise NotRetired(f"Bring {later} back first.")
    check(file, manifest)
    table = table_of(month)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql.PARTITIONS_LOCK)
        if table in _tables():
            raise NotRetired(f"The events of {manifest.month} are here.")
        cursor.execute(statements.MAKE_STAGE)
        with gzip.open(file, "rb") as packed, cursor.copy(statements.FILL_STAGE) as copy:
            while piece := packed.read(PIECE):
                copy.write(piece)
        cursor.execute(statements.MAKE_TABLE.format(table=table))
        cursor.execute(statements.FILL_TABLE.format(table=table))
        if _sums(table) != manifest.meters:
            raise NotRetired(f"The events in {file} are not those that the manifest tells of.")
        _attach(table, month)
        RetiredMonth.objects.filter(month__gte=month).delete()
    retention.forget()
    return manifest


def check(file: Path, manifest: Manifest) -> None:
    """Raises NotRetired where a file is not the one that its manifest tells of."""
    if _sha256(file) != manifest.sha256:
        raise NotRetired(f"{file} is not what was written: its SHA-256 is not {manifest.sha256}.")
    rows = _rows_in(file)
    if rows != manifest.events:
        raise NotRetired(f"{file} has {rows:,} events; {manifest.events:,} were to be written.")


def read_manifest(file: Path) -> Manifest:
    path = manifest_of(file)
    try:
        found = json.loads(path.read_text())
        return Manifest(**found | {"meters": {key: Sums(**sums) for key, sums in found["meters"].items()}})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NotRetired(f"There is no manifest {path} that can be read: {error}") from error


def manifest_of(file: Path) -> Path:
    return file.with_name(file.name.removesuffix(".csv.gz") + ".json")


def table_of(month: date) -> str:
    return f"meters_event_{month:%Y_%m}"


def _close(month: date, now: datetime) -> None:
    RetiredMonth.objects.get_or_create(month=month, defaults={"began_at": now})
    retention.forget()


def _detach(table: str) -> None:
    pending = _attached()
    if table not in pending:
        return
    statement = statements.DETACH_FINALIZE if pending[table] else statements.DETACH
    with connection.cursor() as cursor:
        cursor.execute(statement.format(table=table))


def _attach(table: str, month: date) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statements.ATTACH.format(table=table, start=month, end=next_month(month)))


def _export(month: date, table: str, folder: Path, now: datetime) -> Manifest:
    sums = _sums(table)
    if not sums:
        return Manifest(f"{month:%Y-%m}", "", "", 0, {}, now.isoformat())
    file = folder / f"events-{month:%Y-%m}.csv.gz"
    being_made = file.with_name(f"{file.name}.new")
    with being_made.open("wb") as raw:
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed:
            _copy_out(table, packed)
        raw.flush()
        os.fsync(raw.fileno())
    manifest = Manifest(
        month=f"{month:%Y-%m}",
        file=file.name,
        sha256=_sha256(being_made),
        events=_total(sums.values()),
        meters=sums,
        made_at=now.astimezone(UTC).isoformat(),
    )
    check(being_made, manifest)
    manifest_of(file).write_text(json.dumps(asdict(manifest), indent=1) + "\n")
    being_made.replace(file)
    return manifest


def _copy_out(table: str, to: gzip.GzipFile) -> None:
    with connection.cursor() as cursor, cursor.copy(statements.EXPORT.format(table=table)) as copy:
        for piece in copy:
            to.write(bytes(piece))


def _rows_in(file: Path) -> int:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as packed:
        rows: Iterator[list[str]] = csv_reader(packed)
        if next(rows, None) != COLUMNS:
            raise NotRetired(f"{file} has other columns than {', '.join(COLUMNS)}.")
        return sum(1 for _ in rows)


def _sha256(file: Path) -> str:
    made = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            made.update(piece)
    return made.hexdigest()


def _attached() -> dict[str, bool]:
    """The partitions, and whether one is half detached."""
    with connection.cursor() as cursor:
        cursor.execute(statements.ATTACHED)
        return dict(cursor.fetchall())


def _tables() -> list[str]:
    """The months' tables, attached or, where a retirement was begun, not, oldest first."""
    found = set(_attached())
    with connection.cursor() as cursor:
        for begun in RetiredMonth.objects.filter(finished_at=None):
            cursor.execute(statements.IS_TABLE, {"table": table_of(begun.month)})
            if cursor.fetchone() == (True,):
                found.add(table_of(begun.month))
    return sorted(found)


def _month_of(table: str) -> date:
    year, month = table.rsplit("_", 2)[1:]
    return date(int(year), int(month), 1)


def _sums(table: str) -> dict[str, Sums]:
    with connection.cursor() as cursor:
        cursor.execute(statements.SUMS.format(table=table))
        return {key: Sums(events, voided, plain(Decimal(total))) for key, events, voided, total in cursor.fetchall()}


def _total(sums: Any) -> int:
    return sum(one.events for one in sums)


def _size(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statements.SIZE, {"table": table})
        return int(cursor.fetchone()[0])
