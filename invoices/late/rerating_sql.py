"""Which final invoices are to be rated again."""

# Notes at final invoices (`rerating.AGAIN`) that usage before the end of their period has changed.
# Uses invoice_final_end.
NOTE_AGAIN = """
UPDATE invoices_invoice AS i SET rerated_version = -1
FROM unnest(%(customers)s::int[], %(oldest)s::timestamptz[]) AS t (customer_id, oldest_at)
WHERE i.customer_id = t.customer_id AND i.status = 'final' AND NOT i.is_correction AND i.period_end > t.oldest_at
RETURNING i.id
"""
