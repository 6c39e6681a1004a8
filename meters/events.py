"""Recording events: validate, deduplicate, store and roll up, in one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from meters import catalogue, partitions, sql
from meters.decoding import EventIn, Rejection
from meters.facts import Fact, accepted_times, facts_of
from meters.models import is_printable_key
from meters.signals import usage_changed
from meters.statements import array, execute

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

    def reject(self, index: int, rejection: Rejection, event_id: str = "", meter: str = "") -> None:
        self.rejected += 1
        self.outcomes.append(
            Outcome(
                index=index,
                outcome="rejected",
                id=event_id or rejection.id,
                meter=meter,
                code=rejection.code,
                pointer=rejection.pointer,
                detail=rejection.detail,
            )
        )


def record_events(events: Sequence[EventIn | Rejection], *, now: datetime | None = None) -> Recorded:
    """Stores what is new in `events` and answers what became of each. `now` is the time of arrival.

    When this returns outside a transaction, what it counts as accepted is committed, with the usage that follows
    from it: a read after the answer sees it. Bad events are reported in the answer. A database error passes
    through, and then nothing of the batch is stored.
    """
    now = now or timezone.now()
    recorded = Recorded()
    facts = _read(events, now, recorded)
    customers, created = catalogue.customer_ids(fact.customer for fact in facts)
    facts = _of_known_customers(facts, customers, recorded)
    if facts:
        _store(facts, customers, now, recorded)
    if recorded.accepted or created:
        customer_ids = sorted(customers.values())
        transaction.on_commit(lambda: usage_changed.send(sender=None, customer_ids=customer_ids), robust=True)
    recorded.outcomes.sort(key=lambda outcome: outcome.index)
    return recorded


def _read(events: Sequence[EventIn | Rejection], now: datetime, recorded: Recorded) -> list[Fact]:
    named: set[str] = set()
    for event in events:
        if isinstance(event, EventIn):
            if isinstance(event.values, dict):
                named.update(event.values)
            elif isinstance(event.meter, str):
                named.add(event.meter)
    meters = catalogue.meters(named)
    times = accepted_times(now, timedelta(days=settings.INGEST_HORIZON_DAYS), MAX_AHEAD)
    facts: list[Fact] = []
    for index, event in enumerate(events):
        if isinstance(event, Rejection):
            recorded.reject(index, event)
            continue
        for fact in facts_of(index, event, meters, times):
            if isinstance(fact, Fact):
                facts.append(fact)
            else:
                meter, rejection = fact
                recorded.reject(index, rejection, event.id if isinstance(event.id, str) else "", meter)
    return facts


def _of_known_customers(facts: list[Fact], customers: Mapping[str, int], recorded: Recorded) -> list[Fact]:
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
            recorded.reject(fact.event_index, rejection, fact.event_id, fact.meter)
    return known


def _store(facts: list[Fact], customers: Mapping[str, int], now: datetime, recorded: Recorded) -> None:
    partitions.ensure_months({fact.month for fact in facts})
    dimension_sets = catalogue.dimension_set_ids(fact.declared for fact in facts)
    columns = {
        "customers": array(str(customers[fact.customer]) for fact in facts),
        "meters": array(str(fact.meter_id) for fact in facts),
        "keys": array(fact.key for fact in facts),
        "contents": array(str(fact.content) for fact in facts),
        "times": array(fact.time for fact in facts),
        "dimension_sets": array(str(dimension_sets[fact.declared]) for fact in facts),
        "values": array(fact.value for fact in facts),
        "distinct_values": array(fact.distinct_value or "NULL" for fact in facts),
        "received_at": now,
        # Free text is quoted by the driver; unnest fills a missing array with nulls.
        "sent_ids": _texts([fact.sent_id for fact in facts]),
        "extras": _texts([fact.extra for fact in facts]),
    }
    stored, positions = execute(sql.RECORD_EVENTS, columns)[0]
    recorded.accepted = stored
    if stored < len(facts):
        new = set(positions or ())
        repeated = [fact for position, fact in enumerate(facts, start=1) if position not in new]
        _report_repeated(repeated, customers, recorded)


def _report_repeated(repeated: list[Fact], customers: Mapping[str, int], recorded: Recorded) -> None:
    """Tells duplicates from conflicts, by what the guard holds now that the batch is in.

    A second statement, because a key that another transaction stored while ours ran is invisible to ours.
    """
    rows = execute(
        sql.EXISTING_KEYS,
        {
            "customers": array(str(customers[fact.customer]) for fact in repeated),
            "meters": array(str(fact.meter_id) for fact in repeated),
            "keys": array(fact.key for fact in repeated),
        },
    )
    contents = {(customer, meter, key.hex): content for customer, meter, key, content in rows}
    for fact in repeated:
        first = contents[customers[fact.customer], fact.meter_id, fact.key.replace("-", "").lower()]
        outcome = "duplicate" if first == fact.content else "conflict"
        if outcome == "duplicate":
            recorded.duplicate += 1
            detail = ""
        else:
            recorded.conflict += 1
            detail = "Another event was sent under this id before; that one counts."
        recorded.outcomes.append(
            Outcome(index=fact.event_index, outcome=outcome, id=fact.event_id, meter=fact.meter, detail=detail)
        )


def _texts(texts: list[str | None]) -> list[str | None] | None:
    return texts if any(text is not None for text in texts) else None
