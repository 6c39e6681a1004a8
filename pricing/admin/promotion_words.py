"""Whether a promotion can be given, and whether a customer has it, as marks on staff pages."""

from datetime import date

from django.utils.safestring import SafeString

from meters.admin.base import chip
from meters.words import day_words
from pricing.models import AppliedPromotion, Promotion


def offer_chip(promotion: Promotion, today: date) -> SafeString:
    """Whether it can be given to customers."""
    if not promotion.enabled:
        return chip("Off", "quiet")
    if promotion.ends_on is not None and promotion.ends_on <= today:
        return chip("Over", "quiet")
    if promotion.starts_on is not None and promotion.starts_on > today:
        return chip(f"From {day_words(promotion.starts_on)}", "busy")
    return chip("Can be given", "good")


def applied_chip(applied: AppliedPromotion, today: date) -> SafeString:
    """Whether a customer has it."""
    if applied.starts_on > today:
        return chip("Begins later", "busy")
    if applied.ends_on is not None and applied.ends_on <= today:
        return chip("Over", "quiet")
    return chip("Running", "good")
