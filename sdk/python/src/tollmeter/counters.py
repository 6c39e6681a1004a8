"""How many facts went where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counters:
    """Of this client, since it was made (in a process that was forked: since then).

    `sent` were accepted, `duplicate` had been counted before, as happens where an answer was lost and they were sent
    again; both are counted exactly once. `rejected` were refused by the server, `dropped` are lost here. `queued` wait;
    with a spool, those of all processes that share it.
    """

    sent: int = 0
    duplicate: int = 0
    rejected: int = 0
    dropped: int = 0
    queued: int = 0
