"""The SQL that records events, put together of pieces that its three forms share.

Locks: every statement that writes takes its rows in the order event keys, distinct values, buckets, usage versions,
and within a table in key order (event keys: by the id first). That order is the whole deadlock defence; a part of a
statement that must wait for another to be whole asks for its count.
"""

# Parallel arrays, one element an event; `microseconds` since 1970, never before it.
_BATCH = """unnest(
        %(customers)s::int[], %(meters)s::int[], %(keys)s::uuid[], %(contents)s::bigint[], %(times)s::bigint[],
        %(dimension_sets)s::int[], %(values)s::numeric[], %(distinct_values)s::uuid[], %(sent_ids)s::text[],
        %(extras)s::text[]
    ) WITH ORDINALITY AS sent (
        customer_id, meter_id, key, content, microseconds, dimension_set_id, value, distinct_value, sent_id, extra, i
    )"""
_OCCURRED = "timestamptz 'epoch' + microseconds * interval '1 microsecond'"
# Takes the next sequence number: rows come here in the order of the batch, which is the order of arrival.
_FRESH = f"""customer_id, meter_id, key, content, microseconds, {_OCCURRED} AS occurred_at, dimension_set_id,
           value, distinct_value, sent_id, extra, i, nextval('meters_event_sequence_seq') AS sequence"""

# All events, taken to be new. Fails with a unique violation where one of the keys is there, and then nothing is stored.
_NEW = f"""
WITH fresh AS MATERIALIZED (
    SELECT {_FRESH} FROM {_BATCH}
)"""

# The events whose key is not there yet. Fails likewise, but only where another transaction stores one of the keys at
# the same time.
_LOOKED_UP = f"""
WITH fresh AS MATERIALIZED (
    SELECT {_FRESH} FROM {_BATCH}
    WHERE NOT EXISTS (
        SELECT FROM meters_eventkey AS k
        WHERE k.customer_id = sent.customer_id AND k.meter_id = sent.meter_id AND k.key = sent.key OFFSET 0
    )
)"""

_KEYS_OF_FRESH = """,
new_key AS (
    INSERT INTO meters_eventkey (customer_id, meter_id, key, occurred_at, content)
    SELECT customer_id, meter_id, key, occurred_at, content FROM fresh ORDER BY key, customer_id, meter_id
    RETURNING 1
)"""

# The new events again, without failing: whoever comes first has the key, and the others wait for it to be settled.
_RACED = f"""
WITH sent AS MATERIALIZED (
    SELECT * FROM {_BATCH}
),
new_key AS (
    INSERT INTO meters_eventkey (customer_id, meter_id, key, occurred_at, content)
    SELECT customer_id, meter_id, key, {_OCCURRED}, content FROM sent ORDER BY key, customer_id, meter_id
    ON CONFLICT DO NOTHING
    RETURNING customer_id, meter_id, key
),
fresh AS MATERIALIZED (
    SELECT {_FRESH}
    FROM (SELECT sent.* FROM sent JOIN new_key USING (customer_id, meter_id, key) ORDER BY i) AS first
)"""

# What follows from the fresh events, once their keys are there.
#
# The latest event of a bucket is the one with the greatest microsecond of the hour, and of these the last of the batch:
# both in one number, whose maximum needs no sorting.
_STORE = """,
stored AS (
    INSERT INTO meters_event (
        sequence, occurred_at, received_at, key, customer_id, meter_id, dimension_set_id, value, distinct_value,
        sent_id, extra
    )
    SELECT sequence, occurred_at, %(received_at)s, key, customer_id, meter_id, dimension_set_id, value, distinct_value,
           sent_id, extra::jsonb
    FROM fresh WHERE (SELECT count(*) FROM new_key) > 0
),
distinct_value AS (
    INSERT INTO meters_usagedistinct (customer_id, meter_id, day, dimension_set_id, value)
    SELECT DISTINCT customer_id, meter_id, (occurred_at AT TIME ZONE 'UTC')::date, dimension_set_id, distinct_value
    FROM fresh WHERE distinct_value IS NOT NULL AND (SELECT count(*) FROM new_key) > 0
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT DO NOTHING
    RETURNING 1
),
added AS (
    SELECT customer_id, meter_id, microseconds / 3600000000 AS hour, dimension_set_id,
           count(*) AS count, sum(value) AS sum, min(value) AS min, max(value) AS max,
           max((microseconds %% 3600000000) << 30 | i) AS latest
    FROM fresh WHERE (SELECT count(*) FROM new_key) > 0 AND (SELECT count(*) FROM distinct_value) >= 0
    GROUP BY 1, 2, 3, 4
),
bucket AS (
    INSERT INTO meters_usagebucket AS b (
        customer_id, meter_id, hour, dimension_set_id, count, sum, min, max, last, last_at, last_sequence
    )
    SELECT added.customer_id, added.meter_id, timestamptz 'epoch' + added.hour * interval '1 hour',
           added.dimension_set_id, count, sum, min, max, latest.value, latest.occurred_at, latest.sequence
    FROM added JOIN fresh AS latest ON latest.i = added.latest & ((1 << 30) - 1)
    ORDER BY 1, 2, 3, 4
    ON CONFLICT (customer_id, meter_id, hour, dimension_set_id) DO UPDATE SET
        count = b.count + excluded.count,
        sum = b.sum + excluded.sum,
        min = least(b.min, excluded.min),
        max = greatest(b.max, excluded.max),
        last = CASE WHEN (excluded.last_at, excluded.last_sequence) > (b.last_at, b.last_sequence)
                    THEN excluded.last ELSE b.last END,
        last_sequence = CASE WHEN (excluded.last_at, excluded.last_sequence) > (b.last_at, b.last_sequence)
                             THEN excluded.last_sequence ELSE b.last_sequence END,
        last_at = greatest(b.last_at, excluded.last_at)
    RETURNING customer_id, hour
),
version AS (
    INSERT INTO meters_usageversion AS v (customer_id, version, changed_at, oldest_at)
    SELECT customer_id, 1, %(received_at)s::timestamptz, min(hour) FROM bucket GROUP BY 1 ORDER BY 1
    ON CONFLICT (customer_id) DO UPDATE SET
        version = v.version + 1, changed_at = excluded.changed_at, oldest_at = least(v.oldest_at, excluded.oldest_at)
)
SELECT (SELECT count(*) FROM fresh),
       CASE WHEN (SELECT count(*) FROM fresh) < %(count)s THEN (SELECT array_agg(i) FROM fresh) END
"""

# Stores a batch, in which each key is once: the events whose key is new, what they add to the buckets, and the raised
# usage versions, in one statement. Answers one row: how many events are stored, and where these are not all, their
# positions (from 1). Uses the primary keys of meters_eventkey, meters_usagedistinct, meters_usagebucket and
# meters_usageversion. From the cheapest form to the one that never fails; each stands for the one before it where that
# meets a unique violation.
RECORD_EVENTS = (_NEW + _KEYS_OF_FRESH + _STORE, _LOOKED_UP + _KEYS_OF_FRESH + _STORE, _RACED + _STORE)
