"""Who writes a paper and to whom it is written, and how its facts read."""

from functools import lru_cache

from invoices.addressee import Addressee
from invoices.colours import accents_of
from invoices.models import BrandVersion
from invoices.papers.paper import Look, Party
from invoices.seller import Seller


def seller_party(seller: Seller) -> Party:
    return Party(seller.name, _lines(seller.address, seller.tax_id))


def buyer_party(addressee: Addressee, label: str = "Billed to") -> Party:
    return Party(addressee.name, _lines(addressee.address, addressee.tax_id), label)


def footer_lines(seller: Seller, *, is_to_be_paid: bool) -> list[str]:
    """Where to pay to, on what is to be paid."""
    return [line for line in seller.footer.splitlines() if line.strip()] if is_to_be_paid else []


def look_of(seller: Seller) -> Look:
    """That of the version which is kept with it: whatever is changed later, what was issued looks as it did."""
    return _look_of_version(seller.brand) if seller.brand else Look()


@lru_cache(maxsize=8)
def _look_of_version(version: int) -> Look:
    """Versions never change, so one query each is enough for many papers."""
    row = BrandVersion.objects.select_related("logo").filter(pk=version).first()
    return Look() if row is None else look_of_row(row)


def look_of_row(row: BrandVersion) -> Look:
    legal = [line for line in row.legal_footer.splitlines() if line.strip()]
    accent = accents_of(row.accent).light.accent if row.accent else ""
    if row.logo is None:
        return Look(accent=accent, legal=legal)
    return Look(bytes(row.logo.content), (row.logo.width, row.logo.height), accent, legal)


def _lines(address: str, tax_id: str) -> list[str]:
    lines = [line for line in address.splitlines() if line.strip()]
    return [*lines, f"Tax ID {tax_id}"] if tax_id else lines
