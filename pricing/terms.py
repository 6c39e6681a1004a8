"""What a bill needs beside usage and rates: fees, minimum, promotions and taxes, as they count for one period. Pure.

Amounts are in the major unit of the currency, percentages as they are written (19 is 19%), days are calendar days of
the customer. `invoices.drafting` makes lines of them.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

ZERO = Decimal(0)

RECURRING, ONE_TIME, PERCENT = "recurring", "one_time", "percent"


@dataclass(frozen=True, slots=True)
class FeeTerms:
    """A fee as it counts for one period; `kind` is recurring, one_time or percent.

    `runs` says how many of it there were, in order of time: (quantity, days). A prorated fee is owed for each run's
    days of the `of_days` of the whole period, of which `days_before` lie before the first run; one that is not, and a
    one-time fee, whole and for the first quantity. A fee in percent has neither runs nor amount.
    """

    key: str
    name: str
    unit: str
    kind: str
    amount: Decimal | None = None
    percent: Decimal | None = None
    runs: tuple[tuple[Decimal, int], ...] = ()
    days_before: int = 0
    of_days: int = 1
    prorated: bool = True


@dataclass(frozen=True, slots=True)
class PromotionTerms:
    """A promotion that a customer has in a period: a percentage or an amount off.

    `id` is that of the applied promotion. Without product items it is of the whole invoice. `left` is what of its cap
    earlier invoices have left over; None without a cap.
    """

    id: int
    name: str
    percent: Decimal | None = None
    amount: Decimal | None = None
    product_item_ids: frozenset[int] = frozenset()
    left: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TaxTerms:
    id: int
    name: str
    percent: Decimal


@dataclass(frozen=True, slots=True)
class Terms:
    """All of it for one period, of which `days` of `of_days` are charged: not those before an assignment begins, after
    it ends or in its trial. Without a charged day there are no fees and there is no minimum.

    Promotions stand in the order in which they are taken off. `minimum` and `commitment` are of a whole period.
    """

    currency: str
    fees: tuple[FeeTerms, ...] = ()
    minimum: Decimal = ZERO
    commitment: Decimal | None = None
    overage_factor: Decimal = Decimal(1)
    days: int = 1
    of_days: int = 1
    promotions: tuple[PromotionTerms, ...] = ()
    taxes: tuple[TaxTerms, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.days <= self.of_days or not self.of_days:
            raise ValueError("the charged days of a period are some of all its days")


def runs_of(
    quantity: Decimal, changes: Mapping[date, Decimal], *, first: date, end: date
) -> tuple[tuple[Decimal, int], ...]:
    """How many there were on the days `[first, end)`, as runs of equal quantity: (quantity, days).

    `changes` has the quantities by the day that they count from, which may lie before `first`; `quantity` counts before
    all of them. No days give no runs.
    """

    def on(day: date) -> Decimal:
        since = max((change for change in changes if change <= day), default=None)
        return quantity if since is None else changes[since]

    if end <= first:
        return ()
    starts = [first, *sorted(change for change in changes if first < change < end)]
    parts = [(on(start), (stop - start).days) for start, stop in itertools.pairwise([*starts, end])]
    return tuple(
        (equal, sum(days for _, days in run)) for equal, run in itertools.groupby(parts, key=lambda part: part[0])
    )
