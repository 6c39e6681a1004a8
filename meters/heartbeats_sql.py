"""The statements of meters/heartbeats.py. The database's clock is the only one that all of them go by."""

# Uses heartbeat_once.
NOTE = """
WITH gone AS (
    DELETE FROM meters_heartbeat WHERE kind = %(kind)s AND name <> %(name)s
    AND seen_at < clock_timestamp() - make_interval(secs => %(forgotten)s)
)
INSERT INTO meters_heartbeat AS h (kind, name, seen_at) VALUES (%(kind)s, %(name)s, clock_timestamp())
ON CONFLICT (kind, name) DO UPDATE SET seen_at = EXCLUDED.seen_at
"""

HEARD_OF = """
SELECT name, greatest(clock_timestamp() - seen_at, interval '0') FROM meters_heartbeat
WHERE kind = %(kind)s ORDER BY seen_at DESC
"""
