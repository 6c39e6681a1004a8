"""Which periods are compared with which, and what of a bill is free."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoices.backtests.spans import Past, Spans, spans_of
from invoices.drafting import ItemUsage, draft
from invoices.free_tier import FreeTier, free_tiers
from meters.cycles import Cycle, period_at
from meters.periods import Period, local_midnight
from pricing.rates import parse_rate
from pricing.terms import Terms

BERLIN = ZoneInfo("Europe/Berlin")
START = date(2026, 1, 1)


def bounds(*days: str) -> list[Period]:
    """Periods from each of these days to the next."""
    instants = [local_midnight(date.fromisoformat(f"2026-{day}"), BERLIN) for day in days]
    return [Period(start, end) for start, end in zip(instants, instants[1:], strict=False)]


def spans(
    periods: list[Period], interval: str, count: int = 1, *, start: date = START, ends: str | None = None
) -> Spans:
    """Periods that were months, against others."""
    ends_at = None if ends is None else local_midnight(date.fromisoformat(f"2026-{ends}"), BERLIN)
    past = [Past(period, Cycle("month", 1, False, start)) for period in periods]
    cycle = Cycle(interval, count, False, start)
    return spans_of(past, cycle, BERLIN, starts_at=local_midnight(start, BERLIN), ends_at=ends_at)


def shape(found: Spans) -> tuple[list[tuple[int, int, int]], tuple[int, ...]]:
    """First and end of each span with how many periods there would be, and what is left out."""
    return [(one.first, one.end, len(one.now)) for one in found.compared], found.left_out


MONTHS = bounds("01-01", "02-01", "03-01", "04-01", "05-01", "06-01", "07-01")

CASES: dict[str, tuple[Spans, Any]] = {
    "the same periods": (spans(MONTHS[:2], "month"), ([(0, 1, 1), (1, 2, 1)], ())),
    "three months against a quarter": (spans(MONTHS, "quarter"), ([(0, 3, 1), (3, 6, 1)], ())),
    "months of a quarter that is not whole": (spans(MONTHS[1:5], "quarter"), ([], (0, 1, 2, 3))),
    "a quarter in the middle": (spans(MONTHS[2:], "quarter"), ([(1, 4, 1)], (0,))),
    "a month against its days": (spans(MONTHS[:1], "day"), ([(0, 1, 31)], ())),
    "months against weeks that end with none of them": (spans(MONTHS[:4], "week"), ([], (0, 1, 2, 3))),
    "months against weeks until a Monday is the 1st": (spans(MONTHS, "week"), ([(0, 5, 22)], (5,))),
    "a half year against two months at a time": (
        spans(bounds("01-01", "07-01"), "month", 2),
        ([(0, 1, 3)], ()),
    ),
    "a first period that is a stub": (
        spans(bounds("01-10", "02-01", "03-01"), "month", start=date(2026, 1, 10)),
        ([(0, 1, 1), (1, 2, 1)], ()),
    ),
    "a stub of the start as the first of a quarter": (
        spans(bounds("02-10", "03-01", "04-01"), "quarter", start=date(2026, 2, 10)),
        ([(0, 2, 1)], ()),
    ),
    "a last one that is a stub": (
        spans(bounds("01-01", "02-01", "02-11"), "month", ends="02-11"),
        ([(0, 1, 1), (1, 2, 1)], ()),
    ),
    "an end in the middle of a quarter": (
        spans(bounds("01-01", "02-01", "02-11"), "quarter", ends="02-11"),
        ([(0, 2, 1)], ()),
    ),
    "one that another cycle left behind": (
        spans(bounds("01-15", "02-01", "03-01"), "month"),
        ([(0, 1, 1), (1, 2, 1)], ()),
    ),
    "a void in between": (spans([MONTHS[0], MONTHS[2]], "quarter"), ([], (0, 1))),
    "nothing": (spans([], "month"), ([], ())),
}


@pytest.mark.parametrize(("found", "expected"), CASES.values(), ids=CASES)
def test_what_is_compared_with_what(found: Spans, expected: Any) -> None:
    assert shape(found) == expected


INTERVALS = ["day", "week", "month", "quarter", "year"]


@given(
    st.sampled_from(INTERVALS), st.integers(1, 3), st.booleans(), st.sampled_from(INTERVALS), st.integers(1, 3),
    st.booleans(), st.dates(date(2024, 1, 1), date(2026, 12, 31)), st.integers(1, 12),
)  # fmt: skip
def test_both_sides_of_a_span_are_the_same_time(
    before: str, times: int, by_day: bool, after: str, count: int, from_day: bool, start: date, periods: int
) -> None:
    old, new = Cycle(before, times, by_day, start), Cycle(after, count, from_day, start)
    begins = local_midnight(start, BERLIN)
    were: list[Period] = []
    while len(were) < periods:
        at = were[-1].end if were else begins
        were.append(period_at(old, at, BERLIN).clip(at))
    found = spans_of([Past(period, old) for period in were], new, BERLIN, starts_at=begins, ends_at=None)
    in_spans = [index for one in found.compared for index in range(one.first, one.end)]
    assert sorted([*in_spans, *found.left_out]) == list(range(periods))
    for one in found.compared:
        assert (one.now[0].start, one.now[-1].end) == (were[one.first].start, were[one.end - 1].end)
        assert all(first.end == second.start for first, second in zip(one.now, one.now[1:], strict=False))
    if old == new:
        assert not found.left_out


# --- The free tier ---


def free(rate: dict[str, Any] | None, quantity: str, *, in_trial: bool = False, events: Any = None) -> FreeTier:
    usage = ItemUsage(
        product_item_id=1,
        name="ApiCalls",
        unit="calls",
        quantity=Decimal(quantity),
        rate=None if rate is None else parse_rate(rate),
        in_trial=in_trial,
        events=events,
    )
    found = [tier for _, tier in free_tiers(draft([usage], Terms("USD")).lines)]
    return found[0] if found else FreeTier()


BLOCKS = {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"}
TIERS = {
    "model": "graduated",
    "included_units": "150",
    "minimum": "900",
    "tiers": [{"up_to": "100", "unit_price": "2"}, {"up_to": None, "unit_price": "1"}],
}
CARDS = {"model": "percentage", "rate_percent": "2", "fixed_fee_per_event": "0.3", "free_events": "2"}

FREE = {
    "blocks as they would be charged": (BLOCKS, "7300", ("7300", "5000", "25", "0")),
    "less than is free": (BLOCKS, "1500", ("1500", "1500", "10", "0")),
    "nothing used": (BLOCKS, "0", ("0", "0", "0", "0")),
    "the tiers from the first on, without the minimum": (TIERS, "1000", ("1000", "150", "250", "0")),
    "no free tier": ({"model": "per_unit", "unit_price": "1"}, "10", ("10", "0", "0", "0")),
    "no rate": (None, "10", ("0", "0", "0", "10")),
}


@pytest.mark.parametrize(("rate", "quantity", "expected"), FREE.values(), ids=FREE)
def test_what_the_free_tier_takes(rate: dict[str, Any] | None, quantity: str, expected: tuple[str, ...]) -> None:
    assert free(rate, quantity) == FreeTier(*map(Decimal, expected))


def test_free_events_are_worth_their_percentage_and_their_fee() -> None:
    events = (Decimal(100), Decimal(50), Decimal(10))
    assert free(CARDS, "160", events=events) == FreeTier(Decimal(160), Decimal(150), Decimal("3.6"))


def test_usage_in_a_trial_is_none_that_a_free_tier_takes() -> None:
    assert free(BLOCKS, "1500", in_trial=True) == FreeTier()


def test_the_bounds_are_midnights_where_the_customer_is() -> None:
    assert MONTHS[3].start == datetime(2026, 3, 31, 22, tzinfo=UTC)
