"""What waits, for whoever looks after the installation: one row each, ages in seconds, null where nothing waits.

Asked for every few seconds, with a limit on the time that each may take.
"""

# Live invoices that newer usage, or another change, waits to be worked into, and how long ago the usage of one of them
# changed last. As `due.overtaken` has it. Uses invoice_live_customer and the primary key of meters_usageversion.
STALE = """
SELECT count(*), extract(epoch FROM %(now)s - min(v.changed_at) FILTER (WHERE v.version > i.usage_version))
FROM invoices_invoice AS i LEFT JOIN meters_usageversion AS v ON v.customer_id = i.customer_id
WHERE i.status IN ('open', 'grace') AND (i.is_stale OR v.version > i.usage_version)
"""

# The live invoices of STALE that newer usage waits to be worked into, and the customers of final ones that usage may
# have changed under. As `due.overtaken` and `due.late_customers` have it, in joins that several machines take.
OVERTAKEN = """
SELECT i.id FROM invoices_invoice AS i JOIN meters_usageversion AS v ON v.customer_id = i.customer_id
WHERE i.status IN ('open', 'grace') AND v.version > i.usage_version
  AND (%(invoices)s::int[] IS NULL OR i.id = ANY (%(invoices)s::int[]))
"""
LATE = """
SELECT v.customer_id
FROM (SELECT customer_id, max(period_end) AS period_end FROM invoices_invoice WHERE status = 'final' GROUP BY 1) AS i
JOIN meters_usageversion AS v ON v.customer_id = i.customer_id
WHERE i.period_end > v.oldest_at
ORDER BY 1
"""

# Open invoices whose period is over. Uses invoice_live_end.
CLOSING = """
SELECT count(*), extract(epoch FROM %(now)s - min(period_end))
FROM invoices_invoice WHERE status = 'open' AND period_end <= %(now)s
"""

# Work that failed and waits for staff, and how long ago it first failed. The table has failures alone.
PARKED = """
SELECT count(*), extract(epoch FROM %(now)s - min(first_at)) FROM invoices_failingwork WHERE next_try_at IS NULL
"""

# Events that no deliveries were made of yet, though it is time. Uses outboxevent_waiting.
OUTBOX = """
SELECT count(*), extract(epoch FROM %(now)s - min(greatest(created_at, not_before)))
FROM invoices_outboxevent WHERE spread_at IS NULL AND (not_before IS NULL OR not_before <= %(now)s)
"""

# Deliveries to endpoints in use that are not taken yet, and since when the longest is due. Uses webhookdelivery_due.
WEBHOOKS = """
SELECT count(*), extract(epoch FROM %(now)s - min(d.next_try_at) FILTER (WHERE d.next_try_at <= %(now)s))
FROM invoices_webhookdelivery AS d JOIN invoices_webhookendpoint AS e ON e.id = d.endpoint_id AND e.enabled
WHERE d.status = 'waiting'
"""

# The same of mails. Uses mail_due.
MAILS = """
SELECT count(*), extract(epoch FROM %(now)s - min(next_try_at) FILTER (WHERE next_try_at <= %(now)s))
FROM invoices_mail WHERE status = 'waiting'
"""

# What the last audit that came to its end has found, and how long ago that was. Uses the primary key.
AUDIT = """
SELECT found, extract(epoch FROM %(now)s - finished_at)
FROM invoices_auditrun WHERE status = 'done' ORDER BY id DESC LIMIT 1
"""
