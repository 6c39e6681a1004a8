"""Reading the JSON form of a rate: every value checked once, every refusal naming its path."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from meters.aggregation import plain
from pricing.steps import ZERO, decimals

LARGEST = Decimal(10) ** 24  # of a quantity, and of a price
RATE_DECIMALS = 15  # of every number in a rate
MAX_TIERS = 1000
MAX_TEXT = 100  # longer than any number within the limits
MAX_SCALE = 60  # decimals, trailing zeros included, beyond which a Decimal is not even looked at

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?", re.ASCII)
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}", re.ASCII)


class RateError(ValueError):
    """A rate that cannot be used. `path` names the fault ("tiers[1].up_to"), "" for the rate itself."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


def read_number(value: object, path: str) -> Decimal:
    """A number from 0 to 10^24 with at most 15 decimals, from decimal text, an int or a Decimal.

    Raises RateError at `path` for anything else: floats and booleans too, because a float has lost the
    price that was meant before it gets here. No check does work in proportion to an exponent.
    """
    number = _finite_decimal(value, path)
    if not number:
        return ZERO
    if number.is_signed():
        raise RateError(path, "must not be negative")
    # adjusted() is the power of ten of the first digit: free to ask, whatever the exponent.
    if number.adjusted() > 24 or number > LARGEST:
        raise RateError(path, "must not be greater than 10^24")
    # Trailing zeros are no decimals, but a million of them are not worth the work of taking them off.
    if decimals(number) <= MAX_SCALE:
        # Not normalize(): it turns 5000 into 5E+3, and str() would show it.
        number = Decimal(plain(number))
    if decimals(number) > RATE_DECIMALS:
        raise RateError(path, f"must not have more than {RATE_DECIMALS} decimals")
    return number


def _finite_decimal(value: object, path: str) -> Decimal:
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, int) and not isinstance(value, bool):
        # Turning a very long int into a Decimal takes quadratic time; 128 bits are well beyond 10^24.
        number = Decimal(value) if value.bit_length() <= 128 else LARGEST * (10 if value > 0 else -1)
    elif isinstance(value, str):
        number = _decimal_of_text(value, path)
    else:
        raise RateError(path, 'must be a number written as text, such as "12.5"')
    if not number.is_finite():
        raise RateError(path, "must be a finite number")
    return number


def _decimal_of_text(text: str, path: str) -> Decimal:
    if len(text) > MAX_TEXT:
        raise RateError(path, f"must not be longer than {MAX_TEXT} characters")
    # Decimal() itself would take underscores, spaces, digits of other scripts and "nan".
    if not _NUMBER.fullmatch(text):
        raise RateError(path, 'must be a number written as text, such as "12.5"')
    return Decimal(text)


class Fields:
    """One JSON object of a rate while it is read: knows its path and which keys were asked for."""

    def __init__(self, value: object, path: str = "") -> None:
        """Raises RateError if `value` is not an object with text keys."""
        if not isinstance(value, Mapping):
            raise RateError(path, "must be an object")
        if not all(isinstance(key, str) for key in value):
            raise RateError(path, "must have text keys only")
        self.path = path
        self._values: dict[str, object] = dict(value)
        self._known: set[str] = set()

    def at(self, key: str) -> str:
        """The path of a key of this object."""
        return f"{self.path}.{key}" if self.path else key

    def required(self, key: str) -> object:
        """The raw value of a key that must be there."""
        self._known.add(key)
        if key not in self._values:
            raise RateError(self.at(key), "is missing")
        return self._values[key]

    def number(self, key: str) -> Decimal:
        """A number that must be there."""
        return read_number(self.required(key), self.at(key))

    def positive(self, key: str) -> Decimal:
        """A number that must be there and above zero."""
        number = self.number(key)
        if not number:
            raise RateError(self.at(key), "must be greater than 0")
        return number

    def optional_number(self, key: str) -> Decimal | None:
        """A number, or None when the key is not there."""
        self._known.add(key)
        return self.number(key) if key in self._values else None

    def number_or_zero(self, key: str) -> Decimal:
        """A number, or 0 when the key is not there."""
        return self.optional_number(key) or ZERO

    def optional_whole(self, key: str) -> int | None:
        """A whole number, or None when the key is not there."""
        number = self.optional_number(key)
        if number is None:
            return None
        if decimals(number):
            raise RateError(self.at(key), "must be a whole number")
        return int(number)

    def choice(self, key: str, options: Sequence[str], default: str | None = None) -> str:
        """One of `options`; the default, if there is one, when the key is not there."""
        self._known.add(key)
        if default is not None and key not in self._values:
            return default
        value = self.required(key)
        if not isinstance(value, str) or value not in options:
            raise RateError(self.at(key), f"must be one of {', '.join(options)}")
        return value

    def finish(self) -> None:
        """Refuse keys that nobody asked for: a misspelt option must not be dropped in silence."""
        for key in self._values:
            if key in self._known:
                continue
            if _PLAIN_KEY.fullmatch(key):
                raise RateError(self.at(key), "is not known here")
            # A hostile key belongs neither in a path nor in a message.
            raise RateError(self.path, "has a key that is not known here")

    def tiers(self) -> list[tuple["Fields", Decimal | None]]:
        """The objects in `tiers`, each with its inclusive, cumulative upper bound `up_to`.

        The bounds ascend strictly and the last one, and no other, is null. Whoever reads a tier calls its
        `finish()`.
        """
        items = self.required("tiers")
        path = self.at("tiers")
        if not isinstance(items, list | tuple) or not items:
            raise RateError(path, "must be a list of at least one tier")
        if len(items) > MAX_TIERS:
            raise RateError(path, f"must not have more than {MAX_TIERS} tiers")
        tiers: list[tuple[Fields, Decimal | None]] = []
        lower = ZERO
        for index, item in enumerate(items):
            tier = Fields(item, f"{path}[{index}]")
            upper = tier._upper_bound(lower, last=index == len(items) - 1)
            tiers.append((tier, upper))
            lower = upper if upper is not None else lower
        return tiers

    def _upper_bound(self, lower: Decimal, *, last: bool) -> Decimal | None:
        bound = self.required("up_to")
        if last:
            if bound is not None:
                raise RateError(self.at("up_to"), "must be null in the last tier")
            return None
        if bound is None:
            raise RateError(self.at("up_to"), "must be a number in every tier but the last")
        upper = read_number(bound, self.at("up_to"))
        if upper <= lower:
            limit = "0" if not lower else "the up_to of the tier before"
            raise RateError(self.at("up_to"), f"must be greater than {limit}")
        return upper
