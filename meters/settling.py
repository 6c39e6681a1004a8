"""Since when usage has changed: noted with every change, and taken by who works late changes in."""

from collections.abc import Collection
from datetime import datetime

from meters.settling_sql import TAKE_OLDEST
from meters.statements import array, execute


def take_oldest(customers: Collection[int]) -> dict[int, datetime]:
    """By customer, the beginning of the oldest hour whose usage has changed since the last call; those that have none
    are left out.

    Events wait from here to the end of the transaction, so keep it short: note what is to be done, and do it in
    another one. What is read after it has every change that was taken, and a later change is noted anew.
    """
    return dict(execute(TAKE_OLDEST, {"customers": array(map(str, sorted(customers)))}))
