"""Who sends invoices and credit notes: as it is now, and as it was when one was issued."""

from dataclasses import asdict, dataclass

from invoices.branding import brand
from invoices.models import CreditNote, Invoice
from invoices.policy import billing_policy


@dataclass(frozen=True, slots=True)
class Seller:
    """`footer` says where to pay to; `brand` is the version of the brand that its papers have, 0 for none. All but the
    name may be empty."""

    name: str
    address: str = ""
    tax_id: str = ""
    footer: str = ""
    brand: int = 0


def seller_now() -> Seller:
    """Asks the database for the billing policy."""
    policy, look = billing_policy(), brand()
    return Seller(
        name=policy.seller_name or look.name,
        address=policy.seller_address,
        tax_id=policy.seller_tax_id,
        footer=policy.paper_footer,
        brand=look.version,
    )


def seller_to_keep() -> dict[str, str | int]:
    """What is written beside a document as it is issued, so that it never follows later changes."""
    return asdict(seller_now())


def seller_of(document: Invoice | CreditNote) -> Seller:
    return seller_now() if document.seller is None else Seller(**document.seller)
