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
    SELECT FROM meters_usageversion AS v
    CROSS JOIN LATERAL (
        SELECT FROM meters_eventkey AS k WHERE k.customer_id = v.customer_id AND k.meter_id = %(meter)s LIMIT 1
    ) AS k
)
"""
