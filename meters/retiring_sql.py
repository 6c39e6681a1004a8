"""The SQL of taking a month of events out, and of bringing one back. Names of tables are made of the month alone."""

# The partitions, and whether one of them is half detached: a command was killed in between.
ATTACHED = """
SELECT c.relname, i.inhdetachpending FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'meters_event'::regclass ORDER BY 1
"""
# Of the session, as a retirement is several transactions.
TRY_LOCK = "SELECT pg_try_advisory_lock(hashtext('meters_event retiring'))"
UNLOCK = "SELECT pg_advisory_unlock(hashtext('meters_event retiring'))"
IS_TABLE = "SELECT to_regclass(%(table)s) IS NOT NULL"
DETACH = "ALTER TABLE meters_event DETACH PARTITION {table} CONCURRENTLY"
DETACH_FINALIZE = "ALTER TABLE meters_event DETACH PARTITION {table} FINALIZE"
ATTACH = "ALTER TABLE meters_event ATTACH PARTITION {table} FOR VALUES FROM ('{start} 00:00+00') TO ('{end} 00:00+00')"
DROP = "DROP TABLE {table}"

# By meter: how many events, how many of them are voided, and the sum of the values of the others.
SUMS = """
SELECT m.key, count(*), count(e.void_id), coalesce(sum(e.value) FILTER (WHERE e.void_id IS NULL), 0)
FROM {table} AS e JOIN meters_meter AS m ON m.id = e.meter_id GROUP BY 1 ORDER BY 1
"""
SIZE = "SELECT pg_total_relation_size(%(table)s::regclass)"

# As `import_events` reads them, and in the last column all that the row is beside it.
EXPORT = """
COPY (
    SELECT coalesce(e.sent_id, e.key::text) AS id, c.key AS customer, m.key AS meter,
           to_char(e.occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS time, e.value AS value,
           (s.values || coalesce(e.extra, '{{}}'))::text AS dimensions,
           json_build_object(
               'sequence', e.sequence, 'received_at', e.received_at, 'key', e.key, 'customer_id', e.customer_id,
               'meter_id', e.meter_id, 'dimension_set_id', e.dimension_set_id, 'distinct_value', e.distinct_value,
               'sent_id', e.sent_id, 'extra', e.extra, 'void_id', e.void_id
           )::text AS stored
    FROM {table} AS e
    JOIN meters_customer AS c ON c.id = e.customer_id
    JOIN meters_meter AS m ON m.id = e.meter_id
    JOIN meters_dimensionset AS s ON s.id = e.dimension_set_id
    ORDER BY e.sequence
) TO STDOUT (FORMAT csv, HEADER)
"""

MAKE_STAGE = """
CREATE TEMPORARY TABLE meters_restored (
    id text, customer text, meter text, time timestamptz, value numeric, dimensions text, stored jsonb
) ON COMMIT DROP
"""
FILL_STAGE = "COPY pg_temp.meters_restored FROM STDIN (FORMAT csv, HEADER)"
MAKE_TABLE = "CREATE TABLE {table} (LIKE meters_event INCLUDING ALL EXCLUDING IDENTITY)"
FILL_TABLE = """
INSERT INTO {table} (
    sequence, occurred_at, received_at, key, customer_id, meter_id, dimension_set_id, value, distinct_value, sent_id,
    extra, void_id
)
SELECT (stored ->> 'sequence')::bigint, time, (stored ->> 'received_at')::timestamptz, (stored ->> 'key')::uuid,
       (stored ->> 'customer_id')::int, (stored ->> 'meter_id')::int, (stored ->> 'dimension_set_id')::int, value,
       (stored ->> 'distinct_value')::uuid, stored ->> 'sent_id', nullif(stored -> 'extra', 'null'),
       (stored ->> 'void_id')::int
FROM pg_temp.meters_restored ORDER BY 1
"""
