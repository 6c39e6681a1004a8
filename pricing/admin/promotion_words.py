"""What a promotion takes off, in words."""

from collections.abc import Sequence
from datetime import date

from django.utils.safestring import SafeString

from meters.admin.base import chip
from meters.aggregation import plain
from meters.words import day_words
from pricing.models import AppliedPromotion, Promotion
from pricing.money import format_price


def what_words(promotion: Promotion) -> str:
    """ "20% off the whole invoice", "$10.00 off ApiCalls and Storage, in each period"."""
    names = [str(item) for item in promotion.product_items.all()]
    of_what = _listed(names) if names else "the whole invoice"
    if promotion.percent is not None:
        return f"{plain(promotion.percent)}% off {of_what}"
    assert promotion.amount is not None
    return f"{format_price(promotion.amount, promotion.currency)} off {of_what}, in each period"


def limit_words(promotion: Promotion) -> str:
    """ "the first 3 periods, at most $100.00"; empty without a limit."""
    words = []
    if promotion.periods == 1:
        words.append("the first period")
    elif promotion.periods:
        words.append(f"the first {promotion.periods} periods")
    if promotion.cap is not None:
        words.append(f"at most {format_price(promotion.cap, promotion.currency)} in all")
    return ", ".join(words)


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


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
