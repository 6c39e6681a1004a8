"""Goes through the chain of the audit log again, and names what is not as it was sealed."""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection, transaction

from meters.audit_log import log_sql as sql
from meters.audit_log.chain import START, link
from meters.audit_log.sealing import Head, head, seal
from meters.audit_log.triggers import faults
from meters.snapshot import snapshot

AT_ONCE = 5_000
# Some seconds of work.
OF_ONE_RUN = 200_000
# More are counted, and not named.
MOST_FINDINGS = 100
# A row that waits longer than that was not sealed when it should have been.
PATIENCE = timedelta(hours=1)


log = logging.getLogger(__name__)


@dataclass
class Verified:
    """What was found: `head` is where the chain ends, by its rows."""

    rows: int = 0
    found: int = 0
    findings: list[str] = field(default_factory=list)
    head: Head = field(default_factory=lambda: Head(0, START))

    def add(self, finding: str) -> None:
        self.found += 1
        if self.found <= MOST_FINDINGS:
            self.findings.append(finding)


def verify(
    *, now: datetime, expected: tuple[Head, ...] = (), note_progress: Callable[[int, int], None] = lambda *_: None
) -> Verified:
    """Recomputes the whole chain, in one snapshot of the database. `expected`: heads that were noted elsewhere."""
    # Without a head nothing can be sealed, which is told below.
    with suppress(LookupError):
        seal(wait=True)
    with snapshot():
        result = _look(Head(0, START), now, {one.position: one.hash for one in expected}, note_progress)
    _note(result)
    return result


def keep_verified(*, now: datetime, most: int = OF_ONE_RUN) -> Verified:
    """Goes on where it was found whole the last time, for `most` rows."""
    with snapshot():
        result = _look(_verified(), now, {}, most=most)
    _note(result)
    for finding in result.findings:
        log.error("audit log: %s", finding)
    return result


def _look(
    start: Head,
    now: datetime,
    expected: dict[int, bytes],
    note_progress: Callable[[int, int], None] = lambda *_: None,
    most: int | None = None,
) -> Verified:
    result = Verified(head=start)
    try:
        end = head()
    except LookupError as error:
        result.add(str(error))
        end = start
    for fault in faults():
        result.add(f"Changes are not written down: {fault}.")
    if start.position and _hash_at(start.position) != start.hash:
        result.add(f"Row {start.position} of the chain is not the one that was found there last time.")
    for position, hashed, row in _rows(start.position):
        _look_at(result, position, hashed, row, end)
        if position in expected and expected.pop(position) != hashed:
            result.add(f"Row {position} of the chain is not the one that was noted: its hash is {hashed.hex()}.")
        if result.rows % AT_ONCE == 0:
            note_progress(result.rows, end.position)
        if most is not None and result.rows >= most:
            return result
    if result.head.position < end.position:
        result.add(f"The chain ends at row {result.head.position}, and had {end.position}: its end is missing.")
    elif result.head.position == end.position and result.head.hash != end.hash:
        result.add(f"The chain does not end with the hash that was kept of it, at row {end.position}.")
    for position in sorted(expected):
        if expected[position] != START:
            result.add(f"Row {position} of the chain is missing, which was noted.")
    _look_at_waiting(result, now)
    return result


def _look_at(result: Verified, position: int, hashed: bytes, row: tuple[str | int | None, ...], end: Head) -> None:
    last = result.head
    if position != last.position + 1:
        gone = f"{last.position + 1}" if position == last.position + 2 else f"{last.position + 1} to {position - 1}"
        result.add(f"Missing in the chain before change {row[0]}: row {gone}.")
    # Behind a gap the hash before it is not known: that of the row cannot be told from a right one.
    elif link(last.hash, position, row) != hashed:
        result.add(f"Row {position} of the chain, {_name(row)}, is not as it was sealed.")
    if position == end.position + 1:
        result.add(f"Row {position} of the chain, {_name(row)}, is behind the end that was kept of it.")
    result.rows += 1
    result.head = Head(position, hashed)


def _name(row: tuple[str | int | None, ...]) -> str:
    number, _, _, action, table, object_id, *_ = row
    return f"change {number} ({action} of {table} {object_id})"


def _look_at_waiting(result: Verified, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.WAITING)
        waiting, since = cursor.fetchone()
    if waiting and now - since > PATIENCE:
        result.add(f"{waiting} changes wait to be sealed, the first since {since:%Y-%m-%d %H:%M}: the worker does not.")


def _rows(after: int) -> Iterator[tuple[int, bytes, tuple[str | int | None, ...]]]:
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql.SEALED, {"after": after})
        while rows := cursor.fetchmany(AT_ONCE):
            for position, hashed, *content in rows:
                yield position, bytes(hashed), tuple(content)


def _hash_at(position: int) -> bytes | None:
    with connection.cursor() as cursor:
        cursor.execute(sql.HASH_AT, {"position": position})
        row = cursor.fetchone()
    return bytes(row[0]) if row else None


def _verified() -> Head:
    with connection.cursor() as cursor:
        cursor.execute(sql.VERIFIED)
        row = cursor.fetchone()
    return Head(row[0], bytes(row[1])) if row else Head(0, START)


def _note(result: Verified) -> None:
    """Keeps how far the chain was found to be whole; with a finding it stays where it was."""
    with transaction.atomic(), connection.cursor() as cursor:
        if result.found:
            cursor.execute(sql.NOTE_FOUND, {"finding": " ".join(result.findings[:3])[:1000]})
        else:
            cursor.execute(sql.NOTE_VERIFIED, {"position": result.head.position, "hash": result.head.hash})
