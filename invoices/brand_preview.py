"""What a brand looks like before it is saved: words and pictures of a preview, an example mail, a paper."""

import base64
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.urls import reverse

from invoices.brand_changes import check_brand
from invoices.branding import Brand, brand_of
from invoices.colours import ColourError, accents_of
from invoices.mailing.mails import rendered, setting_of
from invoices.mailing.preview import preview_of
from invoices.models import BrandImage, BrandVersion, MailSetting
from invoices.papers.paper import Column, Line, Paper, Party, Step, Sum, Table
from invoices.papers.parties import footer_lines, look_of_row, seller_party
from invoices.policy import billing_policy
from invoices.seller import seller_now
from meters.words import day_words

SUBJECT = "Invoice 2026-0042 from {}: $47.60"


@dataclass(frozen=True, slots=True)
class Preview:
    """`faults` are why it would be refused; what they are of is shown as if it were not there."""

    brand: Brand
    logo: str
    dark_logo: str
    mail_subject: str
    seller_name: str
    footer: list[str]
    faults: list[str]


def preview_brand(row: BrandVersion) -> Preview:
    """Of a draft. What is wrong with it is taken out of it."""
    faults = _without_faults(row)
    look = brand_of(row, row.name or billing_policy().seller_name or settings.COMPANY_NAME)
    seller = seller_now()
    return Preview(
        brand=look,
        logo=data_url(row.logo),
        dark_logo=data_url(row.dark_logo),
        mail_subject=SUBJECT.format(look.name),
        seller_name=billing_policy().seller_name or look.name,
        footer=footer_lines(seller, is_to_be_paid=True),
        faults=faults,
    )


def example_mail(row: BrandVersion) -> str:
    """Its HTML."""
    preview = preview_brand(row)
    content, _ = preview_of(MailSetting.Kind.INVOICE_FINALIZED)
    setting = setting_of(MailSetting.Kind.INVOICE_FINALIZED)
    content = replace(content, url=content.url or reverse("portal:overview"), url_text=content.url_text or "See it")
    return rendered(setting, content, preview.brand, logos=(preview.logo, preview.dark_logo))[2]


def example_paper(row: BrandVersion, now: datetime) -> Paper:
    preview, seller = preview_brand(row), seller_now()
    party = seller_party(seller)
    lines = [
        Line(("API calls", "12,300 calls", "$40.00"), steps=[Step("Free tier", "5,000 of 5,000 free", "$0.00")]),
    ]
    columns = (Column("Item"), Column("Quantity", is_figure=True), Column("Amount", is_figure=True))
    return Paper(
        title="Invoice 2026-0042",
        made_at=now,
        seller=Party(preview.seller_name, party.lines),
        buyer=Party("Acme Corp", ["1 Main Street", "Springfield"], "Billed to"),
        stamp="Example",
        facts=[("Issued", day_words(now.date())), ("Plan", "Growth, version 1"), ("Currency", "USD")],
        headline="$47.60 due",
        tables=[Table(columns, lines)],
        sums=[Sum("Subtotal", "$40.00"), Sum("VAT", "$7.60", "19%"), Sum("Total", "$47.60", is_strong=True)],
        footer=preview.footer,
        look=look_of_row(row),
    )


def data_url(image: BrandImage | None) -> str:
    if image is None:
        return ""
    return f"data:{image.media_type};base64,{base64.b64encode(bytes(image.content)).decode()}"


def accent_words(accent: str) -> str:
    """What becomes of an accent, or why it is refused."""
    if not accent:
        return ""
    try:
        tokens = accents_of(accent)
    except ColourError as error:
        return str(error)
    return f"{tokens.light.accent} on light pages, {tokens.dark.accent} on dark ones."


def _without_faults(row: BrandVersion) -> list[str]:
    try:
        check_brand(row)
    except ValidationError as error:
        for name in error.message_dict:
            setattr(row, name, None if name == "dark_logo" else "")
        return error.messages
    return []
