"""Since when usage has changed: noted with every change, and taken by who works late changes in."""

from collections.abc import Collection
from datetime import datetime

from meters.statements import array, execute

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


def take_oldest(customers: Collection[int]) -> dict[int, datetime]:
    """By customer, the beginning of the oldest hour whose usage has changed since the last call; those that have none
    are left out.

    Events wait from here to the end of the transaction, so keep it short: note what is to be done, and do it in
    another one. What is read after it has every change that was taken, and a later change is noted anew.
    """
    return dict(execute(TAKE_OLDEST, {"customers": array(map(str, sorted(customers)))}))
