"""What a backtest comes to: running totals while it works, and the distribution of changes at its end."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import fields
from decimal import Decimal
from itertools import pairwise
from typing import Any

from django.db.models import Sum

from invoices.backtests.compare import Comparison, Row
from invoices.free_tier import FreeTier
from invoices.models import Backtest, BacktestRow
from meters.aggregation import plain
from pricing.money import total_of

# Of customers that could not be compared, so many are named.
MOST_NAMED = 20
# Changes in percent of what was paid. A bin is from one bound up to the next; below zero from above one down.
BOUNDS = (-50, -25, -10, -5, 0, 5, 10, 25, 50, 100)


def detail_of(row: Row) -> dict[str, Any]:
    """What a stored row says of each product item, in units; `worth_now` in the currency that it would be billed in."""
    return {
        str(item): {
            "used": plain(row.free_now.get(item, FreeTier()).used),
            "free_then": plain(row.free_then.get(item, FreeTier()).free),
            "free_now": plain(row.free_now.get(item, FreeTier()).free),
            "worth_now": plain(row.free_now.get(item, FreeTier()).worth),
            "unpriced_now": plain(row.free_now.get(item, FreeTier()).unpriced),
        }
        for item in sorted({*row.free_then, *row.free_now})
    }


def add_up(summary: dict[str, Any], made: Comparison) -> None:
    """Adds what a chunk came to to the running totals."""
    for side, tiers in (
        ("then", (row.free_then for row in made.rows)),
        ("now", (row.free_now for row in made.rows)),
    ):
        for item, tier in _sums(tiers).items():
            of_item = summary.setdefault("items", {}).setdefault(str(item), {})
            of_item[side] = _tier_json(_tier(of_item.get(side)) + tier)
    without = summary.setdefault("without_periods", {"customers": 0, "named": []})
    without["customers"] += len(made.without)
    without["named"] = [*without["named"], *(one.customer.key for one in made.without)][:MOST_NAMED]
    left_out = summary.setdefault("left_out", {"customers": 0, "periods": 0, "named": []})
    left_out["customers"] += len(made.left_out)
    left_out["periods"] += sum(periods for _, periods in made.left_out)
    left_out["named"] = [*left_out["named"], *(one.customer.key for one, _ in made.left_out)][:MOST_NAMED]


def conclude(backtest: Backtest) -> None:
    """The totals and the distribution over customers, of all rows."""
    by_currency: dict[tuple[str, str], list[tuple[Decimal, Decimal]]] = defaultdict(list)
    sums = (
        BacktestRow.objects.filter(backtest=backtest)
        .order_by()
        .values_list("customer", "currency_then", "currency_now")
        .annotate(then=Sum("amount_then"), now=Sum("amount_now"))
    )
    for _, currency_then, currency_now, then, now in sums:
        by_currency[currency_then, currency_now].append((then, now))
    backtest.summary["totals"] = [
        {
            "currency_then": currency_then,
            "currency_now": currency_now,
            "customers": len(customers),
            "then": plain(total_of(then for then, _ in customers)),
            "now": plain(total_of(now for _, now in customers)),
            **(_distribution(customers) if currency_then == currency_now else {}),
        }
        for (currency_then, currency_now), customers in sorted(by_currency.items())
    ]


def _distribution(customers: Iterable[tuple[Decimal, Decimal]]) -> dict[str, Any]:
    """How many pay more, less and the same, and how many are in each bin: those that pay less by their percentage,
    those that pay the same, those that pay more by theirs, and those that paid nothing before."""
    bins = [0] * (len(BOUNDS) + 3)
    more = less = same = 0
    for then, now in customers:
        more, less, same = more + (now > then), less + (now < then), same + (now == then)
        bins[_bin(then, now)] += 1
    return {"more": more, "less": less, "same": same, "bins": bins}


def _bin(then: Decimal, now: Decimal) -> int:
    middle = BOUNDS.index(0)
    change = (now - then) * 100
    if now < then:
        # From above a bound down to it: a fall of 50% or more is in the first bin.
        return next(index for index, bound in enumerate(BOUNDS) if change <= then * bound or bound == 0)
    if now == then:
        return middle + 1
    if not then:
        return len(BOUNDS) + 2
    return 2 + max(index for index, bound in enumerate(BOUNDS) if change >= then * bound)


def bin_names() -> list[str]:
    """The bins in order, in words."""
    steps = list(pairwise(BOUNDS))
    return [
        f"{-BOUNDS[0]}% less or lower",
        *(f"{-high} to {-low}% less" for low, high in steps if low < 0),
        "the same",
        *(f"{low} to {high}% more" for low, high in steps if low >= 0),
        f"{BOUNDS[-1]}% more or higher",
        "paid nothing before",
    ]


def _sums(tiers: Iterable[Mapping[int, FreeTier]]) -> dict[int, FreeTier]:
    found: dict[int, FreeTier] = defaultdict(FreeTier)
    for by_item in tiers:
        for item, tier in by_item.items():
            found[item] = found[item] + tier
    return found


def _tier(stored: Mapping[str, str] | None) -> FreeTier:
    return FreeTier(**{name: Decimal(text) for name, text in (stored or {}).items()})


def _tier_json(tier: FreeTier) -> dict[str, str]:
    return {one.name: plain(getattr(tier, one.name)) for one in fields(tier)}
