"""Hand-written SQL that has no file of its own. Parameters only; each statement names the index it needs."""

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

# Asked by itself: in a statement that other machines work on, they would look at a sequence of their own.
LAST_SEQUENCE = "SELECT pg_sequence_last_value(pg_get_serial_sequence('meters_event', 'sequence')::regclass)"

# The months that events can be stored in.
PARTITIONS = """
SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'meters_event'::regclass
"""

# Held by whoever makes partitions: IF NOT EXISTS alone lets two at once collide in the system catalogue.
PARTITIONS_LOCK = """
SELECT pg_advisory_xact_lock(hashtext('meters_event partitions'))
"""

# Whether there is such a table, be it attached or not.
IS_TABLE = "SELECT to_regclass(%(name)s) IS NOT NULL"

# A month's partition; its name and bounds are made of the month alone (meters/partitions.py), never of input. Made by
# itself and attached, as nobody waits for that: CREATE TABLE ... PARTITION OF waits until nobody uses the events, a
# backup for instance, and whoever comes to use them waits behind it.
CREATE_PARTITION = "CREATE TABLE {name} (LIKE meters_event INCLUDING ALL EXCLUDING IDENTITY)"
ATTACH_PARTITION = "ALTER TABLE meters_event ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})"
