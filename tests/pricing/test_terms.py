"""The terms of a period: how many there were of a fee, day by day."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.terms import Terms, runs_of

FIRST = date(2026, 11, 1)


def runs(quantity: int, changes: dict[int, int], days: int = 30) -> list[tuple[int, int]]:
    """The runs of `days` days, with the changes by their distance from the first one."""
    dated = {FIRST + timedelta(days=day): Decimal(number) for day, number in changes.items()}
    found = runs_of(Decimal(quantity), dated, first=FIRST, end=FIRST + timedelta(days=days))
    return [(int(one), length) for one, length in found]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [(5, 30)]),
        ({0: 7}, [(7, 30)]),
        ({-40: 7}, [(7, 30)]),
        ({-40: 7, -3: 9}, [(9, 30)]),
        ({10: 7}, [(5, 10), (7, 20)]),
        ({-1: 6, 10: 7, 12: 0}, [(6, 10), (7, 2), (0, 18)]),
        # What changes to the same is one run; what changes when the period is over is none of it.
        ({10: 5, 20: 5}, [(5, 30)]),
        ({29: 6, 30: 7, 31: 8}, [(5, 29), (6, 1)]),
    ],
    ids=str,
)
def test_runs_of_equal_quantity(changes: dict[int, int], expected: list[tuple[int, int]]) -> None:
    assert runs(5, changes) == expected


def test_no_days_have_no_runs() -> None:
    assert runs(5, {0: 7}, days=0) == []
    assert runs(5, {0: 7}, days=-3) == []


@given(st.integers(0, 3), st.dictionaries(st.integers(-20, 60), st.integers(0, 3), max_size=8), st.integers(0, 45))
def test_each_day_counts_its_own_quantity(quantity: int, changes: dict[int, int], days: int) -> None:
    expected = []
    for day in range(days):
        since = max((change for change in changes if change <= day), default=None)
        expected.append(quantity if since is None else changes[since])
    found = runs(quantity, changes, days)
    assert [one for one, length in found for _ in range(length)] == expected
    assert all(one[0] != other[0] for one, other in zip(found, found[1:], strict=False))


@pytest.mark.parametrize(("days", "of_days"), [(-1, 30), (31, 30), (0, 0)])
def test_more_days_than_there_are_cannot_be_charged(days: int, of_days: int) -> None:
    with pytest.raises(ValueError, match="days"):
        Terms("USD", days=days, of_days=of_days)
