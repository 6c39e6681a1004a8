"""Recording events: validate, deduplicate, store and roll up, in one transaction."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from django.conf import settings
from django.db import IntegrityError, OperationalError, transaction
from django.utils import timezone
from psycopg.errors import CheckViolation

from meters import batching, catalogue, partitions, retention, sql
from meters.decoding import EventIn, Rejection
from meters.facts import Fact, MeterEntry, Reader, accepted_times, instant, microseconds
from meters.figures import EVENTS
from meters.models import is_printable_key
from meters.statements import NULL, array, execute_prepared, quoted

MAX_AHEAD = timedelta(hours=24)


class Outcome(msgspec.Struct, omit_defaults=True, frozen=True):
    """What became of one event, or of one of the meters that it feeds. Accepted ones are only counted."""

    index: int
    outcome: str
    id: str = ""
    meter: str = ""
    code: str = ""
    pointer: str = ""
    detail: str = ""


@dataclass(slots=True)
class Recorded:
    """The answer to a batch: how many ended how, and in order each one that was not accepted.

    An event that feeds several meters counts once for each.
    """

    accepted: int = 0
    duplicate: int = 0
    conflict: int = 0
    rejected: int = 0
    outcomes: list[Outcome] = field(default_factory=list)

    def reject(self, index: int, event_id: str, meter: str, rejection: Rejection) -> None:
        self.rejected += 1
        self.outcomes.append(
            Outcome(
                index=index,
                outcome="rejected",
                id=event_id,
                meter=meter,
                code=rejection.code,
                pointer=rejection.pointer,
                detail=rejection.detail,
            )
        )

    def repeat(self, fact: Fact, *, is_same: bool) -> None:
        """Reports a fact whose id was sent before, with this content or another."""
        detail = "" if is_same else "Another event was sent under this id before; that one counts."
        if is_same:
            self.duplicate += 1
        else:
            self.conflict += 1
        outcome = "duplicate" if is_same else "conflict"
        self.outcomes.append(
            Outcome(index=fact.event_index, outcome=outcome, id=fact.event_id, meter=fact.meter, detail=detail)
        )


def record_events(
    events: Sequence[EventIn | Rejection],
    *,
    now: datetime | None = None,
    only_customer: str | None = None,
    spare_id: Callable[[int], str] | None = None,
) -> Recorded:
    """Stores what is new in `events` and answers what became of each. `now` is the time of arrival.

    When this returns outside a transaction, what it counts as accepted is committed, with the usage that follows
    from it: a read after the answer sees it. Bad events are reported in the answer. A database error passes
    through, and then nothing of the batch is stored. Events of other customers than `only_customer` are refused;
    `spare_id` gives the event at an index an id when it has none (default: a new one).
    """
    now = now or timezone.now()
    named = named_meters(events)
    meters = catalogue.meters(named)
    existing = {key for key in named if key in meters}
    if catalogue.known_as_used(existing):
        return _record(events, meters, now, only_customer, spare_id)
    # The first event of a meter settles what the meter means, and must be read by no other meaning than that.
    ensure_partitions(events, now)
    with transaction.atomic(savepoint=False):
        return _record(events, catalogue.fixed_meters(existing), now, only_customer, spare_id)


def ensure_partitions(events: Sequence[EventIn | Rejection], now: datetime) -> None:
    """Makes partitions ahead of the transaction, which would hold everybody up until it ends."""
    times = accepted_times(now, timedelta(days=settings.INGEST_HORIZON_DAYS), MAX_AHEAD)
    sent = [event.time for event in events if isinstance(event, EventIn) and isinstance(event.time, datetime)]
    inside = [time for time in sent if times.earliest <= time <= times.latest]
    partitions.ensure_span(min([now, *inside]), max([now, *inside]))


def named_meters(events: Sequence[EventIn | Rejection]) -> set[str]:
    """The keys of the meters that the events feed, whether there are such or not."""
    named: set[str] = set()
    for event in events:
        if isinstance(event, EventIn):
            if isinstance(event.values, dict):
                named.update(event.values)
            elif isinstance(event.meter, str):
                named.add(event.meter)
    return named


def _record(
    events: Sequence[EventIn | Rejection],
    meters: Mapping[str, MeterEntry],
    now: datetime,
    only_customer: str | None,
    spare_id: Callable[[int], str] | None,
) -> Recorded:
    recorded = Recorded()
    facts = read_facts(events, meters, now, recorded, only_customer, spare_id)
    facts = of_months_here(facts, events, recorded)
    if facts:
        customers = catalogue.customer_ids({fact.customer for fact in facts})
        facts = of_known_customers(facts, customers, events, recorded)
    if facts:
        _store(facts, customers, now, recorded)
        used = {fact.meter for fact in facts}
        if not catalogue.known_as_used(used):
            transaction.on_commit(lambda: catalogue.note_used(used))
    recorded.outcomes.sort(key=lambda outcome: outcome.index)
    _count(recorded)
    return recorded


def _count(recorded: Recorded) -> None:
    if recorded.accepted:
        EVENTS["accepted"].inc(recorded.accepted)
    if recorded.outcomes:
        for outcome in ("duplicate", "conflict", "rejected"):
            EVENTS[outcome].inc(getattr(recorded, outcome))


def read_facts(
    events: Sequence[EventIn | Rejection],
    meters: Mapping[str, MeterEntry],
    now: datetime,
    recorded: Recorded,
    only_customer: str | None,
    spare_id: Callable[[int], str] | None,
) -> list[Fact]:
    """What is in the events for these meters. Bad ones are reported in `recorded`."""
    times = accepted_times(now, timedelta(days=settings.INGEST_HORIZON_DAYS), MAX_AHEAD)
    reader = Reader(meters, times, recorded.reject)
    for index, event in enumerate(events):
        if isinstance(event, Rejection):
            recorded.reject(index, event.id, "", event)
        elif only_customer is not None and event.customer != only_customer:
            rejection = Rejection("forbidden_customer", "/customer", "This API key is for another customer.")
            recorded.reject(index, event.id if isinstance(event.id, str) else "", "", rejection)
        else:
            reader.read(index, event, spare_id(index) if spare_id else "")
    return reader.facts


def of_months_here(facts: list[Fact], events: Sequence[EventIn | Rejection], recorded: Recorded) -> list[Fact]:
    """The facts of months whose events are here. Of those that are retired what was sent before is known by its key,
    which stays for ever; what is new is refused."""
    before = retention.retired_before()
    if before is None:
        return facts
    limit = microseconds(before)
    old = [fact for fact in facts if fact.time < limit]
    if not old:
        return facts
    customers = catalogue.known_customer_ids({fact.customer for fact in old})
    contents = _contents([fact for fact in old if fact.customer in customers], customers)
    detail = f"Events before {before:%Y-%m-%d} are retired: their invoices are final, and no new ones are taken."
    for fact in old:
        first = contents.get((customers.get(fact.customer, 0), fact.meter_id, fact.key.replace("-", "")))
        if first is not None:
            recorded.repeat(fact, is_same=first == fact.content)
        else:
            sent = events[fact.event_index].id
            rejection = Rejection("retired", "/time", detail)
            recorded.reject(fact.event_index, sent if isinstance(sent, str) else "", fact.meter, rejection)
    return [fact for fact in facts if fact.time >= limit]


def of_known_customers(
    facts: list[Fact], customers: Mapping[str, int], events: Sequence[EventIn | Rejection], recorded: Recorded
) -> list[Fact]:
    """The facts of these customers. The others are reported in `recorded`."""
    known: list[Fact] = []
    for fact in facts:
        if fact.customer in customers:
            known.append(fact)
        else:
            rejection = Rejection("unknown_customer", "/customer", f"There is no customer {fact.customer!r}.")
            if not is_printable_key(fact.customer):
                rejection = Rejection(
                    "invalid", "/customer", "A customer's key is printable text without spaces around."
                )
            # Its id as it was sent: one that was made for it means nothing to anybody.
            sent = events[fact.event_index].id
            recorded.reject(fact.event_index, sent if isinstance(sent, str) else "", fact.meter, rejection)
    return known


def _store(facts: list[Fact], customers: Mapping[str, int], now: datetime, recorded: Recorded) -> None:
    times = [fact.time for fact in facts]
    partitions.ensure_span(instant(min(times)), instant(max(times)))
    firsts: list[Fact] = facts
    repeated: list[Fact] = []
    rows = _rows(facts, customers, now)
    if rows.count < len(facts):
        firsts, repeated = _apart(facts)
        rows = _rows(firsts, customers, now)
    try:
        stored = batching.store(rows)
    except IntegrityError as error:
        if not isinstance(error.__cause__, CheckViolation):
            raise
        # A month went between our look and the statement. Sent again, its events meet what is known by then.
        retention.forget()
        partitions.forget()
        raise OperationalError("A month was retired at this moment. Send the events again.") from error
    if stored is None:
        recorded.accepted = len(firsts)
    else:
        recorded.accepted = len(stored)
        repeated += [fact for position, fact in enumerate(firsts) if position not in stored]
    if repeated:
        _report_repeated(repeated, customers, recorded)


def _apart(facts: list[Fact]) -> tuple[list[Fact], list[Fact]]:
    """The first fact of each key, and the repeats."""
    firsts: dict[tuple[str, int, str], Fact] = {}
    repeated: list[Fact] = []
    for fact in facts:
        if firsts.setdefault((fact.customer, fact.meter_id, fact.key), fact) is not fact:
            repeated.append(fact)
    return list(firsts.values()), repeated


def _rows(facts: Sequence[Fact], customers: Mapping[str, int], now: datetime) -> batching.Rows:
    _, _, _, named, meters, keys, contents, times, values, labels, sent_ids = zip(*facts, strict=True)
    dimension_sets = catalogue.dimension_set_ids({label.declared for label in labels})
    ids = [customers[key] for key in named]
    columns = {
        "customers": ",".join(map(str, ids)),
        "meters": ",".join(map(str, meters)),
        "keys": ",".join(keys),
        "contents": ",".join(map(str, contents)),
        "times": ",".join(map(str, times)),
        "dimension_sets": ",".join([str(dimension_sets[label.declared]) for label in labels]),
        "values": ",".join(values),
        "distinct_values": _optional([label.distinct_value for label in labels]),
        "sent_ids": _optional(sent_ids),
        "extras": _optional([label.extra for label in labels]),
    }
    return batching.Rows(columns, set(zip(ids, meters, keys, strict=True)), set(ids), now)


def _optional(texts: Sequence[str | None]) -> str | None:
    if not any(texts):
        return None
    return ",".join([NULL if text is None else quoted(text) for text in texts])


def _report_repeated(repeated: list[Fact], customers: Mapping[str, int], recorded: Recorded) -> None:
    """Tells duplicates from conflicts, by what the guard holds now that the batch is in.

    A second statement, because a key that another transaction stored while ours ran is invisible to ours.
    """
    contents = _contents(repeated, customers)
    for fact in repeated:
        first = contents[customers[fact.customer], fact.meter_id, fact.key.replace("-", "")]
        recorded.repeat(fact, is_same=first == fact.content)


def _contents(facts: Sequence[Fact], customers: Mapping[str, int]) -> dict[tuple[int, int, str], int]:
    """What the guard holds of these, by customer, meter and key."""
    rows = execute_prepared(
        sql.EXISTING_KEYS,
        {
            "customers": array(str(customers[fact.customer]) for fact in facts),
            "meters": array(str(fact.meter_id) for fact in facts),
            "keys": array(fact.key for fact in facts),
        },
    )
    return {(customer, meter, key.hex): content for customer, meter, key, content in rows}
