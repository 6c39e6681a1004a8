"""The order in which rules are tried and promotions are taken off."""

from collections.abc import Sequence
from itertools import count
from typing import TypeVar

from django.db import transaction
from django.dispatch import Signal

from pricing.models import AssignmentRule, Promotion

Ordered = TypeVar("Ordered", AssignmentRule, Promotion)

# Sent once for all rows that a move gives another position, in its transaction. The sender is their model; `ids` are
# their ids.
moved = Signal()


@transaction.atomic
def move(row: Ordered, *, up: bool) -> bool:
    """Lets a rule or a promotion change places with the one before it, or behind it.

    Answers whether there was one. The lock on all of them keeps two requests from giving the same position twice.
    """
    locked: list[Ordered] = list(type(row)._default_manager.select_for_update(no_key=True).order_by("id"))
    # Sorted here: what another request has moved while this one waited is where it is now.
    rows = sorted(locked, key=lambda other: (other.position, other.pk))
    at = next((index for index, other in enumerate(rows) if other.pk == row.pk), None)
    to = None if at is None else at + (-1 if up else 1)
    if at is None or to is None or not 0 <= to < len(rows):
        return False
    positions = [other.position for other in rows]
    if len(set(positions)) < len(positions):
        # Promotions may share a position; then the older one comes first, and none could be put between.
        positions = [10 * (index + 1) for index in range(len(rows))]
    rows[at], rows[to] = rows[to], rows[at]
    _place(rows, positions)
    return True


def _place(rows: Sequence[Ordered], positions: Sequence[int]) -> None:
    """Gives each row its position, free before it takes it, and tells of all of them at once: whoever locks what
    follows from them can do so in one order."""
    changed = [(row, position) for row, position in zip(rows, positions, strict=True) if row.position != position]
    taken = {*positions, *(row.position for row in rows)}
    free = (position for position in count() if position not in taken)
    stored = type(rows[0])._default_manager
    for row, _ in changed:
        stored.filter(pk=row.pk).update(position=next(free))
    for row, position in changed:
        stored.filter(pk=row.pk).update(position=position)
    moved.send(sender=type(rows[0]), ids=[row.pk for row, _ in changed])
