"""What a promotion takes off, in words, the same on every surface."""

from collections.abc import Sequence

from meters.aggregation import plain
from pricing.models import Promotion
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


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
