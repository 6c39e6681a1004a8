"""Totals of many invoices at once."""

# Of invoices whose rows the caller holds. Uses the primary key.
STORE_TOTALS = """
UPDATE invoices_invoice AS i
SET subtotal = n.subtotal, total = n.total, usage_version = n.version, usage_at = n.at, is_stale = false,
    follows_clock = n.follows_clock, computed_at = %(now)s
FROM unnest(%(ids)s::bigint[], %(subtotals)s::numeric[], %(totals)s::numeric[], %(versions)s::bigint[],
            %(times)s::timestamptz[], %(clocks)s::boolean[])
    AS n (id, subtotal, total, version, at, follows_clock)
WHERE i.id = n.id
"""
