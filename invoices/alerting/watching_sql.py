"""Statements of alerts."""

# Of alerts that are there and switched on: who removes one, or switches it off, is waited for. One row for an alert's
# threshold and an invoice, whoever comes first. Uses alertfiring_once.
FIRE = """
INSERT INTO invoices_alertfiring (alert_id, invoice_id, threshold, budget, value, at)
SELECT n.alert_id, n.invoice_id, n.threshold, n.budget, n.value, %(now)s
FROM unnest(%(alerts)s::bigint[], %(invoices)s::bigint[], %(thresholds)s::numeric[], %(budgets)s::numeric[],
            %(values)s::numeric[]) AS n (alert_id, invoice_id, threshold, budget, value)
JOIN (
    SELECT id FROM invoices_alert WHERE id = ANY (%(alerts)s::bigint[]) AND enabled ORDER BY id FOR KEY SHARE
) AS a ON a.id = n.alert_id
ORDER BY n.invoice_id, n.alert_id
ON CONFLICT DO NOTHING
RETURNING id, alert_id, invoice_id
"""
