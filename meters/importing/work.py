"""What is done with a cut of a file: read, put beside the others that are being stored, stored, and told of."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from meters.decoding import EventIn, Rejection
from meters.events import Recorded, named_meters
from meters.importing.batches import Batch, Cut, Rows
from meters.importing.outcomes import described, is_csv, text_of
from meters.importing.state import Counts
from meters.models import Meter
from meters.refusals import note_refusals

Record = Callable[[Sequence[EventIn | Rejection], Callable[[int], str] | None], Recorded]

# Of these the order of events does not matter.
ORDERLESS = (
    Meter.Aggregation.SUM,
    Meter.Aggregation.COUNT,
    Meter.Aggregation.MIN,
    Meter.Aggregation.MAX,
    Meter.Aggregation.AVERAGE,
    Meter.Aggregation.UNIQUE_COUNT,
    Meter.Aggregation.PERCENTILE,
)


@dataclass(slots=True)
class Done:
    """What became of a batch. `refused`: each row or meter that was, described. `outcomes`: its lines of the file of
    outcomes."""

    rows: int
    counts: Counts = field(default_factory=Counts)
    refused: list[dict[str, Any]] = field(default_factory=list)
    perhaps_own: int = 0
    outcomes: bytes = b""


@dataclass(frozen=True, slots=True)
class Work:
    """`sender`: in whose name refusals are noted, empty for not at all. `own_until`: up to this row a killed import
    may have stored rows itself. `orderless`: the keys of meters where the order of events does not matter."""

    rows: Rows
    record: Record
    now: datetime
    sender: str
    outcomes: Path | None
    own_until: int
    orderless: Set[str]

    def read(self, cut: Cut) -> Batch:
        return self.rows.read(cut)

    def marks(self, batch: Batch) -> list[int]:
        """What batches must not have in common that are stored at the same time, as hashes: so the first of several
        events with one id counts, and the last of one instant is the latest."""
        events = [event for event in batch.events if isinstance(event, EventIn)]
        ids = [event.id for event in events if isinstance(event.id, str)]
        customers = [event.customer for event in events if isinstance(event.id, str)]
        for index, event_id in batch.ids.items():
            event = batch.events[index]
            if isinstance(event, EventIn):
                ids.append(event_id)
                customers.append(event.customer)
        marks = list(map(hash, zip(customers, map(str.lower, ids), strict=True)))
        if not {event.meter for event in events} <= self.orderless:
            for event in events:
                marks += [hash((event.customer, key, event.time)) for key in named_meters([event])]
        return marks

    def store(self, batch: Batch) -> Done:
        recorded = self.record(batch.events, (lambda index: batch.ids.get(index, "")) if batch.ids else None)
        counts = Counts(recorded.accepted, recorded.duplicate, recorded.conflict, recorded.rejected)
        done = Done(len(batch.rows), counts)
        refused = [outcome for outcome in recorded.outcomes if outcome.outcome in ("rejected", "conflict")]
        if refused and self.sender:
            note_refusals(batch.events, refused, sender=self.sender, now=self.now)
        done.refused = [described(batch, outcome, self.rows) for outcome in refused]
        done.perhaps_own = sum(
            outcome.outcome == "duplicate" and batch.rows[outcome.index] <= self.own_until
            for outcome in recorded.outcomes
        )
        if self.outcomes:
            done.outcomes = text_of(batch, recorded.outcomes, self.rows, as_csv=is_csv(self.outcomes))
        return done


def orderless_meters() -> frozenset[str]:
    return frozenset(Meter.objects.filter(aggregation__in=ORDERLESS).values_list("key", flat=True))
