"""The rate models with one price: for every unit, or for every block of units."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Self

from meters.aggregation import plain
from pricing.rate_fields import Fields
from pricing.rate_model import RateModel
from pricing.steps import PRORATED, Step, StepKind

ROUND_UP, ROUND_DOWN, PRORATE = "round_up", "round_down", "prorate"


def started_blocks(quantity: Decimal, block_size: Decimal) -> Decimal:
    """How many blocks hold the quantity, the last of them perhaps in part."""
    blocks, partial = divmod(quantity, block_size)
    return blocks + 1 if partial else blocks


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

    def price(self, quantity: Decimal) -> Iterator[Step]:
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

    def price(self, quantity: Decimal) -> Iterator[Step]:
        blocks: Decimal | None
        if self.partial_block == PRORATE:
            blocks = None
            amount = PRORATED.divide(quantity * self.block_price, self.block_size)
        else:
            up = self.partial_block == ROUND_UP
            blocks = started_blocks(quantity, self.block_size) if up else quantity // self.block_size
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
