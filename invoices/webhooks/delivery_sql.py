"""The statements of webhooks: who may work on what."""

# Whether nobody else makes deliveries of the outbox: two at once would mix up the order of what they make.
SPREADING = "SELECT pg_try_advisory_xact_lock(hashtext('invoices_outboxevent spread'))"

# Whether no other process of the workers waits for receivers: they are to compute bills, too.
SENDING = "SELECT pg_try_advisory_xact_lock(hashtext('invoices_webhookdelivery send'))"

# Whether a delivery is due: also where its next try is further ahead than any is put off. That was said by a clock that
# was put back since.
_IS_DUE = """({0}.next_try_at <= %(now)s OR {0}.next_try_at > %(now)s
    + CASE WHEN {0}.attempts = 0 THEN interval '5 minutes' ELSE interval '7 hours' END)"""

# Deliveries that are due, held until the transaction ends: of each endpoint's object the earliest that waits, and of
# each endpoint a few. What another worker holds is passed over; what it held when it died is free again. The last
# condition is looked at once more on the row that was locked, as it is by then. Uses webhookdelivery_due and
# webhookdelivery_order.
CLAIM = f"""
SELECT d.id FROM invoices_webhookdelivery AS d
WHERE d.id IN (
    SELECT id FROM (
        SELECT w.id, w.next_try_at, row_number() OVER (PARTITION BY w.endpoint_id ORDER BY w.id) AS place
        FROM invoices_webhookdelivery AS w JOIN invoices_webhookendpoint AS e ON e.id = w.endpoint_id AND e.enabled
        WHERE w.status = 'waiting' AND {_IS_DUE.format("w")} AND NOT EXISTS (
            SELECT FROM invoices_webhookdelivery AS p
            WHERE p.endpoint_id = w.endpoint_id AND p.about = w.about AND p.id < w.id AND p.status = 'waiting'
        )
    ) AS heads
    WHERE place <= %(of_one)s ORDER BY next_try_at, id LIMIT %(most)s
)
AND d.status = 'waiting' AND {_IS_DUE.format("d")}
ORDER BY d.id FOR UPDATE OF d SKIP LOCKED
"""
