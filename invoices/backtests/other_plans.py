"""A customer's last period by the plans that it is not on: what it came to, and what it would have come to.

The bills are those of a backtest (`compare`): the same usage, before tax, by each version's own prices.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from invoices.backtests.compare import Row, compare
from invoices.computing import product_items
from invoices.models import Invoice
from invoices.pricing_of import PricedVersion, frozen_version, priced_version
from meters.periods import Period
from meters.usage import read_usage
from meters.words import every_words
from pricing.models import Assignment, PlanVersion, ProductItem
from pricing.money import format_quantity, total_of
from pricing.rates import needs_events
from pricing.version_choice import cycle_of

# Where periods are cut in another way it takes some of them until both begin and end together.
MOST_PERIODS = 12
# Of a price that is made of single events each is read and priced: of so many while somebody waits.
MOST_EVENTS = 20_000


@dataclass(frozen=True, slots=True)
class Compared:
    """What `period` came to (`then`), and what it would have come to by `version` (`now`), in their currencies; else
    why that is not said. `unpriced` is what was used in it that this version has no price for."""

    version: PlanVersion
    why_not: str = ""
    period: Period | None = None
    then: Decimal = Decimal(0)
    now: Decimal = Decimal(0)
    currency_then: str = ""
    unpriced: Sequence[str] = ()

    @property
    def difference(self) -> Decimal | None:
        """Above zero: it would have cost more. None between currencies, and where nothing is compared."""
        if self.period is None or self.currency_then != self.version.currency:
            return None
        return total_of((self.now, self.then.copy_negate()))


@dataclass(frozen=True, slots=True)
class LastPeriod:
    """The last invoice of an assignment whose period is over, with what each version would have made of that."""

    assignment: Assignment
    invoice: Invoice
    compared: Sequence[Compared]


def last_period_by(
    assignment: Assignment, versions: Sequence[PlanVersion], *, elsewhere: Collection[int], now: datetime
) -> LastPeriod | None:
    """`elsewhere` has the ids of the product items that the customer's other plans price at the same time. None where
    no period is over yet."""
    over = Invoice.objects.filter(assignment=assignment, period_end__lte=now, is_correction=False)
    last = over.exclude(status=Invoice.Status.VOID).order_by("-period_start").first()
    if last is None:
        return None
    items = {item.pk: item for item in product_items()}
    events = _events(assignment, last, [priced_version(version) for version in versions], items)
    found = [_compared(assignment, version, last, items, events, elsewhere, now) for version in versions]
    return LastPeriod(assignment, last, found)


def _compared(
    assignment: Assignment,
    version: PlanVersion,
    last: Invoice,
    items: dict[int, ProductItem],
    events: dict[int, int],
    elsewhere: Collection[int],
    now: datetime,
) -> Compared:
    priced, then = priced_version(version), frozen_version(last.plan_version_id)
    if twice := sorted(items[pk].name for pk in priced.rates.keys() & set(elsewhere)):
        return Compared(version, f"It has a price for {twice[0]} as well, which another plan of yours has.")
    many = [pk for pk in _by_events(priced) | _by_events(then) if events.get(pk, 0) > MOST_EVENTS]
    if many:
        counted = format_quantity(Decimal(events[many[0]]))
        said = f"The price of {items[many[0]].name} is made of single events, and {counted} are too many for a page."
        return Compared(version, said)
    is_same = cycle_of(version, assignment) == cycle_of(then.version, assignment)
    made = compare([assignment], priced, periods=1 if is_same else MOST_PERIODS, as_of=now)
    if not made.rows:
        every = every_words(version.interval, version.interval_count)
        said = f"It is billed {every}, and its periods and yours do not begin and end together."
        return Compared(version, said)
    row = max(made.rows, key=lambda row: row.period.start)
    return Compared(
        version=version,
        period=row.period,
        then=row.then,
        now=row.now,
        currency_then=row.currency_then,
        unpriced=_unpriced(row, priced, items),
    )


def _unpriced(row: Row, priced: PricedVersion, items: dict[int, ProductItem]) -> list[str]:
    """What was used at a price then and has none now, or only for a part of it."""
    used = {item for item, tier in row.free_then.items() if tier.used}
    partly = {item for item, tier in row.free_now.items() if tier.unpriced}
    return sorted(items[pk].name for pk in (used - priced.rates.keys()) | (used & partly))


def _by_events(priced: PricedVersion) -> set[int]:
    return {pk for pk, rates in priced.rates.items() if any(needs_events(rate.rate) for rate in rates)}


def _events(
    assignment: Assignment, last: Invoice, versions: Sequence[PricedVersion], items: dict[int, ProductItem]
) -> dict[int, int]:
    """How many events there were of each product item that one of the versions prices by single events."""
    some = set().union(*(_by_events(one) for one in [*versions, frozen_version(last.plan_version_id)]))
    if not some:
        return {}
    usage = read_usage(assignment.customer, [items[pk].meter for pk in some], [last.period])
    return {pk: usage.events(items[pk].meter, 0) for pk in some}
