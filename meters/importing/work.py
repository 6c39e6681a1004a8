"""What is done with a cut of a file: read, put beside the others that are being stored, stored, and told of."""

from array import array
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


@dataclass(slots=True)
class Marks:
    """What batches must not have in common that are stored at the same time: so the first of several events with one id
    counts, and the last of one instant is the latest. From which id to which, and hashes: of the ids, where they are in
    no order; of the instants of meters where the order of events matters."""

    low: str = "\U0010ffff"
    high: str = ""
    ids: Set[int] | None = None
    instants: Set[int] = frozenset()

    def are_apart(self, other: "Marks") -> bool:
        if not self.instants.isdisjoint(other.instants):
            return False
        if self.high < other.low or other.high < self.low:
            return True
        return self.ids is not None and other.ids is not None and self.ids.isdisjoint(other.ids)

    def __getstate__(self) -> tuple[str, str, bytes | None, bytes]:
        packed = None if self.ids is None else array("q", self.ids).tobytes()
        return self.low, self.high, packed, array("q", self.instants).tobytes()

    def __setstate__(self, state: tuple[str, str, bytes | None, bytes]) -> None:
        self.low, self.high, packed, instants = state
        self.ids = None if packed is None else set(array("q", packed))
        self.instants = set(array("q", instants))


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

    def marks(self, batch: Batch) -> "Marks":
        events = [event for event in batch.events if isinstance(event, EventIn)]
        made = batch.ids
        if not made:
            ids = [event.id.lower() for event in events if isinstance(event.id, str)]
        else:
            ids = [
                event.id.lower() if isinstance(event.id, str) else made[index]
                for index, event in enumerate(batch.events)
                if isinstance(event, EventIn)
            ]
        in_order = sorted(ids)
        marks = Marks(in_order[0], in_order[-1]) if ids else Marks()
        # What was written in the order of its ids lies behind what was written before.
        if ids != in_order:
            customers = [event.customer for event in events]
            marks.ids = set(map(hash, zip(customers, ids, strict=True)))
        if not named_meters(events) <= self.orderless:
            marks.instants = {
                hash((event.customer, key, event.time)) for event in events for key in named_meters([event])
            }
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
