"""Celery's way in: each task asks the rows what is to be done and calls one service for each."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from celery import shared_task
from django.utils import timezone

from invoices import due, services
from invoices.figures import failed
from invoices.wake import taken_up
from pricing.assignments import onboard, pending_customers

logger = logging.getLogger(__name__)
Thing = TypeVar("Thing")

# One run does at most this much of each kind; the next tick goes on.
BATCH = 1000
# So many invoices are computed together, and committed together: more of them would cost less each and be seen later.
CHUNK = 200
# After an import, or at the turn of a month, very many invoices are to be opened. A run stops after so long, which is
# less than from one tick to the next: one process at a time is taken up by it, and the others sweep.
OPENING_SECONDS = 8


@shared_task
def sweep() -> None:
    """Takes in new customers and brings stale invoices up to date. Sent by a hint, and by the beat regardless."""
    taken_up()
    _each(onboard, pending_customers(BATCH))
    _each(services.rerate, due.late_customers(BATCH))
    bring_up_to_date(due.stale_invoices(BATCH))


@shared_task
def close_periods() -> None:
    """Opens the invoices of periods that have begun, and takes those of ended periods on."""
    now = timezone.now()
    _each(services.open_invoices, due.uncovered_assignments(now, BATCH), seconds=OPENING_SECONDS)
    _each(services.close, due.due_invoices(now, BATCH))


def bring_up_to_date(invoices: Sequence[int]) -> None:
    """Computes stale invoices anew, chunk by chunk. What another worker is at it leaves to that one, and looks after it
    at the end."""
    left = [one for chunk in _chunks(invoices) for one in _recalculate(chunk, wait=False)]
    for chunk in _chunks(left):
        _recalculate(chunk, wait=True)


def _chunks(invoices: Sequence[int]) -> list[Sequence[int]]:
    return [invoices[first : first + CHUNK] for first in range(0, len(invoices), CHUNK)]


def _recalculate(invoices: Sequence[int], *, wait: bool) -> list[int]:
    """Computes a chunk anew, and answers what it left to others; of one that fails it computes each half for itself, so
    that a bad invoice holds up none but itself."""
    try:
        return services.recalculate_stale(invoices, wait=wait)
    except Exception:
        if len(invoices) == 1:
            logger.exception("recalculation failed for invoice %s", invoices[0])
            failed("recalculate")
            return []
        middle = len(invoices) // 2
        return [*_recalculate(invoices[:middle], wait=wait), *_recalculate(invoices[middle:], wait=wait)]


def _each(service: Callable[[Thing], object], things: Iterable[Thing], *, seconds: int | None = None) -> None:
    """Calls the service for each, until so many seconds are over; one that fails is logged, and holds up none of the
    others."""
    started = time.monotonic()
    for thing in things:
        try:
            service(thing)
        except Exception:
            logger.exception("%s failed for %s", service.__name__, getattr(thing, "pk", thing))
            failed(service.__name__)
        if seconds is not None and time.monotonic() - started >= seconds:
            return
