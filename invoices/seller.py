"""Who sends invoices and credit notes: as it is now, and as it was when one was issued."""

from dataclasses import asdict, dataclass

from django.conf import settings

from invoices.models import CreditNote, Invoice
from invoices.policy import billing_policy


@dataclass(frozen=True, slots=True)
class Seller:
    """`footer` stands at the foot of each page. All but the name may be empty."""

    name: str
    address: str = ""
    tax_id: str = ""
    footer: str = ""


def seller_now() -> Seller:
    """Asks the database for the billing policy."""
    policy = billing_policy()
    return Seller(
        name=policy.seller_name or settings.COMPANY_NAME,
        address=policy.seller_address,
        tax_id=policy.seller_tax_id,
        footer=policy.paper_footer,
    )


def seller_to_keep() -> dict[str, str]:
    """What is written beside a document as it is issued, so that it never follows later changes."""
    return asdict(seller_now())


def seller_of(document: Invoice | CreditNote) -> Seller:
    return seller_now() if document.seller is None else Seller(**document.seller)
