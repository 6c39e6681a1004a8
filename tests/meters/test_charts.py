"""The geometry of charts, without Django."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meters.charts import (
    AHEAD,
    LEAST_BAR,
    PLOT_HEIGHT,
    TODAY,
    TOP,
    Before,
    Chart,
    Series,
    Slot,
    bar_chart,
    fold,
    line_chart,
    short_number,
    ticks_between,
)

D = Decimal
amounts = st.decimals(min_value=-(10**12), max_value=10**12, places=2)


def chart(*values: int | Decimal) -> Chart:
    series = [Series("calls", tuple(map(D, values)))]
    return bar_chart([Slot(str(n + 1)) for n in range(len(values))], series, value_words=str)


@pytest.mark.parametrize(
    ("lowest", "highest", "ticks"),
    [
        ("0", "0", "0"),
        ("0", "6.37", "0 2 4 6 8"),
        ("0", "40", "0 10 20 30 40"),
        ("0", "0.03", "0 0.01 0.02 0.03"),
        ("0", "1000000", "0 250000 500000 750000 1000000"),
        ("-8.3", "2.2", "-10 -5 0 5"),
    ],
)
def test_ticks_are_round_numbers_around_the_values(lowest: str, highest: str, ticks: str) -> None:
    assert ticks_between(D(lowest), D(highest)) == [D(tick) for tick in ticks.split()]


def test_ticks_are_not_closer_than_a_cent() -> None:
    assert ticks_between(D(0), D("0.01"), D("0.01")) == [D(0), D("0.01")]


def test_bars_stand_on_the_baseline_and_reach_up_in_proportion() -> None:
    low, high = (column.bars[0] for column in chart(10, 40).columns)
    assert high.height == PLOT_HEIGHT
    assert low.height == PLOT_HEIGHT / D(4)
    assert low.y + low.height == high.y + high.height == TOP + PLOT_HEIGHT


def test_a_slot_of_nothing_has_no_bar_and_a_small_one_is_still_seen() -> None:
    nothing, little, _ = chart(0, 1, 10**9).columns
    assert nothing.bars == ()
    assert little.bars[0].height == LEAST_BAR


def test_series_are_stacked() -> None:
    series = [Series("calls", (D(1),)), Series("storage", (D(3),))]
    (column,) = bar_chart([Slot("1")], series, value_words=str).columns
    lower, upper = column.bars
    assert upper.y + upper.height == lower.y
    assert column.facts == ("1: 4", "calls: 1", "storage: 3")


def test_a_day_that_lowers_the_bill_hangs_below_the_baseline() -> None:
    drawn = chart(10, -10)
    assert drawn.columns[1].bars[0].y == drawn.baseline == TOP + PLOT_HEIGHT / D(2)


def test_days_ahead_are_left_free() -> None:
    slots = [Slot("1"), Slot("2", TODAY), Slot("3", AHEAD), Slot("4", AHEAD)]
    drawn = bar_chart(slots, [Series("calls", (D(1), D(2)))], value_words=str)
    assert drawn.ahead_from == 50
    assert drawn.ahead_width == 50
    assert [len(column.bars) for column in drawn.columns] == [1, 1, 0, 0]
    assert drawn.columns[2].facts == ()


def test_labels_of_a_month_are_thinned() -> None:
    assert [column.axis_label for column in chart(*[1] * 30).columns if column.axis_label] == [
        "1",
        "8",
        "15",
        "22",
        "29",
    ]


def test_nothing_at_all_is_an_empty_chart() -> None:
    assert chart(0, 0).is_empty
    assert chart().is_empty
    assert not chart(0, 1).is_empty


def test_more_than_six_series_become_six_and_the_others() -> None:
    series = [Series(f"region {n}", (D(n), D(1))) for n in range(9)]
    folded = fold(series)
    assert [one.name for one in folded] == [f"region {n}" for n in range(3, 9)] + ["Other"]
    assert folded[-1].values == (D(0 + 1 + 2), D(3))


@pytest.mark.parametrize(
    ("value", "words"),
    [("0", "0"), ("2.50", "2.5"), ("5000", "5,000"), ("12500", "12.5k"), ("3e6", "3M"), ("-2e9", "-2B")],
)
def test_axis_labels_are_short(value: str, words: str) -> None:
    assert short_number(D(value)) == words


@given(st.lists(amounts, min_size=1, max_size=31))
def test_every_bar_stays_inside_the_plot(values: list[Decimal]) -> None:
    drawn = chart(*values)
    for column in drawn.columns:
        assert 0 <= column.left <= column.bar_left
        assert column.bar_left + drawn.bar_width <= D("100.1")
        for bar in column.bars:
            assert bar.height > 0
            assert bar.y >= TOP - LEAST_BAR
            assert bar.y + bar.height <= TOP + PLOT_HEIGHT + LEAST_BAR


@given(amounts, amounts)
def test_ticks_hold_the_values_and_are_few(one: Decimal, other: Decimal) -> None:
    lowest, highest = min(one, other, D(0)), max(one, other, D(0))
    ticks = ticks_between(lowest, highest)
    assert ticks[0] <= lowest
    assert ticks[-1] >= highest
    assert D(0) in ticks
    assert len(ticks) <= 7


def test_what_bars_are_compared_with_is_a_mark_on_each_slot_and_on_the_scale() -> None:
    slots = [Slot("1"), Slot("2", TODAY), Slot("3", AHEAD)]
    before = Before("the days before", (D(4), None, D(8)))
    drawn = bar_chart(slots, [Series("calls", (D(2), D(1)))], value_words=str, before=before)
    assert [tick.label for tick in drawn.ticks] == ["0", "2", "4", "6", "8"]
    assert [column.before for column in drawn.columns] == [TOP + PLOT_HEIGHT / 2, None, TOP]
    assert [column.facts for column in drawn.columns] == [
        ("1: 2", "the days before: 4"),
        ("2: 1",),
        ("3, the days before: 8",),
    ]
    assert drawn.before_name == "the days before"
    assert not drawn.is_empty


def test_only_what_was_before_is_drawn_too() -> None:
    drawn = bar_chart([Slot("1")], [Series("a", (D(0),))], value_words=str, before=Before("then", (D(3),)))
    assert not drawn.is_empty


def test_running_totals_are_lines_that_begin_with_nothing() -> None:
    slots = [Slot("1"), Slot("2"), Slot("3", AHEAD), Slot("4", AHEAD)]
    series = [Series("a", (D(1), D(4))), Series("b", (D(0), D(2)))]
    drawn = line_chart(slots, series, value_words=str, before=Before("then", (D(2), D(2), None, D(3))))
    bottom = TOP + PLOT_HEIGHT
    assert [tick.label for tick in drawn.ticks] == ["0", "1", "2", "3", "4"]
    assert [(line.series, line.points) for line in drawn.lines] == [
        (0, f"0,{bottom}.00 25.00,100.00 50.00,100.00 100.00,55.00"),
        (1, f"0,{bottom}.00 25.00,145.00 50.00,10.00"),
        (2, f"0,{bottom}.00 25.00,190.00 50.00,100.00"),
    ]
    assert not any(column.bars or column.before is not None for column in drawn.columns)
    assert drawn.columns[1].facts == ("2: 6", "a: 4", "b: 2", "then: 2")


def test_the_axis_may_have_shorter_names() -> None:
    slots = [Slot("1 Nov, 00:00", short="1 Nov"), Slot("1 Nov, 01:00", short="01:00")]
    drawn = bar_chart(slots, [Series("a", (D(1), D(2)))], value_words=str)
    assert [column.axis_label for column in drawn.columns] == ["1 Nov", "01:00"]
    assert drawn.columns[0].facts == ("1 Nov, 00:00: 1",)


@pytest.mark.parametrize(
    ("slots", "labels"), [(7, 7), (14, 7), (23, 6), (25, 7), (31, 5), (48, 4), (73, 7), (92, 7), (13, 7)]
)
def test_an_axis_of_many_slots_is_not_crowded(slots: int, labels: int) -> None:
    drawn = bar_chart([Slot(str(n)) for n in range(slots)], [Series("a", (D(1),))], value_words=str)
    assert sum(bool(column.axis_label) for column in drawn.columns) == labels
