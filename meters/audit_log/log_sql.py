"""The SQL of telling who writes, and of sealing and verifying the audit log."""

# What the function of the triggers reads. It holds for the transaction; `who` is a literal.
SETTING = "tollmeter.actor"
TELL = f"SELECT set_config('{SETTING}', {{who}}, true); "

# Who seals holds it until the commit.
LOCK = "SELECT pg_advisory_xact_lock(%(key)s)"
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(%(key)s)"

# What a hash is made of, in this order; jsonb as PostgreSQL writes it, moments in microseconds since 1970.
CONTENT = """
id, (extract(epoch FROM at) * 1000000)::bigint, transaction, action, table_name, object_id, label, owner_table,
owner_id, before::text, after::text, who_kind, who_id, who_name, host(address), request_id
"""

HEAD = "SELECT position, hash FROM meters_audithead"

# Committed rows without a place; one that was committed late gets a later one. Uses meters_auditrow_to_seal.
TO_SEAL = f"SELECT {CONTENT} FROM meters_auditrow WHERE position IS NULL ORDER BY id LIMIT %(most)s"

# Uses the primary key.
SEAL = """
UPDATE meters_auditrow AS r SET position = n.position, hash = n.hash
FROM unnest(%(ids)s::bigint[], %(positions)s::bigint[], %(hashes)s::bytea[]) AS n (id, position, hash)
WHERE r.id = n.id
"""
MOVE_HEAD = """
UPDATE meters_audithead SET position = %(position)s, hash = %(hash)s, sealed_at = clock_timestamp()
"""

# In order, from behind a position on; uses meters_auditrow_position.
SEALED = f"SELECT position, hash, {CONTENT} FROM meters_auditrow WHERE position > %(after)s ORDER BY position"

# Uses meters_auditrow_to_seal.
WAITING = "SELECT count(*), min(at) FROM meters_auditrow WHERE position IS NULL"
HASH_AT = "SELECT hash FROM meters_auditrow WHERE position = %(position)s"

VERIFIED = "SELECT verified_position, verified_hash FROM meters_audithead"
NOTE_VERIFIED = """
UPDATE meters_audithead
SET verified_position = %(position)s, verified_hash = %(hash)s, verified_at = clock_timestamp(), finding = ''
"""
NOTE_FOUND = "UPDATE meters_audithead SET verified_at = clock_timestamp(), finding = %(finding)s"
