"""What the doctor asks PostgreSQL of itself."""

SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"

VERSION = "SELECT current_setting('server_version_num')::int, current_setting('server_version')"

SERVER = """
SELECT current_setting('cluster_name'), pg_is_in_recovery(), pg_encoding_to_char(d.encoding),
    d.datcollversion, pg_database_collation_actual_version(d.oid), current_database(),
    pg_database_size(d.oid)
FROM pg_database AS d WHERE d.datname = current_database()
"""

CONNECTIONS = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int, count(*)
FROM pg_stat_activity WHERE backend_type = 'client backend'
"""

# A transaction that is forgotten keeps all dead rows since. Of others' sessions only a superuser sees the start.
OLDEST_TRANSACTION = """
SELECT pid, state, extract(epoch FROM clock_timestamp() - xact_start)::float8 FROM pg_stat_activity
WHERE xact_start IS NOT NULL AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND datname = current_database()
ORDER BY xact_start LIMIT 1
"""

EXTENSIONS = "SELECT name FROM unnest(%s::text[]) AS name EXCEPT SELECT extname FROM pg_extension"

NOW = "SELECT clock_timestamp()"
