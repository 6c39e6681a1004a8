"""The SQL of voiding and of rebuilding what events come to from the events themselves.

Who runs LOCK_USAGE first has the buckets and distinct values to itself until its transaction ends: it waits for the
batches in flight, whose statements lock the table of buckets before they read anything, and the next batches wait.
"""

LOCK_USAGE = "LOCK TABLE meters_usagebucket IN SHARE ROW EXCLUSIVE MODE"


def of_many(statement: str) -> str:
    return statement.format(customer="t.customer_id")


def of_one(statement: str) -> str:
    """Says the customer by itself, which a database of several machines needs to find the one that has it all."""
    return statement.format(customer="%(customer)s::int")


# In what follows `{customer}` stands for the customer: see of_many, of_one.

# The events of ids, each id of one meter or (NULL) of all. Answers the position of the id (from 1) and the event.
# Each step looks up one row by an index (OFFSET 0 keeps it so): the primary key of meters_eventkey, which knows when
# the event occurred, then meters_event_customer_time.
FOUND_BY_ID = """
SELECT t.i, e.customer_id, e.meter_id, e.occurred_at, e.sequence, e.value, e.void_id
FROM unnest(%(customers)s::int[], %(meters)s::int[], %(keys)s::uuid[])
    WITH ORDINALITY AS t (customer_id, meter_id, key, i)
CROSS JOIN LATERAL unnest(
    CASE WHEN t.meter_id IS NULL THEN %(all_meters)s::int[] ELSE ARRAY[t.meter_id] END
) AS m (id)
CROSS JOIN LATERAL (
    SELECT k.occurred_at FROM meters_eventkey AS k
    WHERE k.customer_id = {customer} AND k.meter_id = m.id AND k.key = t.key
    OFFSET 0
) AS k
CROSS JOIN LATERAL (
    SELECT e.customer_id, e.meter_id, e.occurred_at, e.sequence, e.value, e.void_id
    FROM meters_event AS e
    WHERE e.customer_id = {customer} AND e.meter_id = m.id AND e.occurred_at = k.occurred_at AND e.key = t.key
    OFFSET 0
) AS e
"""

# Voids (or brings back) the events of one month that are not (or are) voided already, and answers what changed by
# customer, meter and UTC hour, with the sum of the values and whether one of them is of a unique count. Run under
# LOCK_USAGE. Uses meters_event_customer_time of the month's partition.
#
# Each event is looked up first (OFFSET 0 keeps it so): what the planner expects of "voided" and "not voided" is far off
# just after a void, and must not choose the order of the join.
MARK = """
WITH target AS MATERIALIZED (
    SELECT t.customer_id, t.meter_id, t.occurred_at, t.sequence
    FROM unnest(
        %(customers)s::int[], %(meters)s::int[], %(times)s::timestamptz[], %(sequences)s::bigint[]
    ) AS t (customer_id, meter_id, occurred_at, sequence)
    CROSS JOIN LATERAL (
        SELECT FROM meters_event AS e
        WHERE e.customer_id = {customer} AND e.meter_id = t.meter_id
          AND e.occurred_at = t.occurred_at AND e.sequence = t.sequence
          AND e.occurred_at >= %(start)s::timestamptz AND e.occurred_at < %(end)s::timestamptz
          AND (e.void_id IS NULL) = %(counted)s::boolean
          AND (%(held_by)s::int IS NULL OR e.void_id = %(held_by)s::int)
        OFFSET 0
    ) AS e
),
marked AS (
    UPDATE meters_event AS e SET void_id = %(void)s::int
    FROM target AS t
    WHERE e.customer_id = {customer} AND e.meter_id = t.meter_id
      AND e.occurred_at = t.occurred_at AND e.sequence = t.sequence
      AND e.occurred_at >= %(start)s::timestamptz AND e.occurred_at < %(end)s::timestamptz
    RETURNING e.customer_id, e.meter_id, e.occurred_at, e.value, e.distinct_value
)
SELECT customer_id, meter_id, date_trunc('hour', occurred_at, 'UTC'), count(*), sum(value),
       bool_or(distinct_value IS NOT NULL)
FROM marked GROUP BY 1, 2, 3
"""

# Makes the buckets of these hours (parallel arrays) what the events say. Run under LOCK_USAGE.
# Uses meters_event_customer_time and the primary key of meters_usagebucket.
REBUILD_BUCKETS = """
WITH span AS MATERIALIZED (
    SELECT customer_id, meter_id, hour, hour + interval '1 hour' AS until
    FROM unnest(%(customers)s::int[], %(meters)s::int[], %(times)s::timestamptz[]) AS t (customer_id, meter_id, hour)
),
recount AS MATERIALIZED (
    SELECT t.customer_id, t.meter_id, t.hour, r.*
    FROM span AS t CROSS JOIN LATERAL (
        SELECT e.dimension_set_id, count(*) AS count, sum(e.value) AS sum, min(e.value) AS min, max(e.value) AS max,
               (array_agg(e.value ORDER BY e.occurred_at DESC, e.sequence DESC))[1] AS last,
               max(e.occurred_at) AS last_at,
               (array_agg(e.sequence ORDER BY e.occurred_at DESC, e.sequence DESC))[1] AS last_sequence
        FROM meters_event AS e
        WHERE e.customer_id = {customer} AND e.meter_id = t.meter_id
          AND e.occurred_at >= t.hour AND e.occurred_at < t.until AND e.void_id IS NULL
        GROUP BY 1
    ) AS r
),
emptied AS (
    DELETE FROM meters_usagebucket AS b USING span AS t
    WHERE b.customer_id = {customer} AND b.meter_id = t.meter_id AND b.hour = t.hour
      AND NOT EXISTS (
          SELECT FROM recount AS r
          WHERE r.customer_id = b.customer_id AND r.meter_id = b.meter_id AND r.hour = b.hour
            AND r.dimension_set_id = b.dimension_set_id
      )
    RETURNING b.customer_id
),
rebuilt AS (
    INSERT INTO meters_usagebucket AS b (
        customer_id, meter_id, hour, dimension_set_id, count, sum, min, max, last, last_at, last_sequence
    )
    SELECT customer_id, meter_id, hour, dimension_set_id, count, sum, min, max, last, last_at, last_sequence
    FROM recount ORDER BY 1, 2, 3, 4
    ON CONFLICT (customer_id, meter_id, hour, dimension_set_id) DO UPDATE SET
        count = excluded.count, sum = excluded.sum, min = excluded.min, max = excluded.max,
        last = excluded.last, last_at = excluded.last_at, last_sequence = excluded.last_sequence
    WHERE (b.count, b.sum, b.min, b.max, b.last, b.last_at, b.last_sequence)
        IS DISTINCT FROM (excluded.count, excluded.sum, excluded.min, excluded.max,
                          excluded.last, excluded.last_at, excluded.last_sequence)
    RETURNING b.customer_id
)
SELECT (SELECT count(*) FROM emptied) + (SELECT count(*) FROM rebuilt)
"""

# Makes the distinct values of these UTC days (parallel arrays) what the events say. Run under LOCK_USAGE.
# Uses meters_event_customer_time and the primary key of meters_usagedistinct.
REBUILD_DISTINCT = """
WITH span AS MATERIALIZED (
    SELECT customer_id, meter_id, day, day::timestamp AT TIME ZONE 'UTC' AS start_at,
           (day + 1)::timestamp AT TIME ZONE 'UTC' AS end_at
    FROM unnest(%(customers)s::int[], %(meters)s::int[], %(times)s::date[]) AS t (customer_id, meter_id, day)
),
recount AS MATERIALIZED (
    SELECT t.customer_id, t.meter_id, t.day, r.dimension_set_id, r.value
    FROM span AS t CROSS JOIN LATERAL (
        SELECT DISTINCT e.dimension_set_id, e.distinct_value AS value
        FROM meters_event AS e
        WHERE e.customer_id = {customer} AND e.meter_id = t.meter_id
          AND e.occurred_at >= t.start_at AND e.occurred_at < t.end_at
          AND e.distinct_value IS NOT NULL AND e.void_id IS NULL
    ) AS r
),
gone AS (
    DELETE FROM meters_usagedistinct AS d USING span AS t
    WHERE d.customer_id = {customer} AND d.meter_id = t.meter_id AND d.day = t.day
      AND NOT EXISTS (
          SELECT FROM recount AS r
          WHERE r.customer_id = d.customer_id AND r.meter_id = d.meter_id AND r.day = d.day
            AND r.dimension_set_id = d.dimension_set_id AND r.value = d.value
      )
    RETURNING d.customer_id
),
found AS (
    INSERT INTO meters_usagedistinct (customer_id, meter_id, day, dimension_set_id, value)
    SELECT customer_id, meter_id, day, dimension_set_id, value FROM recount ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT DO NOTHING
    RETURNING customer_id
)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM found)
"""

# Raises the usage versions of these customers, with the time of the oldest thing that changed for each (parallel
# arrays). Uses the primary keys of meters_customer and meters_usageversion.
RAISE_VERSIONS = """
INSERT INTO meters_usageversion AS v (customer_id, version, changed_at, oldest_at)
SELECT c.id, 1, %(at)s::timestamptz, t.oldest_at
FROM unnest(%(customers)s::int[], %(oldest)s::timestamptz[]) AS t (customer_id, oldest_at)
JOIN meters_customer AS c ON c.id = t.customer_id ORDER BY 1
ON CONFLICT (customer_id) DO UPDATE SET
    version = v.version + 1, changed_at = excluded.changed_at, oldest_at = least(v.oldest_at, excluded.oldest_at)
RETURNING customer_id
"""
