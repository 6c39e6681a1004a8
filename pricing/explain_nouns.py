"""Numbers and nouns: quantities, amounts and units as they are read."""

from dataclasses import dataclass
from decimal import Decimal

from pricing.money import format_amount, format_price, format_quantity


@dataclass(frozen=True, slots=True)
class Say:
    """Words for quantities and amounts in one unit and one currency."""

    unit: str
    currency: str

    @property
    def plural(self) -> str:
        return self.unit.strip() or "units"

    @property
    def singular(self) -> str:
        return _singular(self.plural)

    def noun(self, quantity: Decimal) -> str:
        return self.singular if quantity == 1 else self.plural

    def count(self, quantity: Decimal) -> str:
        return f"{format_quantity(quantity)} {self.noun(quantity)}"

    def price(self, amount: Decimal) -> str:
        return format_price(amount, self.currency)

    def amount(self, amount: Decimal) -> str:
        return format_amount(amount, self.currency)


def percent_text(percent: Decimal) -> str:
    """A percentage without trailing zeros: "2.9%", "19%"."""
    return f"{format_quantity(percent)}%"


def counted(number: int, noun: str) -> str:
    """ "1 event", "2,300 events"."""
    return f"{format_quantity(Decimal(number))} {noun if number == 1 else noun + 's'}"


def bounds(lower: Decimal, upper: Decimal | None) -> str:
    """ "up to 1,000", "over 1,000 up to 5,000", "over 5,000"; empty for a tier without bounds."""
    parts = [f"over {format_quantity(lower)}"] if lower else []
    if upper is not None:
        parts.append(f"up to {format_quantity(upper)}")
    return " ".join(parts)


_IRREGULAR = {
    "caches": "cache",
    "cookies": "cookie",
    "indices": "index",
    "movies": "movie",
    "people": "person",
}
_UNCHANGED_ENDINGS = ("ss", "us", "is", "series")
_ES_ENDINGS = ("sses", "xes", "ches", "shes", "zzes")


def _singular(plural: str) -> str:
    """The singular of an English label: "API calls" -> "API call", "minutes of talk" -> "minute of talk"."""
    head, of, rest = plural.partition(" of ")
    before, space, word = head.rpartition(" ")
    return f"{before}{space}{_singular_word(word)}{of}{rest}"


def _singular_word(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    # Symbols such as "ms" and "s" are no plurals.
    if len(word) < 3 or not word.endswith("s") or word.endswith(_UNCHANGED_ENDINGS):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(_ES_ENDINGS) else word[:-1]
