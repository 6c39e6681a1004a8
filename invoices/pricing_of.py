"""A plan version as bills are made of it: its rates by product item and filter, its fees and its terms."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pricing.models import Fee, PlanVersion
from pricing.models import Rate as StoredRate
from pricing.rates import Rate, parse_rate, scaled
from pricing.version_contents import in_order

Where = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class PricedRate:
    """A rate and the usage that it prices: that whose dimensions have one of the texts of each name in `where`."""

    rate: Rate
    where: Where
    prorated: bool

    def over(self, days: int, of_days: int) -> Rate:
        """The rate of a period of which so many days are charged."""
        return scaled(self.rate, days, of_days) if self.prorated and days != of_days else self.rate


@dataclass(frozen=True, slots=True, eq=False)
class PricedVersion:
    """A plan version with its prices read and parsed.

    `rates` has those of each product item by its id, in the order in which they are looked at: usage is priced by the
    first that it meets. That is the one that names the most dimensions, of those the one with the fewest texts, of
    those the one that stands first in the version; the rate without a filter is the last.
    """

    version: PlanVersion
    rates: Mapping[int, tuple[PricedRate, ...]]
    fees: tuple[Fee, ...]

    @property
    def currency(self) -> str:
        return self.version.currency


def priced_version(version: PlanVersion) -> PricedVersion:
    """The prices of a version. Those of a frozen one are kept; a draft is read anew each time."""
    return _read(version.pk) if version.is_draft else frozen_version(version.pk)


@lru_cache(maxsize=1024)
def frozen_version(version_id: int) -> PricedVersion:
    """The prices of a version that is frozen, kept from the first time on."""
    return _read(version_id)


def forget() -> None:
    """Reads everything anew, for tests that roll back."""
    frozen_version.cache_clear()


def _read(version_id: int) -> PricedVersion:
    version = PlanVersion.objects.select_related("plan").prefetch_related("fees").get(pk=version_id)
    by_item: dict[int, list[PricedRate]] = {}
    for stored in in_order(StoredRate.objects.filter(plan_version=version_id)):
        where = {name: tuple(texts) for name, texts in sorted(stored.where.items())}
        rate = PricedRate(parse_rate(stored.parameters), where, stored.prorated)
        by_item.setdefault(stored.product_item_id, []).append(rate)
    return PricedVersion(
        version=version,
        rates={item: tuple(found) for item, found in by_item.items()},
        fees=tuple(version.fees.all()),
    )
