"""The statements of indexes that are made while their tables are in use. Names are of migrations, never of input."""

LOCK_TIMEOUT = "SHOW lock_timeout"
SET_LOCK_TIMEOUT = "SELECT set_config('lock_timeout', %(limit)s, false)"

# What a try that failed has left.
IS_BROKEN = """
SELECT 1 FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE c.relname = %(name)s AND pg_table_is_visible(c.oid) AND NOT i.indisvalid
"""

EVENT_PARTITIONS = """
SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
WHERE i.inhparent = 'meters_event'::regclass ORDER BY c.relname
"""

ADD_TO_TABLE = "CREATE INDEX IF NOT EXISTS {name} ON ONLY meters_event {definition}"

ADD_TO_PARTITION = "CREATE INDEX CONCURRENTLY IF NOT EXISTS {part} ON {partition} {definition}"

ATTACH = "ALTER INDEX {name} ATTACH PARTITION {part}"

# Whether a partition has its part of the index already.
IS_ATTACHED = """
SELECT 1 FROM pg_inherits AS h JOIN pg_index AS p ON p.indexrelid = h.inhrelid
WHERE h.inhparent = to_regclass(%(name)s) AND p.indrelid = to_regclass(%(partition)s)
"""
