"""The words of each rate model: the price, before anything is used."""

from functools import singledispatch

from pricing.explain_nouns import Say, bounds, counted, percent_text
from pricing.rate_models import (
    PRORATE,
    ROUND_DOWN,
    Block,
    BlockTier,
    Graduated,
    GraduatedBlock,
    GraduatedPercentage,
    Percentage,
    PercentTier,
    PerUnit,
    RateModel,
    Stairstep,
    Tier,
    UnitTier,
    Volume,
    VolumeBlock,
)
from pricing.steps import EXACT


@singledispatch
def describe(model: RateModel, say: Say) -> list[str]:
    """The price in words, one line for each tier."""
    raise NotImplementedError(f"no words for the rate model {model.name}")


@describe.register
def _per_unit(model: PerUnit, say: Say) -> list[str]:
    return [f"{say.price(model.unit_price)} per {say.singular}"]


@describe.register
def _block(model: Block, say: Say) -> list[str]:
    price, size = say.price(model.block_price), say.count(model.block_size)
    if model.partial_block == PRORATE:
        return [f"{price} per {size}, in proportion"]
    kind = "full" if model.partial_block == ROUND_DOWN else "started"
    return [f"{price} per {kind} block of {size}"]


@describe.register(Graduated)
@describe.register(GraduatedBlock)
@describe.register(GraduatedPercentage)
def _graduated(model: Graduated | GraduatedBlock | GraduatedPercentage, say: Say) -> list[str]:
    lines = []
    for _, lower, tier in model.with_lower_bounds():
        price = _tier_price(tier, say)
        if tier.up_to is None:
            span = f"above {say.count(lower)}"
        else:
            # Bounds may carry 39 digits: subtract exactly.
            span = f"{'next' if lower else 'first'} {say.count(EXACT.subtract(tier.up_to, lower))}"
        lines.append(f"{span}: {price}" if len(model.tiers) > 1 else price)
    return lines


@describe.register(Volume)
@describe.register(VolumeBlock)
def _volume(model: Volume | VolumeBlock, say: Say) -> list[str]:
    lines = []
    for _, lower, tier in model.with_lower_bounds():
        if isinstance(tier, UnitTier):
            price = f"{say.price(tier.unit_price)} for every {say.singular}{_plus_fee(tier, say)}"
        else:
            price = _tier_price(tier, say)
        of_tier = bounds(lower, tier.up_to)
        lines.append(f"{of_tier} {say.noun(tier.up_to or lower)}: {price}" if of_tier else price)
    # Where tiers are said as totals, blocks of only the units inside one must not be understood.
    if isinstance(model, VolumeBlock) and len(model.tiers) > 1:
        lines.append(f"the tier of the total counts for all {say.plural}")
    return lines


@describe.register
def _stairstep(model: Stairstep, say: Say) -> list[str]:
    lines = []
    for _, lower, tier in model.with_lower_bounds():
        price, of_tier = say.price(tier.flat_price), bounds(lower, tier.up_to)
        span = f"{of_tier} {say.noun(tier.up_to or lower)}" if of_tier else f"any number of {say.plural}"
        lines.append(f"{span}: {price} in all")
    return lines


@describe.register
def _percentage(model: Percentage, say: Say) -> list[str]:
    fee = f" plus {say.price(model.fixed_fee_per_event)} per event" if model.fixed_fee_per_event else ""
    lines = [f"{percent_text(model.rate_percent)} of the {say.plural}{fee}"]
    limits = [f"at least {say.price(model.per_event_min)}"] if model.per_event_min else []
    if model.per_event_max is not None:
        limits.append(f"at most {say.price(model.per_event_max)}")
    if limits:
        lines.append(f"{' and '.join(limits)} per event")
    return lines + _free_of(model, say)


def _free_of(model: Percentage, say: Say) -> list[str]:
    if model.free_events == 0 or model.free_amount == 0:
        return []  # one that is used up from the start leaves nothing free
    amount = None if model.free_amount is None else say.count(model.free_amount)
    if model.free_events is None:
        return [] if amount is None else [f"the first {amount} are free"]
    one = model.free_events == 1
    events = "the first event is free" if one else f"the first {counted(model.free_events, 'event')} are free"
    return [events if amount is None else f"{events}, up to {amount} in all"]


def _tier_price(tier: Tier, say: Say) -> str:
    match tier:
        case UnitTier():
            price = f"{say.price(tier.unit_price)} per {say.singular}"
        case BlockTier():
            price = f"{say.price(tier.block_price)} per started block of {say.count(tier.block_size)}"
        case PercentTier():
            price = f"{percent_text(tier.rate_percent)} of the {say.plural}"
        case _:
            raise NotImplementedError("no words for this kind of tier")
    return price + _plus_fee(tier, say)


def _plus_fee(tier: Tier, say: Say) -> str:
    return f" plus {say.price(tier.flat_fee)}" if tier.flat_fee else ""
