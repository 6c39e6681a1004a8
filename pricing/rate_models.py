"""The rate models by name: what each reads, what it writes back, and how it prices a quantity.

A model prices what is left after the included units and knows nothing of the line's minimum and maximum; see
`pricing.rates.charge`. To add one, write a class beside those that are there, name it in `MODELS`, and say how it is
described in `pricing.explain_rates` and in docs/pricing.md.
"""

from pricing.rate_model import RateModel
from pricing.rate_models_percentage import Percentage
from pricing.rate_models_tiered import (
    BlockTier,
    FlatTier,
    Graduated,
    GraduatedBlock,
    GraduatedPercentage,
    PercentTier,
    Stairstep,
    Tier,
    Tiered,
    UnitTier,
    Volume,
    VolumeBlock,
)
from pricing.rate_models_units import PRORATE, ROUND_DOWN, ROUND_UP, Block, PerUnit

__all__ = [
    "MODELS",
    "PRORATE",
    "ROUND_DOWN",
    "ROUND_UP",
    "Block",
    "BlockTier",
    "FlatTier",
    "Graduated",
    "GraduatedBlock",
    "GraduatedPercentage",
    "PerUnit",
    "PercentTier",
    "Percentage",
    "RateModel",
    "Stairstep",
    "Tier",
    "Tiered",
    "UnitTier",
    "Volume",
    "VolumeBlock",
]

MODELS: dict[str, type[RateModel]] = {
    model.name: model
    for model in (
        PerUnit,
        Block,
        Graduated,
        Volume,
        GraduatedBlock,
        VolumeBlock,
        Percentage,
        GraduatedPercentage,
        Stairstep,
    )
}
