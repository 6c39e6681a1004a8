"""From parts to quantities, and from the steps of gauges to areas; all of it in tables."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from meters.aggregation import (
    EXACT,
    NOTHING,
    TIME_UNITS,
    Change,
    Part,
    adds_up,
    aggregate,
    plain,
    quantity,
    time_weighted,
)
from meters.models import Meter
from meters.periods import Period

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LARGEST = Decimal("999999999999999999999999.999999999999999")


def at(seconds: int) -> datetime:
    return NOON + seconds * SECOND


def meter(aggregation: str = "sum", **fields: Any) -> Meter:
    if aggregation == "time_weighted_sum":
        fields = {"time_unit": "hour"} | fields
    return Meter(key="M", aggregation=aggregation, **fields)


@pytest.mark.parametrize("aggregation", Meter.Aggregation.values)
def test_of_nothing_is_zero(aggregation: str) -> None:
    assert quantity(meter(aggregation), NOTHING) == 0


@pytest.mark.parametrize("aggregation", Meter.Aggregation.values)
def test_one_event_is_its_value_where_it_has_one(aggregation: str) -> None:
    value = Decimal(-7)
    part = Part(1, value, value, value, value, distinct=1, percentile=value, integral=value * 10, elapsed=10)
    expected = {"count": 1, "unique_count": 1, "time_weighted_sum": Decimal("-0.000000019444444")}
    assert quantity(meter(aggregation), part) == expected.get(aggregation, -7)


@pytest.mark.parametrize(
    ("number", "by", "expected"),
    [
        (1, 3, "0.333333333333333"),
        (2, 3, "0.666666666666667"),
        (-2, 3, "-0.666666666666667"),
        ("0.000000000000001", 2, "0.000000000000001"),
        ("-0.000000000000001", 2, "-0.000000000000001"),
        ("0.000000000000001", 3, "0"),
        (LARGEST, 1, LARGEST),
    ],
    ids=str,
)
def test_divisions_are_rounded_to_15_places_halves_away_from_zero(number: Any, by: int, expected: Any) -> None:
    averaged = aggregate(meter("average"), Part(count=by, sum=Decimal(number)))
    weighted = aggregate(meter("time_weighted_average"), Part(integral=Decimal(number), elapsed=by))
    assert averaged == weighted == Decimal(expected)
    assert not (averaged.is_zero() and averaged.is_signed())


def test_the_multiplier_is_exact_however_many_digits() -> None:
    multiplier = Decimal("0.000000000000000000000000000001")
    part = Part(count=1, sum=LARGEST.scaleb(6, EXACT))
    assert quantity(meter(multiplier=multiplier), part) == Decimal("0.999999999999999999999999999999999999999")


def test_rounding_comes_after_the_multiplier() -> None:
    fields = {"multiplier": Decimal("0.5"), "rounding": "up"}
    assert quantity(meter(**fields), Part(count=1, sum=Decimal("3"))) == 2


@pytest.mark.parametrize(
    ("aggregation", "rounding", "expected"),
    [("sum", "none", True), ("time_weighted_sum", "none", True), ("sum", "up", False), ("average", "none", False)],
)
def test_adds_up(aggregation: str, rounding: str, expected: bool) -> None:
    assert adds_up(meter(aggregation, rounding=rounding)) is expected


def test_an_unknown_aggregation_is_an_error_and_no_figure() -> None:
    with pytest.raises(ValueError, match="median"):
        quantity(meter("median"), NOTHING)


def test_the_time_units_are_those_of_meters() -> None:
    assert set(TIME_UNITS) == set(Meter.TimeUnit.values)


class TestTimeWeighted:
    BOUNDS = (at(0), at(10), at(20), at(30))
    WHOLE = Period(at(0), at(30))

    @pytest.mark.parametrize(
        ("changes", "areas"),
        [
            ({}, (0, 0, 0)),
            ({0: Change(1, Decimal(2), Decimal(0))}, (20, 20, 20)),  # 2 from before
            ({1: Change(1, Decimal(2), Decimal(2) * 4_000_000)}, (12, 20, 20)),  # 2 from second 4 on
            # 2 from before, up to 5 at second 10 and down to -1 at second 25
            (
                {
                    0: Change(1, Decimal(2), Decimal(0)),
                    2: Change(1, Decimal(3), Decimal(3) * 10_000_000),
                    3: Change(1, Decimal(-6), Decimal(-6) * 25_000_000),
                },
                (20, 50, 20),
            ),
        ],
        ids=["nothing", "held", "begun", "stepped"],
    )
    def test_areas(self, changes: dict[int, Change], areas: tuple[int, ...]) -> None:
        thirds = [Period(start, end) for start, end in zip(self.BOUNDS, self.BOUNDS[1:], strict=False)]
        *parts, whole = time_weighted(changes, self.BOUNDS, [*thirds, self.WHOLE])
        assert [part.integral / 1_000_000 for part in parts] == list(areas)
        assert whole.integral / 1_000_000 == sum(areas)
        assert whole.count == sum(part.count for part in parts)
        assert (parts[0].elapsed, whole.elapsed) == (10_000_000, 30_000_000)

    def test_a_window_that_has_not_begun_has_nothing(self) -> None:
        changes = {0: Change(1, Decimal(2), Decimal(0))}
        assert time_weighted(changes, self.BOUNDS, [None]) == [NOTHING]


@pytest.mark.parametrize(
    ("number", "text"),
    [("1E+3", "1000"), ("1000.10", "1000.1"), ("-0", "0"), ("0.0004", "0.0004"), ("0E+999999", "0")],
)
def test_plain(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text
