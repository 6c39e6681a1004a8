"""The SQL of auditing the books. All of it reads, of the customers of one chunk."""

from meters.verification_sql import MONTHS

# By customer the last hour with usage of the months whose events are detached: what reaches into those cannot be
# counted again. Uses the primary key of meters_usagebucket.
ARCHIVED = f"""
SELECT b.customer_id, max(b.hour)
FROM meters_usagebucket AS b
WHERE b.customer_id = ANY (%(customers)s::int[])
  AND b.hour < (SELECT min(day)::timestamp AT TIME ZONE 'UTC' FROM ({MONTHS}) AS months)
GROUP BY 1
"""

# Invoices whose totals are not what their lines come to, taxes apart. Uses the index of invoices by customer, and
# invoiceline_position.
TOTALS = """
SELECT i.id, i.subtotal, i.total, s.subtotal, s.total
FROM invoices_invoice AS i
CROSS JOIN LATERAL (
    SELECT coalesce(sum(l.amount) FILTER (WHERE l.kind NOT IN ('tax', 'tax_corr')), 0) AS subtotal,
           coalesce(sum(l.amount), 0) AS total
    FROM invoices_invoiceline AS l WHERE l.invoice_id = i.id
) AS s
WHERE i.customer_id = ANY (%(customers)s::int[]) AND (i.subtotal, i.total) <> (s.subtotal, s.total)
ORDER BY i.id
"""

# Credit notes whose totals are not what their lines come to. Uses the indexes of invoices by customer, of credit notes
# by invoice, and creditnoteline_position.
NOTE_TOTALS = """
SELECT n.id, n.subtotal, n.total, s.subtotal, s.total
FROM invoices_invoice AS i
JOIN invoices_creditnote AS n ON n.invoice_id = i.id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(l.amount) FILTER (WHERE NOT l.is_tax), 0) AS subtotal, coalesce(sum(l.amount), 0) AS total
    FROM invoices_creditnoteline AS l WHERE l.credit_note_id = n.id
) AS s
WHERE i.customer_id = ANY (%(customers)s::int[]) AND (n.subtotal, n.total) <> (s.subtotal, s.total)
ORDER BY n.id
"""

# The ledgers of grants, entry by entry in the order in which they were written, with the running sum, and whether the
# invoice of an entry is the same customer's and in the same currency. Uses the index of grants by customer, and that of
# entries by grant.
ENTRIES = """
SELECT g.id, g.amount, g.voided_at IS NOT NULL, e.id, e.kind, e.amount, e.balance,
       sum(e.amount) OVER (PARTITION BY g.id ORDER BY e.id), i.customer_id = g.customer_id, i.currency = g.currency
FROM invoices_creditgrant AS g
LEFT JOIN invoices_creditentry AS e ON e.grant_id = g.id
LEFT JOIN invoices_invoice AS i ON i.id = e.invoice_id
WHERE g.customer_id = ANY (%(customers)s::int[])
ORDER BY g.id, e.id
"""

# Events of these meters in spans of customers: how many, and when the first and the last of them were. Uses
# meters_event_customer_time.
UNCOVERED = """
SELECT span.customer_id, span.number, m.meter_id, count(*), min(e.occurred_at), max(e.occurred_at)
FROM unnest(%(customers)s::int[], %(numbers)s::int[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    AS span (customer_id, number, start_at, end_at)
CROSS JOIN unnest(%(meters)s::int[]) AS m (meter_id)
JOIN meters_event AS e ON e.customer_id = span.customer_id AND e.meter_id = m.meter_id
    AND e.occurred_at >= span.start_at AND e.occurred_at < span.end_at AND e.void_id IS NULL
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
"""
