"""What was refused, and why, for staff: counted by reason and day, with the latest event as an example.

Written after the events of the request are committed, and never the reason that an answer fails.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec
from django.db import DatabaseError, transaction

from meters import sql
from meters.decoding import MAX_SENT, EventIn, Rejection
from meters.events import Outcome
from meters.models import RejectedEvent
from meters.statements import execute

logger = logging.getLogger(__name__)

# Reasons of one sender kept apart on one day, so that no sender fills the record for another. What comes on top of
# them is counted by its code alone.
MOST = 1_000
KEEP = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    pointer: str
    meter: str
    customer: str
    detail: str
    example: str


def note_refusals(
    events: Sequence[EventIn | Rejection], outcomes: Sequence[Outcome], *, sender: str, now: datetime
) -> None:
    """Counts the rejected and the conflicting ones of `outcomes`, whose `index` points into `events`. `sender` is the
    name of the API key."""
    counts: dict[tuple[str, str, str], int] = {}
    latest: dict[tuple[str, str, str], _Refusal] = {}
    for outcome in outcomes:
        if outcome.outcome == "duplicate":
            continue
        code = outcome.code or outcome.outcome
        key = (_fit(code, 40), _fit(outcome.pointer, 200), _fit(outcome.meter, 200))
        counts[key] = counts.get(key, 0) + 1
        event = events[outcome.index]
        customer = event.customer if isinstance(event, EventIn) else ""
        latest[key] = _Refusal(*key, _fit(customer, 200), _fit(outcome.detail, 500), _example(event))
    if not counts:
        return
    try:
        with transaction.atomic():
            noted = _note(latest, counts, sender, now)
        if left_out := counts.keys() - noted:
            # A transaction of its own: each takes its rows in the order of their keys, and these come before those.
            with transaction.atomic():
                _note(*_by_code(latest, counts, left_out), sender, now)
    except DatabaseError as error:
        logger.warning("refused events were not noted: %s", error)


def forget_old(now: datetime) -> None:
    """Deletes what is older than two weeks."""
    RejectedEvent.objects.filter(day__lt=(now - KEEP).date()).delete()


def _note(
    latest: dict[tuple[str, str, str], _Refusal], counts: dict[tuple[str, str, str], int], sender: str, now: datetime
) -> set[tuple[str, str, str]]:
    refusals = list(latest.values())
    rows = execute(
        sql.NOTE_REFUSALS,
        {
            "day": now.date(),
            "sender": _fit(sender, 200),
            "now": now,
            "most": MOST,
            "codes": [refusal.code for refusal in refusals],
            "pointers": [refusal.pointer for refusal in refusals],
            "meters": [refusal.meter for refusal in refusals],
            "counts": list(counts.values()),
            "customers": [refusal.customer for refusal in refusals],
            "details": [refusal.detail for refusal in refusals],
            "examples": [refusal.example for refusal in refusals],
        },
    )
    return {(code, pointer, meter) for code, pointer, meter in rows}


def _by_code(
    latest: dict[tuple[str, str, str], _Refusal],
    counts: dict[tuple[str, str, str], int],
    keys: set[tuple[str, str, str]],
) -> tuple[dict[tuple[str, str, str], _Refusal], dict[tuple[str, str, str], int]]:
    merged: dict[tuple[str, str, str], _Refusal] = {}
    sums: dict[tuple[str, str, str], int] = {}
    for key in keys:
        code = (key[0], "", "")
        merged[code] = replace(latest[key], pointer="", meter="")
        sums[code] = sums.get(code, 0) + counts[key]
    return merged, sums


def _fit(text: str, length: int) -> str:
    return text[:length].replace("\0", "\N{REPLACEMENT CHARACTER}")


def _example(event: EventIn | Rejection) -> str:
    sent = event.sent if isinstance(event, Rejection) else msgspec.json.encode(event).decode()
    return _fit(sent, MAX_SENT)
