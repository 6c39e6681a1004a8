"""Changing the brand: each change is another version of it, and those before it stay for the papers that have them."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator, validate_email
from django.db import transaction

from invoices.branding import forget_on_commit
from invoices.colours import ColourError, accents_of
from invoices.logos import Logo
from invoices.models import BillingPolicy, BrandImage, BrandVersion
from pricing.inputs import check_row, known

TEXTS = ("name", "accent", "support_url", "legal_footer")
LOGOS = ("logo", "dark_logo")
LONGEST_FOOTER = 600
CHANGED_MEANWHILE = (
    "{} has saved another brand since you opened this page. Look at what it is now, and change it again."
)
# Of a name, which stands in the subject of mails: none of what ends a line or is not seen.
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


@transaction.atomic
def set_brand(*, changes: Mapping[str, Any], by: str, now: datetime, seen: int | None = None) -> BrandVersion:
    """Makes a version of the brand that has these changes, and answers it: the one there is, where they change nothing.

    `logo` and `dark_logo` are a Logo, or None for none. `seen` is the version that the changes were made by, 0 for
    none: where there is another one, they are refused. Raises ValidationError by field.
    """
    known(changes, (*TEXTS, *LOGOS))
    # One after the other: there may be no version yet to wait for.
    BillingPolicy.objects.get_or_create(pk=1)
    BillingPolicy.objects.select_for_update().get(pk=1)
    last = BrandVersion.objects.select_related("logo", "dark_logo").order_by("-pk").first()
    if seen is not None and seen != (last.pk if last else 0):
        raise ValidationError(CHANGED_MEANWHILE.format(last.saved_by if last and last.saved_by else "Somebody"))
    row = drafted(last, changes)
    check_brand(row)
    if last is not None and _same(row, last):
        return last
    row.logo, row.dark_logo = _kept(row.logo), _kept(row.dark_logo)
    row.saved_at, row.saved_by = now, by
    row.save()
    forget_on_commit()
    return row


def drafted(last: BrandVersion | None, changes: Mapping[str, Any]) -> BrandVersion:
    """The version that these changes would make of the last one: not stored, and neither are its pictures."""
    row = BrandVersion()
    for name in TEXTS:
        setattr(row, name, _text(changes[name]) if name in changes else getattr(last, name, ""))
    for name in LOGOS:
        setattr(row, name, _image(changes[name]) if name in changes else getattr(last, name, None))
    row.accent = row.accent.lower()
    return row


def check_brand(row: BrandVersion) -> None:
    """Raises ValidationError by field, all faults at once."""
    faults: dict[str, list[Any]] = {}
    checks = {"name": _check_name, "accent": _check_accent, "support_url": _check_link, "legal_footer": _check_footer}
    for name, check in checks.items():
        try:
            check(getattr(row, name))
        except ValidationError as error:
            faults[name] = [error]
    if row.dark_logo is not None and row.logo is None:
        faults["dark_logo"] = ["There is a logo for dark pages and none for light ones."]
    try:
        check_row(row, but=["logo", "dark_logo", "saved_at", *faults])
    except ValidationError as error:
        faults = error.error_dict | faults
    if faults:
        raise ValidationError(faults)


def _check_name(name: str) -> None:
    if UNSEEN.search(name):
        raise ValidationError("A name is one line of letters that are seen.")


def _check_accent(accent: str) -> None:
    try:
        if accent:
            accents_of(accent)
    except ColourError as error:
        raise ValidationError(str(error)) from None


def _check_link(url: str) -> None:
    """Where people find help: a page, or an address to write to."""
    if not url:
        return
    words = "Write where people find help: https://example.com/help, or mailto:help@example.com."
    if UNSEEN.search(url) or re.search(r"[\s<>\"\\]", url):
        raise ValidationError(words)
    try:
        parts = urlsplit(url)
        if parts.scheme == "mailto":
            validate_email(parts.path)
            return
        URLValidator(schemes=["https"])(url)
        has_password = "@" in parts.netloc
    except (ValidationError, ValueError):
        raise ValidationError(words) from None
    if has_password:
        raise ValidationError(words)


def _check_footer(text: str) -> None:
    if len(text) > LONGEST_FOOTER:
        raise ValidationError(f"This has {len(text)} characters, and at most {LONGEST_FOOTER} have room on papers.")


def _text(text: str) -> str:
    return text.replace("\r\n", "\n").strip()


def _same(row: BrandVersion, last: BrandVersion) -> bool:
    texts = all(getattr(row, name) == getattr(last, name) for name in TEXTS)
    return texts and all(_digest(getattr(row, name)) == _digest(getattr(last, name)) for name in LOGOS)


def _digest(image: BrandImage | None) -> str:
    return image.digest if image is not None else ""


def _image(logo: Logo | None) -> BrandImage | None:
    if logo is None:
        return None
    return BrandImage(
        content=logo.content,
        media_type=logo.media_type,
        width=logo.width,
        height=logo.height,
        digest=logo.digest,
    )


def _kept(image: BrandImage | None) -> BrandImage | None:
    """The same picture is kept once."""
    if image is None or not image._state.adding:
        return image
    found = BrandImage.objects.filter(digest=image.digest).first()
    if found is None:
        image.save()
    return found or image
