"""Who writes a paper and to whom it is written, and how its facts read."""

from invoices.addressee import Addressee
from invoices.papers.paper import Party
from invoices.seller import Seller


def seller_party(seller: Seller) -> Party:
    return Party(seller.name, _lines(seller.address, seller.tax_id))


def buyer_party(addressee: Addressee, label: str = "Billed to") -> Party:
    return Party(addressee.name, _lines(addressee.address, addressee.tax_id), label)


def footer_lines(seller: Seller) -> list[str]:
    return [line for line in seller.footer.splitlines() if line.strip()]


def _lines(address: str, tax_id: str) -> list[str]:
    lines = [line for line in address.splitlines() if line.strip()]
    return [*lines, f"Tax ID {tax_id}"] if tax_id else lines
