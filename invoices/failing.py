"""Work that fails: tried again some times, further and further apart, then parked until staff have it tried again.

So what cannot be done holds up nothing else: neither by being tried before the rest each time, nor by taking the place
of others in the batches that are looked at. A database that is gone is nobody's fault, and no try.
"""

import logging
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from invoices.figures import failed
from invoices.models import FailingWork
from meters.unavailable import SLOW, sqlstate, unavailable

logger = logging.getLogger(__name__)

Kind = FailingWork.Kind
# Seconds until the next try; after that many it is parked.
WAITS = (5, 30, 120, 600)
# No try is put off for longer: what says so was written by a clock that has been put back since.
LONGEST_WAIT = timedelta(minutes=10)
# What is due for so long and was not tried is nothing to be done any more.
SETTLED = timedelta(hours=1)
LONGEST_ERROR = 500
# The class of SQLSTATEs of deadlocks and the like.
ROLLED_BACK = "40"


def attempt(kind: Kind, object_id: int, work: Callable[[], object], *, known: Collection[int], now: datetime) -> bool:
    """Does a piece of work, and answers whether it went well; what it raises is noted. `known`: what failed before.

    Raises what says that the database is gone.
    """
    try:
        work()
    except Exception as error:
        note(kind, object_id, error, now=now)
        return False
    if object_id in known:
        forget(kind, [object_id])
    return True


def known(kind: Kind) -> set[int]:
    """What of this kind failed when it was last tried."""
    return set(FailingWork.objects.filter(kind=kind).values_list("object_id", flat=True))


def left_alone(kind: Kind, now: datetime) -> "QuerySet[FailingWork, int]":
    """What of this kind is not to be tried now. Uses failingwork_once."""
    waits = Q(next_try_at__gt=now, next_try_at__lte=now + LONGEST_WAIT)
    return FailingWork.objects.filter(Q(next_try_at=None) | waits, kind=kind).values_list("object_id", flat=True)


def note(kind: Kind, object_id: int, error: Exception, *, now: datetime) -> None:
    """Notes that a piece of work has failed. Call it in the `except`; raises the error again where the database is
    gone, so that nothing else is tried on it."""
    if is_of_the_database(error):
        raise error
    logger.exception("%s %s failed", kind.value, object_id)
    failed(kind.value)
    text = f"{type(error).__name__}: {error}".replace("\0", "")[:LONGEST_ERROR]
    with transaction.atomic():
        row, _ = FailingWork.objects.select_for_update().get_or_create(
            kind=kind, object_id=object_id, defaults={"first_at": now, "last_at": now, "error": text}
        )
        row.tries += 1
        row.last_at, row.error = now, text
        row.next_try_at = now + timedelta(seconds=WAITS[row.tries - 1]) if row.tries <= len(WAITS) else None
        row.save(update_fields=["tries", "last_at", "error", "next_try_at"])


def is_of_the_database(error: Exception) -> bool:
    """Whether the database is gone, full or has no connection left, so that nothing else would go better. What it
    gave up, as it took too long or waited for something that waits for it, is of the work."""
    return unavailable(error) not in (None, SLOW) and not sqlstate(error).startswith(ROLLED_BACK)


def forget(kind: Kind, object_ids: Iterable[int]) -> None:
    """What has gone well since."""
    FailingWork.objects.filter(kind=kind, object_id__in=list(object_ids)).delete()


def forget_settled(now: datetime) -> None:
    """What failed and is no longer to be done, such as an invoice that is void since."""
    FailingWork.objects.filter(next_try_at__lt=now - SETTLED).delete()


def try_again(rows: "QuerySet[FailingWork]") -> int:
    """Has work tried at once, as if it had never failed; answers how much."""
    return rows.delete()[0]


def parked() -> "QuerySet[FailingWork]":
    """What waits for staff: for the admin, the doctor and the metrics."""
    return FailingWork.objects.filter(next_try_at=None)


def retried() -> "QuerySet[FailingWork]":
    """What has failed and is tried again by itself."""
    return FailingWork.objects.exclude(next_try_at=None)
