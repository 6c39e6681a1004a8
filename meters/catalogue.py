"""Names to ids: the dictionaries that ingest looks every event up in, kept in the process's memory.

Ids never change and rows are never deleted, so an entry is right for ever; meters, whose dimensions can be
added to, are read again after a second.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Collection, Iterable
from functools import partial
from typing import TypeVar

from django.conf import settings
from django.db import connection, transaction

from meters import sql
from meters.facts import DimensionPairs, MeterEntry
from meters.models import Customer, DimensionSet, Meter, is_printable_key
from meters.statements import execute, execute_prepared

METERS_LIVE_SECONDS = 1.0
# Bounds the memory: some 150 bytes an entry.
MAX_ENTRIES = 200_000
# What a process that has just begun reads at once, instead of one by one.
FIRST_ENTRIES = 50_000

Name = TypeVar("Name")


_meters: dict[str, MeterEntry] = {}
_meters_read_at = float("-inf")
_used_meters: set[str] = set()
_customers: dict[str, int] = {}
_customers_read = False
_dimension_sets: dict[DimensionPairs, int] = {}


def forget() -> None:
    """Empties the dictionaries (another database, or a test that rolled back)."""
    global _meters, _customers_read
    _meters = {}
    _used_meters.clear()
    _customers.clear()
    _customers_read = False
    _dimension_sets.clear()
    forget_meters()


def forget_meters() -> None:
    """Lets the next batch of this process read the meters again."""
    global _meters_read_at
    _meters_read_at = float("-inf")


def meters(keys: Collection[str]) -> dict[str, MeterEntry]:
    """The meters of these keys; one that does not exist is missing. A meter made a moment ago is found."""
    global _meters, _meters_read_at
    read_at = time.monotonic()
    if read_at - _meters_read_at < METERS_LIVE_SECONDS and all(key in _meters for key in keys):
        return _meters
    # Another thread may be in the middle of a batch with the old one, so a new one takes its place.
    read = {
        meter.key: MeterEntry(meter.id, frozenset(meter.dimensions), meter.unique_dimension, meter.value_dimension)
        for meter in Meter.objects.only("key", "dimensions", "unique_dimension", "value_dimension")
    }
    _meters, _meters_read_at = read, read_at
    return read


def fixed_meters(keys: Collection[str]) -> dict[str, MeterEntry]:
    """The meters of these keys as they are now, and stay until the transaction ends: one that nothing was counted by
    can still change its meaning (meters/metering.py), and waits for this."""
    rows = execute_prepared(sql.FIXED_METERS, {"keys": list(keys)})
    return {key: MeterEntry(pk, frozenset(dimensions), unique, value) for key, pk, dimensions, unique, value in rows}


def known_as_used(keys: Collection[str]) -> bool:
    """Whether this process knows of each of these meters that something was counted by it."""
    return _used_meters.issuperset(keys)


def note_used(keys: Iterable[str]) -> None:
    _used_meters.update(keys)


def customer_ids(wanted: Collection[str]) -> dict[str, int]:
    """The ids of the customers of these keys.

    A customer never seen before is created, unless INGEST_CREATES_CUSTOMERS is off or its key is not one that a
    customer can have: then it is missing.
    """
    global _customers_read
    if not _customers_read and not connection.in_atomic_block:  # what is not committed may never be
        _customers_read = True
        _customers.update(execute(sql.NEWEST_CUSTOMERS, {"most": FIRST_ENTRIES}))
    ids = {key: _customers[key] for key in wanted if key in _customers}
    unknown = set(wanted) - ids.keys()
    if not unknown:
        return ids
    found = _ids_by_key(unknown)
    new = sorted(key for key in unknown - found.keys() if is_printable_key(key))
    if new and settings.INGEST_CREATES_CUSTOMERS:
        # Sorted, so that two batches that bring the same new customers do not wait for each other in a circle.
        Customer.objects.bulk_create(
            [Customer(key=key, source=Customer.Source.EVENT) for key in new], ignore_conflicts=True
        )
        found |= _ids_by_key(new)
    transaction.on_commit(partial(_remember, _customers, found))
    return ids | found


def known_customer_ids(wanted: Collection[str]) -> dict[str, int]:
    """The ids of those of these customers that there are. None is created."""
    return _ids_by_key(wanted)


def dimension_set_ids(wanted: Collection[DimensionPairs]) -> dict[DimensionPairs, int]:
    """The ids of these combinations of declared dimensions. New ones are stored."""
    ids = {pairs: _dimension_sets[pairs] for pairs in wanted if pairs in _dimension_sets}
    unknown = set(wanted) - ids.keys()
    if not unknown:
        return ids
    digests = {pairs: _digest(pairs) for pairs in unknown}
    found = _ids_by_digest(digests.values())
    if missing := sorted(pairs for pairs in unknown if digests[pairs] not in found):
        DimensionSet.objects.bulk_create(
            [DimensionSet(digest=digests[pairs], values=dict(pairs)) for pairs in missing], ignore_conflicts=True
        )
        found |= _ids_by_digest(digests[pairs] for pairs in missing)
    new = {pairs: found[digests[pairs]] for pairs in unknown}
    transaction.on_commit(partial(_remember, _dimension_sets, new))
    return ids | new


# Called once what is new is committed: until then nobody else may count on it.
def _remember(dictionary: dict[Name, int], new: dict[Name, int]) -> None:
    if len(dictionary) + len(new) > MAX_ENTRIES:
        dictionary.clear()
    dictionary.update(new)


def _digest(pairs: DimensionPairs) -> uuid.UUID:
    text = json.dumps(pairs, separators=(",", ":"))
    return uuid.UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16, person=b"dimension-set").digest())


def _ids_by_digest(digests: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
    return dict(DimensionSet.objects.filter(digest__in=list(digests)).values_list("digest", "id"))


def _ids_by_key(keys: Iterable[str]) -> dict[str, int]:
    return dict(execute_prepared(sql.CUSTOMER_IDS, {"keys": list(keys)}))
