"""Is that normal: what the period before had come to by the same day."""

from collections.abc import Sequence
from datetime import datetime

from invoices.estimates import come_to_by
from invoices.models import Invoice
from invoices.outlook import same_moment
from meters.words import days_in
from portal.bills.lines import Money, combined
from portal.bills.overview import Bill

# Months are alike, and a first part of one is not.
MOST_DAYS_APART = 3


def by_this_day(bills: Sequence[Bill], last: Sequence[Invoice], *, now: datetime) -> list[Money]:
    """By currency; empty unless each running bill has one before it that it compares with, and these are all of the
    last period."""
    before = {one.assignment_id: one for one in last if not one.is_correction}
    if len(before) != len(bills) or any(bill.trial_end for bill in bills):
        return []
    found = []
    for bill in bills:
        invoice = bill.invoice
        other = before.get(invoice.assignment_id)
        if other is None or other.period_end != invoice.period_start or not _alike(invoice, other):
            return []
        then = come_to_by(other, same_moment(now, invoice.period, other.period, invoice.zone))
        if then is None:
            return []
        found.append(Money(then.total, other.currency))
    return combined(found)


def _alike(one: Invoice, other: Invoice) -> bool:
    return abs(days_in(one.period, one.zone) - days_in(other.period, other.zone)) <= MOST_DAYS_APART
