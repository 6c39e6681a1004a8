"""What would become of events, if they were recorded. Nothing is stored, and nobody is held up."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from meters import catalogue, foretelling_sql, sql
from meters.decoding import EventIn, Rejection
from meters.events import Recorded, named_meters, of_known_customers, of_months_here, read_facts
from meters.facts import Fact
from meters.models import is_printable_key
from meters.statements import array, execute

# By customer, meter and key.
Contents = dict[tuple[str, int, str], int]


class Foretelling:
    """Answers for batches that follow each other, each as if those before it were recorded."""

    def __init__(self) -> None:
        # The customers that would be created.
        self.new_customers: set[str] = set()

    def foretell(
        self,
        events: Sequence[EventIn | Rejection],
        *,
        now: datetime,
        spare_id: Callable[[int], str] | None = None,
    ) -> Recorded:
        recorded = Recorded()
        meters = catalogue.meters(named_meters(events))
        facts = read_facts(events, meters, now, recorded, None, spare_id)
        facts = of_months_here(facts, events, recorded)
        customers = catalogue.known_customer_ids({fact.customer for fact in facts})
        taken = dict(customers)
        if settings.INGEST_CREATES_CUSTOMERS:
            taken |= {fact.customer: 0 for fact in facts if _could_be(fact.customer, taken)}
        facts = of_known_customers(facts, taken, events, recorded)
        self.new_customers |= {fact.customer for fact in facts} - customers.keys()
        if facts:
            self._tell(facts, customers, recorded)
        recorded.outcomes.sort(key=lambda outcome: outcome.index)
        return recorded

    def _tell(self, facts: Sequence[Fact], customers: Mapping[str, int], recorded: Recorded) -> None:
        known = _stored(facts, customers) | _seen(facts)
        new: dict[tuple[str, int, str], Fact] = {}
        for fact in facts:
            key = fact.customer, fact.meter_id, fact.key.replace("-", "")
            if key not in known:
                known[key] = fact.content
                new[key] = fact
                recorded.accepted += 1
            else:
                recorded.repeat(fact, is_same=known[key] == fact.content)
        if new:
            with connection.cursor() as cursor:
                cursor.execute(foretelling_sql.NOTE_SEEN, _columns(list(new.values())))


@contextmanager
def foretelling() -> Iterator[Foretelling]:
    with connection.cursor() as cursor:
        cursor.execute(foretelling_sql.DROP_SEEN)
        cursor.execute(foretelling_sql.MAKE_SEEN)
        try:
            yield Foretelling()
        finally:
            cursor.execute(foretelling_sql.DROP_SEEN)


def _could_be(key: str, customers: Mapping[str, int]) -> bool:
    return key not in customers and is_printable_key(key)


def _stored(facts: Sequence[Fact], customers: Mapping[str, int]) -> Contents:
    some = [fact for fact in facts if fact.customer in customers]
    keys = {customers[fact.customer]: fact.customer for fact in some}
    rows = execute(
        sql.EXISTING_KEYS,
        {
            "customers": array(str(customers[fact.customer]) for fact in some),
            "meters": array(str(fact.meter_id) for fact in some),
            "keys": array(fact.key for fact in some),
        },
    )
    return {(keys[customer], meter, key.hex): content for customer, meter, key, content in rows}


def _seen(facts: Sequence[Fact]) -> Contents:
    rows = execute(foretelling_sql.SEEN, _columns(facts))
    return {(customer, meter, key.hex): content for customer, meter, key, content in rows}


def _columns(facts: Sequence[Fact]) -> dict[str, Any]:
    return {
        "customers": [fact.customer for fact in facts],
        "meters": [fact.meter_id for fact in facts],
        "keys": [fact.key for fact in facts],
        "contents": [fact.content for fact in facts],
    }
