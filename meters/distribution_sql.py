"""The SQL of spreading the growing tables over the machines of a Citus cluster. Names of tables are our own."""

VERSION = "SELECT extversion FROM pg_extension WHERE extname = 'citus'"
HAS_CATALOGUE = "SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL"
IS_DISTRIBUTED = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_dist_partition WHERE logicalrelid = 'meters_event'::regclass)
"""

# What the cluster does with tables: "distributed" and by which column, "reference", "local", or nothing (not its own);
# and the bytes that a table has in this database, with its partitions and indexes: one that has partitions has none by
# itself, and one that has none is no tree of partitions.
TABLES = """
SELECT t.name, c.citus_table_type, c.distribution_column, c.colocation_id,
       pg_total_relation_size(t.name::regclass)
           + (SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint FROM pg_partition_tree(t.name::regclass))
FROM unnest(%(tables)s::text[]) AS t (name) LEFT JOIN citus_tables AS c ON c.table_name = t.name::regclass
"""

# The nodes that shards are put on, and whether a node is the coordinator.
NODES = """
SELECT nodename || ':' || nodeport, groupid = 0 FROM pg_catalog.pg_dist_node
WHERE isactive AND shouldhaveshards AND noderole = 'primary' ORDER BY nodename, nodeport
"""

# Nobody comes to a table of these before the transaction ends, and whoever is there is waited for.
LOCK = "LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"
# Some names of a partition's indexes are too long for all shards to be made at once.
ONE_BY_ONE = "SET LOCAL citus.multi_shard_modify_mode TO 'sequential'"
NO_LIMITS = "SET LOCAL statement_timeout TO 0"
REFERENCE = "SELECT create_reference_table(%(table)s)"
DISTRIBUTE = "SELECT create_distributed_table(%(table)s, 'customer_id', shard_count => %(shards)s)"
COLOCATE = "SELECT create_distributed_table(%(table)s, 'customer_id', colocate_with => %(other)s)"
# The rows that were there have been copied to the nodes; this is what is left of them here.
EMPTY = "SELECT truncate_local_data_after_distributing_table(%(table)s::regclass)"

# A batch opens a connection for each shard that it writes to, and without this closes all but one again: opening them
# is most of the time that it takes. Of the role that asks, in this database, so that it needs no more rights.
KEEP_CONNECTIONS = "ALTER ROLE CURRENT_USER IN DATABASE {database} SET citus.max_cached_conns_per_worker TO {most}"
KEPT_CONNECTIONS = """
SELECT EXISTS (
    SELECT FROM pg_db_role_setting AS s, unnest(s.setconfig) AS one
    WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND s.setrole IN (0, current_user::regrole) AND one LIKE 'citus.max_cached_conns_per_worker=%%'
)
"""

# Of all rows of a table, whatever node they are on.
COUNT = "SELECT count(*) FROM {table}"
