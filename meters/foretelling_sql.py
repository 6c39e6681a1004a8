"""The SQL that looks what would become of events. It writes into a table of the connection's own alone."""

MAKE_SEEN = """
CREATE TEMPORARY TABLE meters_foretold (
    customer text, meter_id int, key uuid, content bigint, PRIMARY KEY (customer, meter_id, key)
)
"""
DROP_SEEN = """
DROP TABLE IF EXISTS pg_temp.meters_foretold
"""
# What was said to be new before. Uses the primary key.
SEEN = """
SELECT s.customer, s.meter_id, s.key, s.content
FROM unnest(%(customers)s::text[], %(meters)s::int[], %(keys)s::uuid[]) AS t (customer, meter_id, key)
JOIN pg_temp.meters_foretold AS s USING (customer, meter_id, key)
"""
NOTE_SEEN = """
INSERT INTO pg_temp.meters_foretold (customer, meter_id, key, content)
SELECT * FROM unnest(%(customers)s::text[], %(meters)s::int[], %(keys)s::uuid[], %(contents)s::bigint[])
"""
