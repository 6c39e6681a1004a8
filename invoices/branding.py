"""The vendor's brand: how it is called, and how it looks, on every page, mail and paper that its customers see.

A process asks the database for it every few seconds. Where that cannot be reached, pages that say so still have the
brand that was known last.
"""

import logging
import time
from dataclasses import asdict, dataclass, replace
from functools import partial

from django.conf import settings
from django.db import Error, transaction

from invoices.colours import Accents, accents_of
from invoices.models import BrandImage, BrandVersion
from invoices.policy import billing_policy

logger = logging.getLogger(__name__)

LIVE_SECONDS = 3


@dataclass(frozen=True, slots=True)
class Brand:
    """`logo_version` is for the logo's address, and 0 without one; `version` for that of the style sheet. The size of
    the logo is that of the picture. All but the name may be empty."""

    name: str
    has_logo: bool = False
    logo_version: int = 0
    logo_width: int = 0
    logo_height: int = 0
    dark_logo_version: int = 0
    accent: str = ""
    support_url: str = ""
    legal_footer: str = ""
    version: int = 0

    @property
    def legal_lines(self) -> list[str]:
        return [line for line in self.legal_footer.splitlines() if line.strip()]

    @property
    def support_words(self) -> str:
        """The link as people read it: "help.example.com/billing", "help@example.com"."""
        return self.support_url.removeprefix("https://").removeprefix("mailto:").partition("?")[0].rstrip("/")

    def logo_size(self, *, height: int, width: int) -> tuple[int, int]:
        """How wide and high the logo is shown in a box of this size, and no larger than it is."""
        if not self.has_logo:
            return 0, 0
        height, width = min(height, self.logo_height), min(width, self.logo_width)
        if self.logo_width * height <= width * self.logo_height:
            return max(1, self.logo_width * height // self.logo_height), height
        return width, max(1, self.logo_height * width // self.logo_width)

    @property
    def accents(self) -> Accents | None:
        """The accent's tokens in both schemes; None: those of Tollmeter's own."""
        return accents_of(self.accent) if self.accent else None


# Until when it is known, by the process's own clock, and what. Without a name where staff have given none.
_known: tuple[int, Brand] = (0, Brand(""))


def brand() -> Brand:
    """The brand of now, for pages and mails. Costs no query where it was read seconds ago."""
    global _known
    until, known = _known
    now = time.monotonic_ns()
    if now >= until:
        try:
            known = _read()
        except Error:
            logger.warning("the brand could not be read", exc_info=True)
        _known = (now + LIVE_SECONDS * 1_000_000_000, known)
    return known if known.name else replace(known, name=settings.COMPANY_NAME)


def forget() -> None:
    """Has this process read it again."""
    global _known
    _known = (0, _known[1])


def forget_on_commit() -> None:
    transaction.on_commit(partial(forget))


def newest() -> BrandVersion | None:
    """The brand's row, with its pictures."""
    return BrandVersion.objects.select_related("logo", "dark_logo").order_by("-pk").first()


def image_of(version: int) -> BrandImage | None:
    return BrandImage.objects.filter(pk=version).first()


def css_of(accents: Accents | None, selector: str = ":root") -> str:
    """The accent's tokens as a style sheet, behind static/css/tokens.css."""
    if accents is None:
        return ""
    light, dark = asdict(accents.light), asdict(accents.dark)
    tokens = "".join(f"--{name.replace('_', '-')}:light-dark({light[name]},{dark[name]});" for name in light)
    return f"@layer tokens{{{selector}{{{tokens}}}}}\n"


def accents_of_version(version: int) -> tuple[bool, Accents | None]:
    """Whether there is such a version, and its accent's tokens."""
    found = list(BrandVersion.objects.filter(pk=version).values_list("accent", flat=True))
    return bool(found), accents_of(found[0]) if found and found[0] else None


def _read() -> Brand:
    """Uses the primary keys of invoices_brandversion and invoices_billingpolicy."""
    rows = BrandVersion.objects.select_related("logo").defer("logo__content")
    row = rows.order_by("-pk").first()
    name = (row.name if row else "") or billing_policy().seller_name
    return Brand(name) if row is None else brand_of(row, name)


def brand_of(row: BrandVersion, name: str) -> Brand:
    logo = row.logo
    return Brand(
        name=name,
        has_logo=logo is not None,
        logo_version=row.logo_id or 0,
        logo_width=logo.width if logo else 0,
        logo_height=logo.height if logo else 0,
        dark_logo_version=row.dark_logo_id or 0,
        accent=row.accent,
        support_url=row.support_url,
        legal_footer=row.legal_footer,
        version=row.pk,
    )
