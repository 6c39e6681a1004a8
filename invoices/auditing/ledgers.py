"""Grants of credit against their ledgers: entries sum up step by step, and begin with what was granted."""

from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

from invoices.auditing.audit_sql import ENTRIES
from invoices.auditing.looking import Finding, Look, Seen, money_words
from invoices.models import AuditFinding, CreditEntry, CreditGrant
from meters.statements import array, execute

CHECK = AuditFinding.Check.LEDGER
Kind = CreditEntry.Kind
ADDS = (Kind.GRANTED, Kind.RETURNED)
NOTHING = Decimal(0)


class Entry(NamedTuple):
    """A row of ENTRIES. Of a grant without a ledger there is one without an entry."""

    grant: int
    granted: Decimal
    is_void: bool
    pk: int | None
    kind: str
    amount: Decimal
    balance: Decimal
    sum: Decimal
    same_customer: bool | None
    same_currency: bool | None


def look(at: Look) -> Seen:
    rows = map(Entry._make, execute(ENTRIES, {"customers": array(map(str, sorted(at.ids)))}))
    seen = Seen()
    seen.checked[CHECK] = 0
    faults: dict[int, tuple[str, Decimal | None, Decimal | None]] = {}
    for grant, entries in groupby(rows, lambda row: row.grant):
        seen.checked[CHECK] += 1
        fault = _fault(list(entries))
        if fault is not None:
            faults[grant] = fault
    grants = CreditGrant.objects.in_bulk(faults)
    for pk, (text, expected, found) in faults.items():
        grant = grants[pk]
        words = ["" if one is None else money_words(one, grant.currency) for one in (expected, found)]
        said = f"{text}, of “{grant.name}” (grant {grant.pk})"
        seen.findings.append(Finding(CHECK, said[:500], grant.customer_id, None, *words))
    return seen


def _fault(entries: list[Entry]) -> tuple[str, Decimal | None, Decimal | None] | None:
    """The first thing that is wrong with a ledger: in words, what it should be and what it is."""
    first, last = entries[0], entries[-1]
    if first.pk is None:
        return "The ledger has no entry", first.granted, NOTHING
    if first.kind != Kind.GRANTED or first.amount != first.granted:
        return "The ledger does not begin with what was granted", first.granted, first.amount
    for entry in entries:
        about = f"entry {entry.pk} of the ledger"
        if entry.balance != entry.sum:
            return f"What was left after {about}", entry.sum, entry.balance
        if entry.amount and (entry.amount > 0) != (entry.kind in ADDS):
            return f"The sign of {about} ({entry.kind})", entry.amount.copy_negate(), entry.amount
        if entry.same_customer is False or entry.same_currency is False:
            return f"The invoice of {about} is another customer's, or in another currency", None, entry.amount
        if not 0 <= entry.sum <= first.granted:
            return f"What is left after {about} is below zero, or more than was granted", first.granted, entry.sum
    if first.is_void and last.sum:
        return "Something is left of a grant that is void", NOTHING, last.sum
    return None
