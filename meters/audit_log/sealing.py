"""Gives committed rows of the audit log their place and their hash.

By one process at a time, behind those who write: nobody who changes something waits for it, or for each other. What it
can see is committed, so a row of a long transaction gets its place once that is over.
"""

import logging
from dataclasses import dataclass

from django.db import connection, transaction

from meters.audit_log import log_sql as sql
from meters.audit_log.chain import link

LOCK_KEY = 8_807_001
AT_ONCE = 2_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Head:
    position: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.position}:{self.hash.hex()}"


def seal(*, wait: bool = False) -> int:
    """Seals all that is committed, and answers how many rows. Without `wait`, none if another process is about it."""
    sealed = 0
    while True:
        some = _seal_some(wait)
        sealed += some
        if some < AT_ONCE:
            return sealed


def head() -> Head:
    """How far the chain has come. Raises LookupError where its mark is gone."""
    with connection.cursor() as cursor:
        cursor.execute(sql.HEAD)
        row = cursor.fetchone()
    if row is None:
        raise LookupError("The audit log has lost its head, the row of meters_audithead.")
    return Head(row[0], bytes(row[1]))


def print_head() -> Head:
    """To the log of the process, which is kept elsewhere: a chain that was cut and made anew does not lead to it."""
    found = head()
    log.info("audit log: head %s", found)
    return found


@transaction.atomic
def _seal_some(wait: bool) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql.LOCK if wait else sql.TRY_LOCK, {"key": LOCK_KEY})
        if cursor.fetchone() == (False,):
            return 0
        cursor.execute(sql.TO_SEAL, {"most": AT_ONCE})
        rows = cursor.fetchall()
        if not rows:
            return 0
        end = head()
        last = end.hash
        places: list[int] = []
        hashes: list[bytes] = []
        for place, row in enumerate(rows, end.position + 1):
            last = link(last, place, row)
            places.append(place)
            hashes.append(last)
        cursor.execute(sql.SEAL, {"ids": [row[0] for row in rows], "positions": places, "hashes": hashes})
        cursor.execute(sql.MOVE_HEAD, {"position": places[-1], "hash": last})
    return len(rows)
