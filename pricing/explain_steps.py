"""The words of each kind of step: what a row of the table says, and the sentences."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from pricing.explain_nouns import Say, bounds, counted, percent_text
from pricing.money import format_quantity
from pricing.rate_models import PRORATE, ROUND_DOWN, ROUND_UP
from pricing.steps import Step, StepError, StepKind

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Words:
    """A row's label and detail. A sentence that says more than the detail does not repeat it."""

    label: str
    detail: str
    sentences: tuple[str, ...]


def words(step: Step, say: Say) -> Words:
    """The words of one step. Raises StepError where it lacks what its kind needs."""
    return _WORDS[step.kind](step, say)


def _set(value: T | None) -> T:
    if value is None:
        raise StepError("a step lacks a value that its kind needs")
    return value


def _comes_to(label: str, detail: str, step: Step, say: Say) -> Words:
    return Words(label, detail, (f"{detail} = {say.amount(step.amount)}.",))


# --- Of a rate ---


def _included(step: Step, say: Say) -> Words:
    limit = _set(step.of)
    detail = f"{format_quantity(step.quantity)} of {format_quantity(limit)} free"
    return Words("Free tier", detail, (f"{detail} {say.noun(limit)} used.",))


def _units(step: Step, say: Say) -> Words:
    return _comes_to(f"Per {say.singular}", _priced(step, say), step, say)


_PARTIAL_BLOCK = {
    ROUND_UP: "A started block counts in full.",
    ROUND_DOWN: "Only full blocks count.",
    PRORATE: "A partial block counts in proportion.",
}


def _blocks(step: Step, say: Say) -> Words:
    size = _set(step.block_size)
    price = say.price(_set(step.block_price))
    if step.blocks is None:
        detail = f"{say.count(step.quantity)} x {price} per {say.count(size)}"
    else:
        detail = f"{say.count(step.quantity)} = {_count_of_blocks(step.blocks)} x {price}"
    rule = _PARTIAL_BLOCK.get(_set(step.partial_block), "")
    facts = (f"{detail} = {say.amount(step.amount)}.", rule)
    return Words(f"Blocks of {format_quantity(size)}", detail, tuple(filter(None, facts)))


def _count_of_blocks(blocks: Decimal) -> str:
    return f"{format_quantity(blocks)} {'block' if blocks == 1 else 'blocks'}"


def _priced(step: Step, say: Say) -> str:
    """The units of a step and their price: for each of them, for blocks of them, or a share of them."""
    if step.percent is not None:
        return f"{percent_text(step.percent)} of {say.count(step.quantity)}"
    if step.unit_price is not None:
        return f"{say.count(step.quantity)} x {say.price(step.unit_price)}"
    size = f"of {format_quantity(_set(step.block_size))}"
    blocks = f"{_count_of_blocks(_set(step.blocks))} {size}"
    return f"{say.count(step.quantity)} = {blocks} x {say.price(_set(step.block_price))}"


def _tier(step: Step, say: Say) -> Words:
    rules: tuple[str, ...] = ()
    # Once for all tiers.
    if step.blocks is not None and not step.tier:
        rules = (_PARTIAL_BLOCK[ROUND_UP],)
    return _in_tier(step, _priced(step, say), say, *rules)


def _volume(step: Step, say: Say) -> Words:
    rules = [f"The tier that the total falls in sets the price of every {say.singular}."]
    if step.blocks is not None:
        rules.append(_PARTIAL_BLOCK[ROUND_UP])
    return _in_tier(step, _priced(step, say), say, *rules)


def _flat_price(step: Step, say: Say) -> Words:
    detail = f"{say.count(step.quantity)} for one price"
    return _in_tier(step, detail, say, "The tier that the total falls in sets the price of all of it.")


def _in_tier(step: Step, detail: str, say: Say, *rules: str) -> Words:
    name, of_tier = _tier_name(step), bounds(_set(step.lower), step.upper)
    label = f"{name}: {of_tier}" if of_tier else name
    in_brackets = f"{name} ({of_tier})" if of_tier else name
    return Words(label, detail, (f"{in_brackets}: {detail} = {say.amount(step.amount)}.", *rules))


def _tier_name(step: Step) -> str:
    return f"Tier {_set(step.tier) + 1}"


def _flat_fee(step: Step, say: Say) -> Words:
    name = _tier_name(step)
    sentence = f"{name} has a flat fee of {say.amount(step.amount)}."
    return Words("Flat fee", f"Owed once {name.lower()} is reached", (sentence,))


def _percentage(step: Step, say: Say) -> Words:
    base, percent = _set(step.base), percent_text(_set(step.percent))
    # Corrections may make the sum less than what single events pay for: then the sum explains nothing.
    if base < step.quantity:
        detail = f"{percent} of {format_quantity(base)} of {say.count(step.quantity)}"
    else:
        detail = f"{percent} of {say.count(base)}"
    sentences = [f"{detail} = {say.amount(step.amount)}."]
    if step.free_events and step.events:
        free = format_quantity(Decimal(step.free_events))
        sentences.append(f"{free} of {counted(step.events, 'event')} {'is' if step.free_events == 1 else 'are'} free.")
    return Words("Percentage", detail, tuple(sentences))


def _event_fees(step: Step, say: Say) -> Words:
    detail = f"{counted(_set(step.events), 'event')} x {say.price(_set(step.unit_price))}"
    return _comes_to("Fee per event", detail, step, say)


def _event_limits(step: Step, say: Say) -> Words:
    events, limit = counted(_set(step.events), "event"), say.price(_set(step.of))
    if step.amount < 0:
        detail = f"{events} cut to the maximum of {limit}"
        return Words("Maximum per event", detail, (f"{detail}: {_off(step, say)}.",))
    detail = f"{events} raised to the minimum of {limit}"
    return Words("Minimum per event", detail, (f"{detail}: {_added(step, say)}.",))


def _minimum(step: Step, say: Say) -> Words:
    limit = say.price(_set(step.of))
    sentence = f"The minimum of {limit} applies: {_added(step, say)}."
    return Words("Minimum", f"Raised to the minimum of {limit}", (sentence,))


def _maximum(step: Step, say: Say) -> Words:
    limit = say.price(_set(step.of))
    sentence = f"The maximum of {limit} applies: {_off(step, say)}."
    return Words("Maximum", f"Capped at the maximum of {limit}", (sentence,))


def _added(step: Step, say: Say) -> str:
    return f"{say.amount(step.amount)} is added"


def _off(step: Step, say: Say) -> str:
    return f"{say.amount(step.amount.copy_abs())} is taken off"


# --- Of an invoice ---


def _trial(step: Step, say: Say) -> Words:
    detail = f"{say.count(step.quantity)} in the trial"
    return Words("Trial", detail, (f"{detail} {'is' if step.quantity == 1 else 'are'} free.",))


def _fee(step: Step, say: Say) -> Words:
    price = say.price(_set(step.unit_price))
    if say.unit.strip():
        detail = f"{say.count(step.quantity)} x {price}"
    elif step.quantity == 1:
        detail = price
    else:
        detail = f"{format_quantity(step.quantity)} x {price}"
    detail += _days(step)
    if detail == price:
        return Words("Fee", detail, (f"The fee is {price}.",))
    return _comes_to("Fee", detail, step, say)


def _days(step: Step) -> str:
    if step.days is None or step.of_days is None:
        return ""
    return f" for {format_quantity(Decimal(step.days))} of {counted(step.of_days, 'day')}"


def _rounding(step: Step, say: Say) -> Words:
    change = _off(step, say) if step.amount < 0 else _added(step, say)
    detail = "So that the parts of the period come to the whole fee"
    return Words("Rounding", detail, (f"{detail}, {change}.",))


def _share(label: str) -> Callable[[Step, Say], Words]:
    def words_of(step: Step, say: Say) -> Words:
        return _comes_to(label, _percent_of(step, say), step, say)

    return words_of


def _percent_of(step: Step, say: Say) -> str:
    return f"{percent_text(_set(step.percent))} of {say.amount(_set(step.base))}"


def _discount(step: Step, say: Say) -> Words:
    off = say.amount(step.amount.copy_abs())
    if step.percent is not None:
        detail = _percent_of(step, say)
        return Words("Discount", detail, (f"{detail}: {_off(step, say)}.",))
    of = _set(step.of)
    if step.amount.copy_abs() == of:
        return Words("Discount", f"{off} off", (f"{off} off.",))
    detail = f"{off} of {say.amount(of)} off"
    return Words("Discount", detail, (f"{detail}: no more than there is to pay.",))


def _cap(step: Step, say: Say) -> Words:
    detail = f"At most {say.amount(_set(step.of))} of this discount can be taken off"
    return Words("Limit of the discount", detail, (f"{detail}: {say.amount(step.amount)} less is taken off.",))


def _true_up(step: Step, say: Say) -> Words:
    agreed = f"the agreed {say.amount(_set(step.of))}{_days(step)}"
    detail = f"{say.amount(_set(step.base))} raised to {agreed}"
    return Words("Up to what is agreed", detail, (f"{detail}: {_added(step, say)}.",))


def _overage(step: Step, say: Say) -> Words:
    beyond = f"{say.amount(_set(step.base))} beyond the agreed {say.amount(_set(step.of))}{_days(step)}"
    detail = f"{beyond}, times {format_quantity(_set(step.factor))}"
    change = _off(step, say) if step.amount < 0 else _added(step, say)
    return Words("Beyond what is agreed", detail, (f"{detail}: {change}.",))


# --- Of a correction ---


def _rounded(step: Step, say: Say) -> Words:
    change = _off(step, say) if step.amount < 0 else _added(step, say)
    return Words("Rounding", "Rounded to whole minor units", (f"By rounding, {change}.",))


def _billed(step: Step, say: Say) -> Words:
    now, before = say.amount(_set(step.base)), say.amount(step.amount.copy_negate())
    counted_before = f" for {say.count(step.quantity.copy_negate())}" if step.quantity else ""
    detail = f"{now} by what is known now; {before}{counted_before} was billed"
    return Words("Billed before", detail, (f"{detail}.",))


def _corrected(step: Step, say: Say) -> Words:
    detail = f"{say.amount(step.amount.copy_negate())} by earlier corrections"
    return Words("Corrected before", detail, (f"{detail} is set off.",))


_WORDS: dict[StepKind, Callable[[Step, Say], Words]] = {
    StepKind.INCLUDED: _included,
    StepKind.UNITS: _units,
    StepKind.BLOCKS: _blocks,
    StepKind.TIER: _tier,
    StepKind.VOLUME: _volume,
    StepKind.FLAT_FEE: _flat_fee,
    StepKind.FLAT_PRICE: _flat_price,
    StepKind.PERCENTAGE: _percentage,
    StepKind.EVENT_FEES: _event_fees,
    StepKind.EVENT_LIMITS: _event_limits,
    StepKind.MINIMUM: _minimum,
    StepKind.MAXIMUM: _maximum,
    StepKind.TRIAL: _trial,
    StepKind.FEE: _fee,
    StepKind.ROUNDING: _rounding,
    StepKind.PERCENT_FEE: _share("Percentage"),
    StepKind.DISCOUNT: _discount,
    StepKind.CAP: _cap,
    StepKind.TRUE_UP: _true_up,
    StepKind.OVERAGE: _overage,
    StepKind.TAX: _share("Tax"),
    StepKind.ROUNDED: _rounded,
    StepKind.BILLED: _billed,
    StepKind.CORRECTED: _corrected,
}
