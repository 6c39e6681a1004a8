"""Recounting the raw events against what is computed from them when they come in: buckets, distinct values, keys.

Nothing here runs in the course of things; it is the proof that they went right, and the way back where they did not.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple, TypeVar

from django.db import transaction

from meters import verification_sql
from meters.distribution import is_distributed
from meters.models import Customer, DimensionSet, Meter
from meters.rebuilding import Day, Hour, lock_usage, rebuild
from meters.statements import array, execute

# Customers of one statement. Each reads one snapshot, so that batches which come in beside it are in it or not.
CHUNK = 200
# Hours, days or keys that one transaction repairs; senders wait for it.
REPAIRED_AT_ONCE = 1_000
LAST_ID = 2**31 - 1

Item = TypeVar("Item")


class Difference(NamedTuple):
    """A row that is not what the events say. `stored` and `counted` are None where there is nothing."""

    table: str
    customer_id: int
    meter_id: int
    at: datetime
    dimension_set_id: int | None
    stored: str | None
    counted: str | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some customers' result: what differed, and what still does after a repair. `released`: how many keys without
    their events the repair took away; the events are lost until they are sent again."""

    customers: int
    differences: Sequence[Difference]
    left: Sequence[Difference]
    released: int = 0


class Span(NamedTuple):
    """Customers of ids from `first` to `last`; `customers` is how many there are."""

    first: int
    last: int
    customers: int


def spans_of_all() -> list[Span]:
    """All ids that there can be, so that usage of a customer who does not exist is found too."""
    ids = list(Customer.objects.order_by("id").values_list("id", flat=True))
    starts = [0, *ids[CHUNK::CHUNK], LAST_ID + 1]
    sizes = [len(ids[first : first + CHUNK]) for first in range(0, max(len(ids), 1), CHUNK)]
    return [Span(start, end - 1, size) for (start, end), size in zip(pairwise(starts), sizes, strict=True)]


def spans_of(customers: Iterable[Customer]) -> list[Span]:
    return [Span(customer.id, customer.id, 1) for customer in customers]


def sample(customers: int) -> list[Customer]:
    """So many customers, any of them."""
    return list(Customer.objects.order_by("?")[:customers])


def verify(spans: Iterable[Span], *, repair: bool = False) -> Iterator[Chunk]:
    """Recounts these customers, chunk by chunk. With `repair` what differs is made anew from the events, under the
    lock that voids take, and the customers' usage versions are raised. An event that is missing cannot be: its key is
    taken away, so that it counts when it is sent again."""
    for span in spans:
        found = differences(span)
        left, released = found, 0
        if found and repair:
            released = _repair(found)
            left = differences(span)
        yield Chunk(span.customers, found, left, released)


def differences(span: Span) -> list[Difference]:
    """What is not as the events say, by customer, meter and time."""
    ids = {"first": span.first, "last": span.last}
    if not is_distributed():
        return [Difference(*row) for row in execute(verification_sql.DIFFERENCES, ids)]
    return [
        Difference(*row)
        for (customer,) in execute(verification_sql.CUSTOMERS, ids)
        for row in execute(verification_sql.DIFFERENCES_OF_ONE, {"first": customer})
    ]


def in_words(found: Sequence[Difference]) -> Iterator[str]:
    """A line for each difference."""
    customers = dict(Customer.objects.filter(id__in={d.customer_id for d in found}).values_list("id", "key"))
    meters = dict(Meter.objects.values_list("id", "key"))
    sets = DimensionSet.objects.in_bulk({d.dimension_set_id for d in found if d.dimension_set_id is not None})
    for d in found:
        customer = customers.get(d.customer_id, f"customer {d.customer_id} (unknown)")
        meter = meters.get(d.meter_id, f"meter {d.meter_id} (unknown)")
        where = ""
        if d.dimension_set_id is not None:
            where = f" [{sets.get(d.dimension_set_id, f'dimension set {d.dimension_set_id} (unknown)')}]"
        time = f"{d.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        said = f"stored {d.stored or 'none'}; events {d.counted or 'none'}"
        if d.table == "event missing":
            said = f"its key {d.stored} says it was accepted"
        yield f"{d.table} {customer} {meter} {time} UTC{where}: {said}"


def _repair(found: Sequence[Difference]) -> int:
    """Answers how many keys were released."""
    hours = sorted({(d.customer_id, d.meter_id, d.at) for d in found if d.table == "bucket"})
    days = sorted(
        {(d.customer_id, d.meter_id, d.at.astimezone(UTC).date()) for d in found if d.table == "distinct value"}
    )
    keys = [d for d in found if d.table == "event key"]
    for some_keys in _parts(keys):
        _restore(some_keys)
    for some_days in _parts(days):
        _rebuild((), some_days)
    for some_hours in _parts(hours):
        _rebuild(some_hours, ())
    # The last of all: once its key is gone an event may come in, and is to meet figures that are without it.
    missing = [d for d in found if d.table == "event missing"]
    return sum(_release(some_missing) for some_missing in _parts(missing))


def _parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[first : first + REPAIRED_AT_ONCE] for first in range(0, len(items), REPAIRED_AT_ONCE))


@transaction.atomic
def _rebuild(hours: Sequence[Hour], days: Sequence[Day]) -> None:
    lock_usage()
    rebuild(hours, days)


def _restore(keys: Sequence[Difference]) -> None:
    columns = _columns(keys, [d.counted or "" for d in keys])
    execute(verification_sql.MOVE_KEYS, columns)
    execute(verification_sql.RESTORE_KEYS, columns)


@transaction.atomic
def _release(keys: Sequence[Difference]) -> int:
    lock_usage()
    return len(execute(verification_sql.RELEASE_KEYS, _columns(keys, [d.stored or "" for d in keys])))


def _columns(found: Sequence[Difference], keys: Sequence[str]) -> dict[str, str]:
    return {
        "customers": array(str(d.customer_id) for d in found),
        "meters": array(str(d.meter_id) for d in found),
        "keys": array(keys),
        "times": array(d.at.isoformat() for d in found),
    }
