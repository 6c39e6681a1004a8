"""What others may join to the life of an invoice. Sent inside the transaction, under the customer's lock, so whatever a
receiver writes is committed with it; one that raises undoes it all."""

from django.dispatch import Signal

# Arguments: bills, now. Once for all of a recalculation, after their lines and totals are stored: the invoices, each
# with the draft that it was computed to.
recalculated = Signal()
# Arguments: invoice_ids, now. Once for all of a recalculation whose lines are others than before.
lines_changed = Signal()
# Arguments: invoice, now. It has its number, its lines and its terms; credits are drawn here.
finalized = Signal()
# Arguments: invoice, now, reason. A final one that is void now.
voided = Signal()
# Arguments: invoice, now, was. Whatever settles it has changed: a payment, a credit note, a write-off, credits. `was`:
# its payment status before.
settled = Signal()
