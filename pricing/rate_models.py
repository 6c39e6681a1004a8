"""The rate models: what each reads, what it writes back, and how it prices a quantity.

A model prices what is left after the included units and knows nothing of the line's minimum and maximum; see
`pricing.rates.charge`. To add one, write a class here and name it in `MODELS`, and say how it is
described in `pricing.explain`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Self

from meters.aggregation import plain
from pricing.rate_fields import Fields
from pricing.steps import PRORATED, ZERO, Step, StepKind

ROUND_UP, ROUND_DOWN, PRORATE = "round_up", "round_down", "prorate"


class RateModel(ABC):
    """A way to price a quantity. Frozen, validated when it is read."""

    __slots__ = ()
    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def read(cls, fields: Fields) -> Self:
        """Read the parameters of the model. Raises RateError."""

    @abstractmethod
    def parameters(self) -> dict[str, object]:
        """The JSON form of the parameters, without "model" and without defaults."""

    @abstractmethod
    def price(self, quantity: Decimal, events: Sequence[Decimal] | None) -> Iterator[Step]:
        """The steps for a quantity above zero, in a context that is exact.

        `events` are the single values in order, for a model that prices event by event.
        """


@dataclass(frozen=True, slots=True)
class PerUnit(RateModel):
    """quantity x unit_price."""

    name: ClassVar[str] = "per_unit"
    unit_price: Decimal

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(unit_price=fields.number("unit_price"))

    def parameters(self) -> dict[str, object]:
        return {"unit_price": plain(self.unit_price)}

    def price(self, quantity: Decimal, events: Sequence[Decimal] | None) -> Iterator[Step]:
        yield Step(
            kind=StepKind.UNITS,
            quantity=quantity,
            unit_price=self.unit_price,
            amount=quantity * self.unit_price,
        )


@dataclass(frozen=True, slots=True)
class Block(RateModel):
    """blocks x block_price, where a partial block counts in full, not at all or in proportion.

    In proportion the amount is quantity x block_price / block_size, which may never end; it is computed to
    60 significant digits (`PRORATED_DIGITS`). Everything else is exact.
    """

    name: ClassVar[str] = "block"
    block_size: Decimal
    block_price: Decimal
    partial_block: str = ROUND_UP

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(
            block_size=fields.positive("block_size"),
            block_price=fields.number("block_price"),
            partial_block=fields.choice("partial_block", (ROUND_UP, ROUND_DOWN, PRORATE), default=ROUND_UP),
        )

    def parameters(self) -> dict[str, object]:
        result: dict[str, object] = {
            "block_size": plain(self.block_size),
            "block_price": plain(self.block_price),
        }
        if self.partial_block != ROUND_UP:
            result["partial_block"] = self.partial_block
        return result

    def price(self, quantity: Decimal, events: Sequence[Decimal] | None) -> Iterator[Step]:
        if self.partial_block == PRORATE:
            blocks = None
            amount = PRORATED.divide(quantity * self.block_price, self.block_size)
        else:
            blocks, partial = divmod(quantity, self.block_size)
            if partial and self.partial_block == ROUND_UP:
                blocks += 1
            amount = blocks * self.block_price
        yield Step(
            kind=StepKind.BLOCKS,
            quantity=quantity,
            blocks=blocks,
            block_size=self.block_size,
            block_price=self.block_price,
            partial_block=self.partial_block,
            amount=amount,
        )


@dataclass(frozen=True, slots=True)
class Tier:
    """The units above the tier before, up to and including `up_to`; None is without end."""

    up_to: Decimal | None
    unit_price: Decimal
    flat_fee: Decimal = ZERO

    @classmethod
    def read(cls, fields: Fields, up_to: Decimal | None) -> Self:
        tier = cls(up_to, fields.number("unit_price"), fields.number_or_zero("flat_fee"))
        fields.finish()
        return tier

    def parameters(self) -> dict[str, object]:
        result: dict[str, object] = {
            "up_to": None if self.up_to is None else plain(self.up_to),
            "unit_price": plain(self.unit_price),
        }
        if self.flat_fee:
            result["flat_fee"] = plain(self.flat_fee)
        return result


@dataclass(frozen=True, slots=True)
class Tiered(RateModel):
    """What the two models with tiers share: the tiers."""

    tiers: tuple[Tier, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(tuple(Tier.read(tier, up_to) for tier, up_to in fields.tiers()))

    def parameters(self) -> dict[str, object]:
        return {"tiers": [tier.parameters() for tier in self.tiers]}

    def with_lower_bounds(self) -> Iterator[tuple[int, Decimal, Tier]]:
        """Each tier with its index and its exclusive lower bound."""
        lower = ZERO
        for index, tier in enumerate(self.tiers):
            yield index, lower, tier
            lower = lower if tier.up_to is None else tier.up_to


@dataclass(frozen=True, slots=True)
class Graduated(Tiered):
    """Each tier prices the units inside it; its flat fee is owed above its lower bound."""

    name: ClassVar[str] = "graduated"

    def price(self, quantity: Decimal, events: Sequence[Decimal] | None) -> Iterator[Step]:
        for index, lower, tier in self.with_lower_bounds():
            if quantity <= lower:
                return
            inside = (quantity if tier.up_to is None else min(quantity, tier.up_to)) - lower
            yield from _tier_steps(StepKind.TIER, index, lower, tier, inside)


@dataclass(frozen=True, slots=True)
class Volume(Tiered):
    """The tier the total falls in prices all units and owes its flat fee, and no other tier does."""

    name: ClassVar[str] = "volume"

    def price(self, quantity: Decimal, events: Sequence[Decimal] | None) -> Iterator[Step]:
        for index, lower, tier in self.with_lower_bounds():
            if tier.up_to is None or quantity <= tier.up_to:
                yield from _tier_steps(StepKind.VOLUME, index, lower, tier, quantity)
                return


def _tier_steps(kind: StepKind, index: int, lower: Decimal, tier: Tier, units: Decimal) -> Iterator[Step]:
    yield Step(
        kind=kind,
        quantity=units,
        unit_price=tier.unit_price,
        tier=index,
        lower=lower,
        upper=tier.up_to,
        amount=units * tier.unit_price,
    )
    if tier.flat_fee:
        yield Step(kind=StepKind.FLAT_FEE, tier=index, lower=lower, upper=tier.up_to, amount=tier.flat_fee)


MODELS: dict[str, type[RateModel]] = {model.name: model for model in (PerUnit, Block, Graduated, Volume)}
