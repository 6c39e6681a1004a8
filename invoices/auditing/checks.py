"""All checks of the audit, by name, in the order in which findings are shown."""

from collections.abc import Callable, Mapping

from invoices.auditing import amounts, corrections, ledgers, numbers, settlements, totals, unbilled, unpriced
from invoices.auditing.looking import Look, Seen

# Of some customers, one chunk after the other.
OF_CUSTOMERS: Mapping[str, Callable[[Look], Seen]] = {
    amounts.CHECK: amounts.look,
    corrections.CHECK: corrections.look,
    totals.CHECK: totals.look,
    ledgers.CHECK: ledgers.look,
    settlements.CHECK: settlements.look,
    unbilled.CHECK: unbilled.look,
    unpriced.CHECK: unpriced.look,
}
# Of the whole account, once.
OF_ACCOUNT: Mapping[str, Callable[[], Seen]] = {numbers.CHECK: numbers.look}
NAMES = tuple(str(name) for name in (*OF_CUSTOMERS, *OF_ACCOUNT))
