"""To whom an invoice is written."""

from dataclasses import dataclass

from invoices.models import Invoice
from pricing.models import BillingProfile


@dataclass(frozen=True, slots=True)
class Addressee:
    """What stands in the head of an invoice; all but the name may be empty. `note` is about taxes."""

    name: str
    address: str
    tax_id: str
    note: str


def addressee_of(invoice: Invoice) -> Addressee:
    """The customer as it is now, while the invoice is live, and as it was when the invoice became final.

    Asks the database for the billing profile, unless `customer__billing_profile` was selected with the invoice.
    """
    if not invoice.is_live:
        return Addressee(
            name=invoice.customer_name or str(invoice.customer),
            address=invoice.customer_address,
            tax_id=invoice.customer_tax_id,
            note=invoice.tax_note,
        )
    profile = getattr(invoice.customer, "billing_profile", None) or BillingProfile()
    return Addressee(
        name=profile.legal_name or str(invoice.customer),
        address=profile.address,
        tax_id=profile.tax_id,
        note=profile.tax_note,
    )
