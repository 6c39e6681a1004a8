"""How the database stands, for whoever looks after the installation."""

# Seconds from now to the end of the last partition of events.
PARTITIONS_AHEAD = """
SELECT extract(epoch FROM max(
    substring(pg_get_expr(c.relpartbound, c.oid) FROM $$TO \\('([^']+)'\\)$$)::timestamptz
) - %(now)s)
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'meters_event'::regclass
"""

# Connections that are in use, how many there may be, and by how many seconds the database's clock is ahead of ours.
SERVER = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
    current_setting('max_connections')::int, extract(epoch FROM clock_timestamp() - %(clock)s)
"""
