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
    "newest": "e.sequence > %(newest)s",
    "voided": "e.void_id IS NOT NULL",
    "not_voided": "e.void_id IS NULL",
    "record": "e.void_id = %(record)s",
    # A dimension that the event lacks is the empty text, whether the meter declares it or not.
    "dimensions": """
        (
            %(lacked)s::jsonb || coalesce(e.extra, '{}')
            || (SELECT s.values FROM meters_dimensionset AS s WHERE s.id = e.dimension_set_id)
        ) @> %(dimensions)s::jsonb
    """,
    # The meter's own filter, on declared dimensions; `filters` has those of all meters that have one, by id.
    "in_filter": """
        NOT EXISTS (
            SELECT FROM jsonb_each(%(filters)s::jsonb -> e.meter_id::text) AS c (name, texts)
            WHERE NOT c.texts ? coalesce(
                (SELECT s.values ->> c.name FROM meters_dimensionset AS s WHERE s.id = e.dimension_set_id), ''
            )
        )
    """,
    # The same of the events of all customers, where these are on several machines: no row can ask for more there.
    "in_filter_of_all": """
        (NOT %(filters)s::jsonb ? e.meter_id::text OR (e.meter_id, e.dimension_set_id) IN (
            SELECT f.meter::int, s.id
            FROM jsonb_each(%(filters)s::jsonb) AS f (meter, "where") CROSS JOIN meters_dimensionset AS s
            WHERE NOT EXISTS (
                SELECT FROM jsonb_each(f."where") AS c (name, texts)
                WHERE NOT c.texts ? coalesce(s.values ->> c.name, '')
            )
        ))
    """,
    # The texts that count of declared dimensions, and filters that none of the events meets.
    "where": """
        NOT EXISTS (
            SELECT FROM jsonb_each(%(where)s::jsonb) AS c (name, texts) WHERE NOT c.texts ? coalesce(
                (SELECT s.values ->> c.name FROM meters_dimensionset AS s WHERE s.id = e.dimension_set_id), ''
            )
        )
    """,
    "unless": """
        NOT EXISTS (
            SELECT FROM jsonb_array_elements(%(unless)s::jsonb) AS f ("where") WHERE NOT EXISTS (
                SELECT FROM jsonb_each(f."where") AS c (name, texts) WHERE NOT c.texts ? coalesce(
                    (SELECT s.values ->> c.name FROM meters_dimensionset AS s WHERE s.id = e.dimension_set_id), ''
                )
            )
        )
    """,
    "changed": """
        (e.received_at > %(changed_after)s OR e.void_id IN (
            SELECT r.id FROM meters_voidrecord AS r WHERE r.created_at > %(changed_after)s
        ))
    """,
    "held_changed": """
        EXISTS (
            SELECT FROM meters_event AS a
            WHERE a.customer_id = %(customer)s AND a.meter_id = %(meter)s AND a.occurred_at = e.occurred_at
              AND a.sequence = e.sequence AND a.received_at > %(changed_after)s
        )
    """,
}
# Those that are asked of an event that a value holds from, of which there are time, arrival and dimensions.
OF_HELD = {"where": "where", "unless": "unless", "in_filter": "in_filter", "changed": "held_changed"}
# What no index decides: rows are read for it one by one.
READ_FOR = ("voided", "not_voided", "record", "dimensions", "in_filter", "where", "unless", "changed")


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


def held(names: Iterable[str], *, newer: bool) -> str:
    """Time and arrival of the last events before `start` of each of a meter's gauges whose value goes on into the span,
    at most `limit`: those of buckets, and of the hour that the bound cuts.

    Uses the primary key of meters_usagebucket and meters_event_customer_time.
    """
    return f"""
        SELECT e.occurred_at, e.sequence FROM (
            SELECT DISTINCT ON (h.dimension_set_id) %(meter)s::int AS meter_id, h.* FROM (
                SELECT b.dimension_set_id, b.last_at AS occurred_at, b.last_sequence AS sequence, b.last AS value
                FROM meters_usagebucket AS b
                WHERE b.customer_id = %(customer)s AND b.meter_id = %(meter)s AND b.hour < %(start_hour)s
                UNION ALL
                SELECT v.dimension_set_id, v.occurred_at, v.sequence, v.value
                FROM meters_event AS v
                WHERE v.customer_id = %(customer)s AND v.meter_id = %(meter)s AND v.void_id IS NULL
                  AND v.occurred_at >= %(start_hour)s AND v.occurred_at < %(start)s
            ) AS h
            ORDER BY h.dimension_set_id, h.occurred_at DESC, h.sequence DESC
        ) AS e
        WHERE e.value <> 0 AND {_all(names)} ORDER BY {_order(newer)} LIMIT %(limit)s
    """
