"""Since when usage has changed."""

# Answers, and forgets, the oldest time of usage that has changed for these customers. Whatever changes meanwhile waits,
# and is noted anew. Uses the primary key of meters_usageversion; the rows are taken in its order, as batches take them.
TAKE_OLDEST = """
WITH taken AS (
    SELECT customer_id, oldest_at FROM meters_usageversion
    WHERE customer_id = ANY (%(customers)s::int[]) AND oldest_at IS NOT NULL
    ORDER BY customer_id FOR NO KEY UPDATE
)
UPDATE meters_usageversion AS v SET oldest_at = NULL
FROM taken WHERE v.customer_id = taken.customer_id
RETURNING v.customer_id, taken.oldest_at
"""
