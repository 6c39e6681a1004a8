"""SQL of creating and changing meters. Parameters only; each statement names the index it needs."""

# Whether an event of the meter was ever stored, voided or not. The guard of ids is kept for ever, also where old
# events are detached. Its key begins with the customer, so this looks once for each customer, up to the first that
# is found; the LIMIT keeps the planner from reading the whole guard instead.
# Uses the primary keys of meters_customer and meters_eventkey.
HAS_USAGE = """
SELECT EXISTS (
    SELECT FROM meters_customer AS c
    CROSS JOIN LATERAL (
        SELECT FROM meters_eventkey AS k WHERE k.customer_id = c.id AND k.meter_id = %(meter)s LIMIT 1
    ) AS k
)
"""
# The same where usage is on several machines, which know no customers but by their usage: each looks for its own.
# Uses the primary keys of meters_usageversion and meters_eventkey.
HAS_USAGE_ANYWHERE = """
SELECT EXISTS (
    SELECT 1 FROM meters_usageversion AS v
    CROSS JOIN LATERAL (
        SELECT 1 FROM meters_eventkey AS k WHERE k.customer_id = v.customer_id AND k.meter_id = %(meter)s LIMIT 1
    ) AS k
)
"""

# Which of these meters a customer has usage of, asked without a table of meters, which the customer's node lacks.
# Uses the primary key of meters_usagebucket, once for each meter.
USED_BY = """
SELECT m.id FROM unnest(%(meters)s::int[]) AS m (id)
WHERE EXISTS (SELECT 1 FROM meters_usagebucket AS b WHERE b.customer_id = %(customer)s AND b.meter_id = m.id)
"""
