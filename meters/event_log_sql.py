"""The SQL of the event list: put together of conditions, as what is asked for decides which index answers."""

from collections.abc import Iterable

COLUMNS = """
    e.sequence, e.occurred_at, e.received_at, e.key, e.customer_id, e.meter_id, e.dimension_set_id, e.value,
    e.distinct_value, e.sent_id, e.extra, e.void_id
"""

# On an event `e`. Those of CHEAP are decided by the index, or by the few rows that an id has.
CONDITIONS = {
    "customer": "e.customer_id = %(customer)s",
    "meters": "e.meter_id = ANY (%(meters)s::int[])",
    "start": "e.occurred_at >= %(start)s",
    "end": "e.occurred_at < %(end)s",
    # The first comparison repeats what the second says of time, in a form that an index and the partitions know.
    "before": "e.occurred_at <= %(at)s AND (e.occurred_at, e.sequence) < (%(at)s, %(sequence)s)",
    "after": "e.occurred_at >= %(at)s AND (e.occurred_at, e.sequence) > (%(at)s, %(sequence)s)",
    "not_before": "e.occurred_at >= %(floor)s",
    "not_after": "e.occurred_at <= %(floor)s",
    "key": "e.key = %(key)s AND e.occurred_at = ANY (%(times)s::timestamptz[])",
    # The sequence number that was given out last is looked up once.
    "newest": """
        e.sequence > (
            SELECT pg_sequence_last_value(pg_get_serial_sequence('meters_event', 'sequence')::regclass)
        ) - %(newest)s
    """,
    "voided": "e.void_id IS NOT NULL",
    "not_voided": "e.void_id IS NULL",
    "record": "e.void_id = %(record)s",
    # A dimension that the event lacks is the empty text, whether the meter declares it or not.
    "dimensions": """
        NOT EXISTS (
            SELECT FROM jsonb_each_text(%(dimensions)s::jsonb) AS d (name, text)
            WHERE d.text <> coalesce(
                (SELECT s.values ->> d.name FROM meters_dimensionset AS s WHERE s.id = e.dimension_set_id),
                e.extra ->> d.name,
                ''
            )
        )
    """,
    # The meter's own filter, on declared dimensions.
    "in_filter": """
        NOT EXISTS (
            SELECT FROM meters_meter AS f CROSS JOIN LATERAL jsonb_each(f."where") AS c (name, texts)
            WHERE f.id = e.meter_id AND NOT c.texts ? coalesce(
                (SELECT s.values ->> c.name FROM meters_dimensionset AS s WHERE s.id = e.dimension_set_id), ''
            )
        )
    """,
}
# What no index decides: rows are read for it one by one.
READ_FOR = ("voided", "not_voided", "record", "dimensions", "in_filter")


def _all(names: Iterable[str]) -> str:
    return " AND ".join(CONDITIONS[name] for name in names) or "TRUE"


def _order(newer: bool) -> str:
    return "e.occurred_at ASC, e.sequence ASC" if newer else "e.occurred_at DESC, e.sequence DESC"


def events_of_customer(names: Iterable[str], *, newer: bool) -> str:
    """The next events of one customer's meters in the order of time, at most `limit`.

    meters_event_customer_time orders the events of one meter, so each meter's are read on their own and merged.
    """
    order = _order(newer)
    return f"""
        SELECT {COLUMNS} FROM unnest(%(meters)s::int[]) AS m (id) CROSS JOIN LATERAL (
            SELECT * FROM meters_event AS e
            WHERE e.customer_id = %(customer)s AND e.meter_id = m.id AND {_all(names)}
            ORDER BY {order} LIMIT %(limit)s
        ) AS e
        ORDER BY {order} LIMIT %(limit)s
    """


def floor_of_customer(names: Iterable[str], *, newer: bool) -> str:
    """Up to which time at most `examined` events of each of one customer's meters are read; NULL: all of them.
    Uses meters_event_customer_time."""
    nearest, order = ("min", "e.occurred_at ASC") if newer else ("max", "e.occurred_at DESC")
    return f"""
        SELECT {nearest}(f.occurred_at) FROM unnest(%(meters)s::int[]) AS m (id) CROSS JOIN LATERAL (
            SELECT e.occurred_at FROM meters_event AS e
            WHERE e.customer_id = %(customer)s AND e.meter_id = m.id AND {_all(names)}
            ORDER BY {order} OFFSET %(examined)s LIMIT 1
        ) AS f
    """


def events_of_all(names: Iterable[str], *, newer: bool) -> str:
    """The next events of a short span, or of those that arrived last. Uses the block ranges of time or sequence."""
    return f"SELECT {COLUMNS} FROM meters_event AS e WHERE {_all(names)} ORDER BY {_order(newer)} LIMIT %(limit)s"


def found(names: Iterable[str]) -> str:
    """What a void needs to know of the events, at most `limit` of them. Uses meters_event_customer_time where a
    customer is named, the block ranges of time otherwise."""
    return f"""
        SELECT e.customer_id, e.meter_id, e.occurred_at, e.sequence, e.value, e.void_id
        FROM meters_event AS e WHERE {_all(names)} LIMIT %(limit)s
    """
