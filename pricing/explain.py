"""Steps and rates in plain words, the same on every surface: portal, PDF, CSV, admin and API.

`unit` is the plural label of the meter ("calls", "API calls", "GB"); empty reads as "units". `currency` is an
ISO 4217 code. Amounts of steps are shown with all their digits, because only the line is rounded.
Raises CurrencyError, or StepError for a step that lacks what its kind needs.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import singledispatch
from typing import TypeVar

from pricing.money import format_amount, format_price, format_quantity
from pricing.rate_models import (
    PRORATE,
    ROUND_DOWN,
    ROUND_UP,
    Block,
    Graduated,
    PerUnit,
    RateModel,
    Tier,
    Volume,
)
from pricing.rates import Rate
from pricing.steps import EXACT, Step, StepError, StepKind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of steps: `amount` is exact, `formatted_amount` is what to show."""

    label: str
    detail: str
    amount: Decimal
    formatted_amount: str


def sentences(steps: Iterable[Step], *, unit: str, currency: str) -> list[str]:
    """The steps as sentences, in order. No steps (nothing used, nothing owed) give none."""
    return [sentence for words in _all_words(steps, unit, currency) for sentence in words.sentences]


def rows(steps: Iterable[Step], *, unit: str, currency: str) -> list[Row]:
    """The steps as table rows, in order, one for each step."""
    steps = tuple(steps)
    return [
        Row(words.label, words.detail, step.amount, format_amount(step.amount, currency))
        for step, words in zip(steps, _all_words(steps, unit, currency), strict=True)
    ]


def describe_rate(rate: Rate, *, unit: str, currency: str) -> list[str]:
    """The price in plain words, one line for each tier: "5,000 calls free, then $0.01 per call"."""
    say = _Say(unit, currency)
    lines = _describe(rate.model, say)
    if rate.included_units:
        free = f"{say.count(rate.included_units)} free, then"
        lines = [f"{free} {lines[0]}"] if len(lines) == 1 else [f"{free}:", *lines]
    if rate.minimum:
        lines.append(f"at least {say.price(rate.minimum)}, with or without usage")
    if rate.maximum is not None:
        lines.append(f"at most {say.price(rate.maximum)}")
    return [line[:1].upper() + line[1:] for line in lines]


# --- Numbers and nouns ---


@dataclass(frozen=True, slots=True)
class _Say:
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


# --- Steps ---


@dataclass(frozen=True, slots=True)
class _Words:
    label: str
    detail: str
    sentences: tuple[str, ...]


def _all_words(steps: Iterable[Step], unit: str, currency: str) -> list[_Words]:
    say = _Say(unit, currency)
    return [_WORDS[step.kind](step, say) for step in steps]


def _set(value: T | None) -> T:
    if value is None:
        raise StepError("a step lacks a value that its kind needs")
    return value


def _included_words(step: Step, say: _Say) -> _Words:
    limit = _set(step.of)
    detail = f"{format_quantity(step.quantity)} of {format_quantity(limit)} free"
    return _Words("Free tier", detail, (f"{detail} {say.noun(limit)} used.",))


def _units_words(step: Step, say: _Say) -> _Words:
    detail = f"{say.count(step.quantity)} x {say.price(_set(step.unit_price))}"
    return _Words(f"Per {say.singular}", detail, (f"{detail} = {say.amount(step.amount)}.",))


_PARTIAL_BLOCK = {
    ROUND_UP: "A started block counts in full.",
    ROUND_DOWN: "Only full blocks count.",
    PRORATE: "A partial block counts in proportion.",
}


def _blocks_words(step: Step, say: _Say) -> _Words:
    size = _set(step.block_size)
    price = say.price(_set(step.block_price))
    if step.blocks is None:
        detail = f"{say.count(step.quantity)} x {price} per {say.count(size)}"
    else:
        blocks = "block" if step.blocks == 1 else "blocks"
        detail = f"{say.count(step.quantity)} = {format_quantity(step.blocks)} {blocks} x {price}"
    rule = _PARTIAL_BLOCK.get(_set(step.partial_block), "")
    facts = (f"{detail} = {say.amount(step.amount)}.", rule)
    return _Words(f"Blocks of {format_quantity(size)}", detail, tuple(filter(None, facts)))


def _tier_words(step: Step, say: _Say) -> _Words:
    detail = f"{say.count(step.quantity)} x {say.price(_set(step.unit_price))}"
    bounds = _bounds(_set(step.lower), step.upper)
    name = _tier_name(step)
    label = f"{name}: {bounds}" if bounds else name
    in_brackets = f"{name} ({bounds})" if bounds else name
    return _Words(label, detail, (f"{in_brackets}: {detail} = {say.amount(step.amount)}.",))


def _volume_words(step: Step, say: _Say) -> _Words:
    words = _tier_words(step, say)
    rule = f"The tier that the total falls in sets the price of every {say.singular}."
    return _Words(words.label, words.detail, (*words.sentences, rule))


def _flat_fee_words(step: Step, say: _Say) -> _Words:
    name = _tier_name(step)
    sentence = f"{name} has a flat fee of {say.amount(step.amount)}."
    return _Words("Flat fee", f"Owed once {name.lower()} is reached", (sentence,))


def _minimum_words(step: Step, say: _Say) -> _Words:
    limit = say.price(_set(step.of))
    sentence = f"The minimum of {limit} applies: {say.amount(step.amount)} is added."
    return _Words("Minimum", f"Raised to the minimum of {limit}", (sentence,))


def _maximum_words(step: Step, say: _Say) -> _Words:
    limit = say.price(_set(step.of))
    sentence = f"The maximum of {limit} applies: {say.amount(step.amount.copy_abs())} is taken off."
    return _Words("Maximum", f"Capped at the maximum of {limit}", (sentence,))


_WORDS: dict[StepKind, Callable[[Step, _Say], _Words]] = {
    StepKind.INCLUDED: _included_words,
    StepKind.UNITS: _units_words,
    StepKind.BLOCKS: _blocks_words,
    StepKind.TIER: _tier_words,
    StepKind.VOLUME: _volume_words,
    StepKind.FLAT_FEE: _flat_fee_words,
    StepKind.MINIMUM: _minimum_words,
    StepKind.MAXIMUM: _maximum_words,
}


def _tier_name(step: Step) -> str:
    return f"Tier {_set(step.tier) + 1}"


def _bounds(lower: Decimal, upper: Decimal | None) -> str:
    """ "up to 1,000", "over 1,000 up to 5,000", "over 5,000"; empty for a tier without bounds."""
    parts = [f"over {format_quantity(lower)}"] if lower else []
    if upper is not None:
        parts.append(f"up to {format_quantity(upper)}")
    return " ".join(parts)


# --- Rates ---


@singledispatch
def _describe(model: RateModel, say: _Say) -> list[str]:
    raise NotImplementedError(f"no words for the rate model {model.name}")


@_describe.register
def _describe_per_unit(model: PerUnit, say: _Say) -> list[str]:
    return [f"{say.price(model.unit_price)} per {say.singular}"]


@_describe.register
def _describe_block(model: Block, say: _Say) -> list[str]:
    price, size = say.price(model.block_price), say.count(model.block_size)
    if model.partial_block == PRORATE:
        return [f"{price} per {size}, in proportion"]
    kind = "full" if model.partial_block == ROUND_DOWN else "started"
    return [f"{price} per {kind} block of {size}"]


@_describe.register
def _describe_graduated(model: Graduated, say: _Say) -> list[str]:
    lines = []
    for _, lower, tier in model.with_lower_bounds():
        price = f"{say.price(tier.unit_price)} per {say.singular}{_plus_fee(tier, say)}"
        lines.append(f"{_graduated_span(lower, tier, say)}: {price}" if len(model.tiers) > 1 else price)
    return lines


@_describe.register
def _describe_volume(model: Volume, say: _Say) -> list[str]:
    lines = []
    for _, lower, tier in model.with_lower_bounds():
        price = f"{say.price(tier.unit_price)} for every {say.singular}{_plus_fee(tier, say)}"
        bounds = _bounds(lower, tier.up_to)
        lines.append(f"{bounds} {say.noun(tier.up_to or lower)}: {price}" if bounds else price)
    return lines


def _graduated_span(lower: Decimal, tier: Tier, say: _Say) -> str:
    if tier.up_to is None:
        return f"above {say.count(lower)}"
    # Bounds may carry 39 digits: subtract exactly.
    units = EXACT.subtract(tier.up_to, lower)
    return f"{'next' if lower else 'first'} {say.count(units)}"


def _plus_fee(tier: Tier, say: _Say) -> str:
    return f" plus {say.price(tier.flat_fee)}" if tier.flat_fee else ""
