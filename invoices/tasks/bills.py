"""Celery's way in: each task asks the rows what is to be done and calls one service for each."""

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TypeVar

from celery import shared_task
from django.utils import timezone

from invoices import due, failing, services
from invoices.failing import Kind
from invoices.wake import taken_up
from meters.models import Customer
from pricing.assignments import onboard, pending_customers
from pricing.models import Assignment

Thing = TypeVar("Thing", int, Customer, Assignment)

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
    now = timezone.now()
    left_alone = set(failing.left_alone(Kind.ONBOARD, now))
    pending = pending_customers(BATCH + len(left_alone))
    each(Kind.ONBOARD, onboard, [one for one in pending if one.pk not in left_alone])
    each(Kind.RERATE, services.rerate, due.late_customers(BATCH, now=now))
    bring_up_to_date(due.stale_invoices(BATCH, now=now))


@shared_task
def close_periods() -> None:
    """Opens the invoices of periods that have begun, and takes those of ended periods on."""
    now = timezone.now()
    failing.forget_settled(now)
    each(Kind.OPEN, services.open_invoices, due.uncovered_assignments(now, BATCH), seconds=OPENING_SECONDS)
    each(Kind.CLOSE, services.close, due.due_invoices(now, BATCH))


def bring_up_to_date(invoices: Sequence[int]) -> None:
    """Computes stale invoices anew, chunk by chunk. What another worker is at it leaves to that one, and looks after it
    at the end."""
    known = failing.known(Kind.RECALCULATE) if invoices else set()
    left = [one for chunk in _chunks(invoices) for one in _recalculate(chunk, known, wait=False)]
    for chunk in _chunks(left):
        _recalculate(chunk, known, wait=True)


def _chunks(invoices: Sequence[int]) -> list[Sequence[int]]:
    return [invoices[first : first + CHUNK] for first in range(0, len(invoices), CHUNK)]


def _recalculate(invoices: Sequence[int], known: Collection[int], *, wait: bool) -> list[int]:
    """Computes a chunk anew, and answers what it left to others; of one that fails it computes each half for itself, so
    that a bad invoice holds up none but itself."""
    try:
        left = services.recalculate_stale(invoices, wait=wait)
    except Exception as error:
        if failing.is_of_the_database(error):
            raise
        if len(invoices) == 1:
            failing.note(Kind.RECALCULATE, invoices[0], error, now=timezone.now())
            return []
        middle = len(invoices) // 2
        halves = invoices[:middle], invoices[middle:]
        return [one for half in halves for one in _recalculate(half, known, wait=wait)]
    if well := set(known).intersection(invoices).difference(left):
        failing.forget(Kind.RECALCULATE, well)
    return left


def each(
    kind: Kind, service: Callable[[Thing], object], things: Collection[Thing], *, seconds: int | None = None
) -> None:
    """Calls the service for each, until so many seconds are over; one that fails is noted, and holds up none of the
    others."""
    started = time.monotonic()
    known = failing.known(kind) if things else set()
    for thing in things:
        object_id = thing if isinstance(thing, int) else thing.pk
        failing.attempt(kind, object_id, partial(service, thing), known=known, now=timezone.now())
        if seconds is not None and time.monotonic() - started >= seconds:
            return
