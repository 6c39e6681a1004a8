"""The SQL of checking the tables of usage against the raw events."""

# The first days of the months whose events are there: those of detached partitions are not.
MONTHS = """
    SELECT to_date(right(c.relname, 7), 'YYYY_MM') AS day
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'meters_event'::regclass
"""


# What differs for the customers of a range of ids, all of one snapshot: a batch is in it whole or not at all.
#
# Rows: the table ("bucket", "distinct value", "event key": an event without its key, "event missing": a key without
# its event), customer, meter, the hour, day or time, the dimension set (none of a key), and what is stored and what the
# events say as texts (NULL: nothing). Events of months that are detached are not there to be counted, so what is older
# than the oldest month is left alone, and so are the keys of every month that is not there.
# Reads whole ranges of meters_event_customer_time and of the primary keys.
def _differences(scope: str) -> str:
    return f"""
WITH months AS MATERIALIZED ({MONTHS}),
oldest AS MATERIALIZED (
    SELECT coalesce(min(day), 'infinity') AS day FROM months
),
counted AS (
    SELECT customer_id, meter_id, date_trunc('hour', occurred_at, 'UTC') AS hour, dimension_set_id,
           count(*) AS count, sum(value) AS sum, min(value) AS min, max(value) AS max,
           (array_agg(value ORDER BY occurred_at DESC, sequence DESC))[1] AS last,
           max(occurred_at) AS last_at,
           (array_agg(sequence ORDER BY occurred_at DESC, sequence DESC))[1] AS last_sequence
    FROM meters_event
    WHERE customer_id {scope} AND void_id IS NULL
    GROUP BY 1, 2, 3, 4
),
stored AS (
    SELECT * FROM meters_usagebucket
    WHERE customer_id {scope}
      AND hour >= (SELECT day::timestamp AT TIME ZONE 'UTC' FROM oldest)
),
seen AS (
    SELECT DISTINCT customer_id, meter_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, dimension_set_id,
           distinct_value AS value
    FROM meters_event
    WHERE customer_id {scope} AND void_id IS NULL AND distinct_value IS NOT NULL
),
kept AS (
    SELECT customer_id, meter_id, day, dimension_set_id, value FROM meters_usagedistinct
    WHERE customer_id {scope} AND day >= (SELECT day FROM oldest)
)
SELECT 'bucket', customer_id, meter_id, hour, dimension_set_id,
       CASE WHEN s.count IS NOT NULL THEN concat(s.count, ' events, sum ', s.sum, ', from ', s.min, ' to ', s.max,
            ', last ', s.last, ' of ', s.last_at AT TIME ZONE 'UTC', ' (arrival ', s.last_sequence, ')') END,
       CASE WHEN c.count IS NOT NULL THEN concat(c.count, ' events, sum ', c.sum, ', from ', c.min, ' to ', c.max,
            ', last ', c.last, ' of ', c.last_at AT TIME ZONE 'UTC', ' (arrival ', c.last_sequence, ')') END
FROM stored AS s FULL JOIN counted AS c USING (customer_id, meter_id, hour, dimension_set_id)
WHERE (s.count, s.sum, s.min, s.max, s.last, s.last_at, s.last_sequence)
    IS DISTINCT FROM (c.count, c.sum, c.min, c.max, c.last, c.last_at, c.last_sequence)
UNION ALL
SELECT 'distinct value', customer_id, meter_id, day::timestamp AT TIME ZONE 'UTC', dimension_set_id,
       CASE WHEN k.value IS NOT NULL THEN value::text END, CASE WHEN n.value IS NOT NULL THEN value::text END
FROM kept AS k FULL JOIN seen AS n USING (customer_id, meter_id, day, dimension_set_id, value)
WHERE k.value IS NULL OR n.value IS NULL
UNION ALL
SELECT 'event key', e.customer_id, e.meter_id, e.occurred_at, NULL, NULL, e.key::text
FROM meters_event AS e
WHERE e.customer_id {scope} AND NOT EXISTS (
    SELECT FROM meters_eventkey AS k
    WHERE k.customer_id {scope}
      AND (k.customer_id, k.meter_id, k.key, k.occurred_at) = (e.customer_id, e.meter_id, e.key, e.occurred_at)
)
UNION ALL
SELECT 'event missing', k.customer_id, k.meter_id, k.occurred_at, NULL, k.key::text, NULL
FROM meters_eventkey AS k
WHERE k.customer_id {scope}
  AND date_trunc('month', k.occurred_at AT TIME ZONE 'UTC')::date IN (SELECT day FROM months)
  AND NOT EXISTS (
      SELECT FROM meters_event AS e
      WHERE e.customer_id {scope}
        AND (e.customer_id, e.meter_id, e.key, e.occurred_at) = (k.customer_id, k.meter_id, k.key, k.occurred_at)
  )
ORDER BY 2, 3, 1, 4, 5
"""


DIFFERENCES = _differences("BETWEEN %(first)s AND %(last)s")
# Of one customer, which a database of several machines asks the one that has it: that is one snapshot again.
DIFFERENCES_OF_ONE = _differences("= %(first)s")

# Whoever of a range of ids has rows in one of the tables. Reads whole ranges of the primary keys.
CUSTOMERS = """
SELECT customer_id FROM meters_eventkey WHERE customer_id BETWEEN %(first)s AND %(last)s GROUP BY 1
UNION
SELECT customer_id FROM meters_event WHERE customer_id BETWEEN %(first)s AND %(last)s GROUP BY 1
UNION
SELECT customer_id FROM meters_usagebucket WHERE customer_id BETWEEN %(first)s AND %(last)s GROUP BY 1
UNION
SELECT customer_id FROM meters_usagedistinct WHERE customer_id BETWEEN %(first)s AND %(last)s GROUP BY 1
ORDER BY 1
"""

# A key whose event ought to be there and is not.
ORPHANED = f"""
    date_trunc('month', k.occurred_at AT TIME ZONE 'UTC')::date IN ({MONTHS})
    AND NOT EXISTS (
        SELECT FROM meters_event AS e
        WHERE e.customer_id = k.customer_id AND e.meter_id = k.meter_id
          AND e.occurred_at = k.occurred_at AND e.key = k.key
    )
"""

# Gives events their keys back. What was sent under them is not known any more, so the content matches nothing: a
# repeated event is told to be a conflict, and counts once all the same. A key of another time with no event there is
# this event's own, and follows it first. Uses the primary key of meters_eventkey and meters_event_customer_time.
_LOST = """
SELECT DISTINCT ON (customer_id, meter_id, key) customer_id, meter_id, key, occurred_at
FROM unnest(
    %(customers)s::int[], %(meters)s::int[], %(keys)s::uuid[], %(times)s::timestamptz[]
) AS t (customer_id, meter_id, key, occurred_at)
ORDER BY customer_id, meter_id, key, occurred_at
"""
MOVE_KEYS = f"""
UPDATE meters_eventkey AS k SET occurred_at = t.occurred_at, content = 0
FROM ({_LOST}) AS t
WHERE k.customer_id = t.customer_id AND k.meter_id = t.meter_id AND k.key = t.key AND k.occurred_at <> t.occurred_at
  AND {ORPHANED}
RETURNING k.customer_id
"""
RESTORE_KEYS = f"""
INSERT INTO meters_eventkey AS k (customer_id, meter_id, key, occurred_at, content)
SELECT customer_id, meter_id, key, occurred_at, 0 FROM ({_LOST}) AS t
ON CONFLICT (customer_id, meter_id, key) DO NOTHING
RETURNING customer_id
"""

# Takes keys away whose events are still missing, so that these can be sent again. Run under LOCK_USAGE, which no
# batch is in flight beside. Uses the primary key of meters_eventkey and meters_event_customer_time.
RELEASE_KEYS = f"""
DELETE FROM meters_eventkey AS k
USING unnest(
    %(customers)s::int[], %(meters)s::int[], %(keys)s::uuid[], %(times)s::timestamptz[]
) AS t (customer_id, meter_id, key, occurred_at)
WHERE k.customer_id = t.customer_id AND k.meter_id = t.meter_id AND k.key = t.key AND k.occurred_at = t.occurred_at
  AND {ORPHANED}
RETURNING k.customer_id
"""
