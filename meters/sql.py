"""The hand-written SQL of the product. Parameters only; each statement names the index it needs.

Locks: every statement that writes takes its rows in the order event keys, distinct values, buckets, usage
versions, and within a table in key order. That order is the whole deadlock defence.
"""

# Stores a batch: the events whose key is new, what they add to the buckets, and the raised usage versions, in
# one statement. Parameters are parallel arrays, one element an event. Of repeats within the batch the first wins.
# Answers one row: how many events are stored, the positions (from 1) of those, and the last sequence number.
# Uses the primary keys of meters_eventkey, meters_usagedistinct, meters_usagebucket, meters_usageversion.
RECORD_EVENTS = """
WITH src AS MATERIALIZED (
    SELECT customer_id, meter_id, key, content, timestamptz 'epoch' + microseconds * interval '1 microsecond'
           AS occurred_at, dimension_set_id, value, distinct_value, sent_id, extra, i
    FROM unnest(
        %(customers)s::int[], %(meters)s::int[], %(keys)s::uuid[], %(contents)s::bigint[], %(times)s::bigint[],
        %(dimension_sets)s::int[], %(values)s::numeric[], %(distinct_values)s::uuid[], %(sent_ids)s::text[],
        %(extras)s::text[]
    ) WITH ORDINALITY AS t (
        customer_id, meter_id, key, content, microseconds, dimension_set_id, value, distinct_value, sent_id, extra, i
    )
),
new_key AS (
    INSERT INTO meters_eventkey (customer_id, meter_id, key, occurred_at, content)
    SELECT DISTINCT ON (customer_id, meter_id, key) customer_id, meter_id, key, occurred_at, content
    FROM src ORDER BY customer_id, meter_id, key, i
    ON CONFLICT DO NOTHING
    RETURNING customer_id, meter_id, key
),
fresh AS MATERIALIZED (
    SELECT DISTINCT ON (customer_id, meter_id, key) src.*
    FROM src JOIN new_key USING (customer_id, meter_id, key)
    ORDER BY customer_id, meter_id, key, i
),
stored AS (
    INSERT INTO meters_event (
        occurred_at, received_at, key, customer_id, meter_id, dimension_set_id, value, distinct_value, sent_id, extra
    )
    SELECT occurred_at, %(received_at)s, key, customer_id, meter_id, dimension_set_id, value, distinct_value,
           sent_id, extra::jsonb
    FROM fresh ORDER BY i
    RETURNING sequence, occurred_at, customer_id, meter_id, dimension_set_id, value, distinct_value
),
distinct_value AS (
    INSERT INTO meters_usagedistinct (customer_id, meter_id, day, dimension_set_id, value)
    SELECT DISTINCT customer_id, meter_id, (occurred_at AT TIME ZONE 'UTC')::date, dimension_set_id, distinct_value
    FROM stored WHERE distinct_value IS NOT NULL
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT DO NOTHING
),
added AS (
    SELECT customer_id, meter_id, date_trunc('hour', occurred_at, 'UTC') AS hour, dimension_set_id,
           count(*) AS count, sum(value) AS sum, min(value) AS min, max(value) AS max,
           (array_agg(value ORDER BY occurred_at DESC, sequence DESC))[1] AS last,
           max(occurred_at) AS last_at,
           (array_agg(sequence ORDER BY occurred_at DESC, sequence DESC))[1] AS last_sequence
    FROM stored GROUP BY 1, 2, 3, 4
),
bucket AS (
    INSERT INTO meters_usagebucket AS b (
        customer_id, meter_id, hour, dimension_set_id, count, sum, min, max, last, last_at, last_sequence
    )
    SELECT customer_id, meter_id, hour, dimension_set_id, count, sum, min, max, last, last_at, last_sequence
    FROM added ORDER BY 1, 2, 3, 4
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
    RETURNING customer_id
),
version AS (
    INSERT INTO meters_usageversion AS v (customer_id, version, changed_at)
    SELECT DISTINCT customer_id, 1, %(received_at)s::timestamptz FROM bucket ORDER BY 1
    ON CONFLICT (customer_id) DO UPDATE SET version = v.version + 1, changed_at = excluded.changed_at
)
SELECT (SELECT count(*) FROM fresh),
       CASE WHEN (SELECT count(*) FROM fresh) < (SELECT count(*) FROM src)
            THEN (SELECT array_agg(i) FROM fresh) END
"""

# Names to ids. The unique index on the key of meters_customer; the primary key for the newest.
CUSTOMER_IDS = """
SELECT key, id FROM meters_customer WHERE key = ANY(%(keys)s::text[])
"""
NEWEST_CUSTOMERS = """
SELECT key, id FROM meters_customer ORDER BY id DESC LIMIT %(most)s
"""

# Meters as they are, held against a change of their meaning until the transaction ends. Uses the unique index on key.
FIXED_METERS = """
SELECT key, id, dimensions, unique_dimension, value_dimension FROM meters_meter
WHERE key = ANY(%(keys)s::text[]) ORDER BY id FOR KEY SHARE
"""

# What the guard holds of keys that were not new. Uses the primary key of meters_eventkey.
EXISTING_KEYS = """
SELECT k.customer_id, k.meter_id, k.key, k.content
FROM unnest(%(customers)s::int[], %(meters)s::int[], %(keys)s::uuid[]) AS t (customer_id, meter_id, key)
JOIN meters_eventkey AS k USING (customer_id, meter_id, key)
"""

# Counts refusals by reason and day. A reason that is new on a day with %(most)s reasons already is left out; answers
# the keys of those that were counted. Uses rejected_event_once_a_day.
NOTE_REFUSALS = """
INSERT INTO meters_rejectedevent AS r (
    day, code, pointer, meter, sender, count, first_at, last_at, customer, detail, example
)
SELECT %(day)s::date, t.code, t.pointer, t.meter, %(sender)s::text, t.count, %(now)s::timestamptz,
       %(now)s::timestamptz, t.customer, t.detail, t.example
FROM unnest(
    %(codes)s::text[], %(pointers)s::text[], %(meters)s::text[], %(counts)s::bigint[], %(customers)s::text[],
    %(details)s::text[], %(examples)s::text[]
) AS t (code, pointer, meter, count, customer, detail, example)
WHERE (SELECT count(*) FROM meters_rejectedevent WHERE day = %(day)s AND sender = %(sender)s) < %(most)s
   OR t.pointer = '' AND t.meter = ''
   OR EXISTS (
       SELECT 1 FROM meters_rejectedevent AS o
       WHERE (o.day, o.code, o.pointer, o.meter, o.sender)
           = (%(day)s::date, t.code, t.pointer, t.meter, %(sender)s::text)
   )
ORDER BY t.code, t.pointer, t.meter
ON CONFLICT (day, code, pointer, meter, sender) DO UPDATE SET
    count = r.count + excluded.count, last_at = excluded.last_at, customer = excluded.customer,
    detail = excluded.detail, example = excluded.example
RETURNING code, pointer, meter
"""

# The months that events can be stored in.
PARTITIONS = """
SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'meters_event'::regclass
"""

# Held by whoever makes partitions: IF NOT EXISTS alone lets two at once collide in the system catalogue.
PARTITIONS_LOCK = """
SELECT pg_advisory_xact_lock(hashtext('meters_event partitions'))
"""

# A month's partition; its name and bounds are made of the month alone (meters/partitions.py), never of input.
CREATE_PARTITION = """
CREATE TABLE IF NOT EXISTS {name} PARTITION OF meters_event FOR VALUES FROM ({start}) TO ({end})
"""
