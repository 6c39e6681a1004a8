"""What every rate model is: read from its parameters, written back, and asked for the price of a quantity."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import ClassVar, Self

from pricing.rate_fields import Fields
from pricing.steps import Step


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
    def price(self, quantity: Decimal) -> Iterator[Step]:
        """The steps for a quantity above zero, in a context that is exact.

        Raises ValueError where single values decide the price and not their sum.
        """

    @property
    def needs_events(self) -> bool:
        """Whether the single values decide the price, and not only their sum."""
        return False

    def price_events(self, quantity: Decimal, events: Iterable[Decimal]) -> Iterator[Step]:
        """Steps for single values in order, none below zero, that sum up to `quantity`. For a model that needs them."""
        raise NotImplementedError(f"{self.name} does not price single events")

    def scaled(self, share: Callable[[Decimal], Decimal]) -> Self:
        """The model with the bounds of its tiers, and what it leaves free, at their share of a period."""
        return self
