"""The rate models with tiers: how a tier prices units, and which units it is asked to price."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import ClassVar, Generic, Self, TypeVar

from meters.aggregation import plain
from pricing.rate_fields import Fields
from pricing.rate_model import RateModel
from pricing.rate_models_units import ROUND_UP, started_blocks
from pricing.steps import PER_CENT, ZERO, Step, StepKind


@dataclass(frozen=True, slots=True)
class Bounded(ABC):
    """The units above the tier before, up to and including `up_to`; None is without end."""

    up_to: Decimal | None

    @classmethod
    @abstractmethod
    def read(cls, fields: Fields, up_to: Decimal | None) -> Self:
        """Read what a tier says beside its bound. Raises RateError."""

    @abstractmethod
    def parameters(self) -> dict[str, object]:
        """The JSON form without the bound and without defaults."""


@dataclass(frozen=True, slots=True)
class Tier(Bounded):
    """A tier that prices units, and is owed a flat fee once it is entered."""

    flat_fee: Decimal

    def parameters(self) -> dict[str, object]:
        return {"flat_fee": plain(self.flat_fee)} if self.flat_fee else {}

    @abstractmethod
    def step(self, kind: StepKind, units: Decimal, index: int, lower: Decimal) -> Step:
        """The price of the units without the flat fee, in a context that is exact."""


@dataclass(frozen=True, slots=True)
class UnitTier(Tier):
    unit_price: Decimal

    @classmethod
    def read(cls, fields: Fields, up_to: Decimal | None) -> Self:
        return cls(up_to=up_to, unit_price=fields.number("unit_price"), flat_fee=fields.number_or_zero("flat_fee"))

    def parameters(self) -> dict[str, object]:
        return {"unit_price": plain(self.unit_price), **Tier.parameters(self)}

    def step(self, kind: StepKind, units: Decimal, index: int, lower: Decimal) -> Step:
        return Step(
            kind=kind,
            quantity=units,
            unit_price=self.unit_price,
            tier=index,
            lower=lower,
            upper=self.up_to,
            amount=units * self.unit_price,
        )


@dataclass(frozen=True, slots=True)
class BlockTier(Tier):
    block_size: Decimal
    block_price: Decimal

    @classmethod
    def read(cls, fields: Fields, up_to: Decimal | None) -> Self:
        return cls(
            up_to=up_to,
            block_size=fields.positive("block_size"),
            block_price=fields.number("block_price"),
            flat_fee=fields.number_or_zero("flat_fee"),
        )

    def parameters(self) -> dict[str, object]:
        own = {"block_size": plain(self.block_size), "block_price": plain(self.block_price)}
        return {**own, **Tier.parameters(self)}

    def step(self, kind: StepKind, units: Decimal, index: int, lower: Decimal) -> Step:
        blocks = started_blocks(units, self.block_size)
        return Step(
            kind=kind,
            quantity=units,
            blocks=blocks,
            block_size=self.block_size,
            block_price=self.block_price,
            partial_block=ROUND_UP,
            tier=index,
            lower=lower,
            upper=self.up_to,
            amount=blocks * self.block_price,
        )


@dataclass(frozen=True, slots=True)
class PercentTier(Tier):
    rate_percent: Decimal

    @classmethod
    def read(cls, fields: Fields, up_to: Decimal | None) -> Self:
        return cls(up_to=up_to, rate_percent=fields.number("rate_percent"), flat_fee=fields.number_or_zero("flat_fee"))

    def parameters(self) -> dict[str, object]:
        return {"rate_percent": plain(self.rate_percent), **Tier.parameters(self)}

    def step(self, kind: StepKind, units: Decimal, index: int, lower: Decimal) -> Step:
        return Step(
            kind=kind,
            quantity=units,
            percent=self.rate_percent,
            base=units,
            tier=index,
            lower=lower,
            upper=self.up_to,
            amount=units * self.rate_percent * PER_CENT,
        )


@dataclass(frozen=True, slots=True)
class FlatTier(Bounded):
    flat_price: Decimal

    @classmethod
    def read(cls, fields: Fields, up_to: Decimal | None) -> Self:
        return cls(up_to=up_to, flat_price=fields.number("flat_price"))

    def parameters(self) -> dict[str, object]:
        return {"flat_price": plain(self.flat_price)}


AnyTier = TypeVar("AnyTier", bound=Bounded, covariant=True)


@dataclass(frozen=True, slots=True)
class Tiered(RateModel, Generic[AnyTier]):
    """What the models with tiers share: the tiers."""

    tier_type: ClassVar[type[Bounded]]
    tiers: tuple[AnyTier, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        tiers = []
        for tier_fields, up_to in fields.tiers():
            tiers.append(cls.tier_type.read(tier_fields, up_to))
            tier_fields.finish()
        return cls(tuple(tiers))  # type: ignore[arg-type]  # tier_type is the class of this model's tiers

    def parameters(self) -> dict[str, object]:
        return {
            "tiers": [
                {"up_to": None if tier.up_to is None else plain(tier.up_to), **tier.parameters()} for tier in self.tiers
            ]
        }

    def with_lower_bounds(self) -> Iterator[tuple[int, Decimal, AnyTier]]:
        """Each tier with its index and its exclusive lower bound."""
        lower = ZERO
        for index, tier in enumerate(self.tiers):
            yield index, lower, tier
            lower = lower if tier.up_to is None else tier.up_to

    def reached(self, quantity: Decimal) -> tuple[int, Decimal, AnyTier]:
        """The tier that a quantity falls in, with its index and its exclusive lower bound."""
        return next(found for found in self.with_lower_bounds() if found[2].up_to is None or quantity <= found[2].up_to)

    def scaled(self, share: Callable[[Decimal], Decimal]) -> Self:
        """The bounds at their share. A tier so narrow that nothing fits into it any more is left out."""
        tiers: list[AnyTier] = []
        lower = ZERO
        for tier in self.tiers:
            upper = None if tier.up_to is None else share(tier.up_to)
            if upper is None or upper > lower:
                tiers.append(replace(tier, up_to=upper))
                lower = lower if upper is None else upper
        return replace(self, tiers=tuple(tiers))


class _Graduated(Tiered[Tier]):
    """Each tier prices the units inside it; its flat fee is owed above its lower bound."""

    __slots__ = ()

    def price(self, quantity: Decimal) -> Iterator[Step]:
        for index, lower, tier in self.with_lower_bounds():
            if quantity <= lower:
                return
            inside = (quantity if tier.up_to is None else min(quantity, tier.up_to)) - lower
            yield tier.step(StepKind.TIER, inside, index, lower)
            if tier.flat_fee:
                yield _flat_fee(tier, index, lower)


class _Volume(Tiered[Tier]):
    """The tier the total falls in prices all units and owes its flat fee, and no other tier does."""

    __slots__ = ()

    def price(self, quantity: Decimal) -> Iterator[Step]:
        index, lower, tier = self.reached(quantity)
        yield tier.step(StepKind.VOLUME, quantity, index, lower)
        if tier.flat_fee:
            yield _flat_fee(tier, index, lower)


def _flat_fee(tier: Tier, index: int, lower: Decimal) -> Step:
    return Step(kind=StepKind.FLAT_FEE, tier=index, lower=lower, upper=tier.up_to, amount=tier.flat_fee)


class Graduated(_Graduated):
    """Each unit at the price of the tier that it is in."""

    __slots__ = ()
    name = "graduated"
    tier_type = UnitTier


class GraduatedBlock(_Graduated):
    """The units of each tier in blocks of its own: each tier rounds up its own partial block."""

    __slots__ = ()
    name = "graduated_block"
    tier_type = BlockTier


class GraduatedPercentage(_Graduated):
    """Each part of the metered amount at the percentage of the tier that it is in."""

    __slots__ = ()
    name = "graduated_percentage"
    tier_type = PercentTier


class Volume(_Volume):
    """All units at the price of the tier that the total falls in."""

    __slots__ = ()
    name = "volume"
    tier_type = UnitTier


class VolumeBlock(_Volume):
    """All units in blocks of the tier that the total falls in."""

    __slots__ = ()
    name = "volume_block"
    tier_type = BlockTier


class Stairstep(Tiered[FlatTier]):
    """The flat price of the tier that the quantity falls in, however many units that are."""

    __slots__ = ()
    name = "stairstep"
    tier_type = FlatTier

    def price(self, quantity: Decimal) -> Iterator[Step]:
        index, lower, tier = self.reached(quantity)
        yield Step(
            kind=StepKind.FLAT_PRICE,
            quantity=quantity,
            tier=index,
            lower=lower,
            upper=tier.up_to,
            amount=tier.flat_price,
        )
