"""The curve of a rate: it is what `charge` says, everywhere, and it names each fall."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.curve_chart import Asked, NamedCurve, curve_chart, curve_rows
from pricing.curves import MOST_STEPS, Curve, Piece, cliff_words, price_curve, telling_span
from pricing.money import format_money
from pricing.rates import charge, parse_rate

VOLUME = {"model": "volume", "tiers": [{"up_to": "1000", "unit_price": "0.1"}, {"up_to": None, "unit_price": "0.08"}]}
BLOCKS = {"model": "block", "block_size": "1000", "block_price": "5", "included_units": "5000"}
JUST = Decimal("1E-9")


def curve(parameters: dict[str, Any], up_to: str, event_size: str | None = None) -> Curve:
    return price_curve(
        parse_rate(parameters), Decimal(up_to), event_size=None if event_size is None else Decimal(event_size)
    )


def lines(found: Curve) -> list[tuple[str, ...]]:
    """The pieces as texts of plain numbers."""
    return [tuple(f"{number.normalize():f}" for number in ends(piece)) for piece in found.pieces]


def ends(piece: Piece) -> tuple[Decimal, ...]:
    return piece.start, piece.end, piece.at_start, piece.at_end


CURVES = {
    "one line where every unit costs the same": (
        {"model": "per_unit", "unit_price": "0.5"},
        "10",
        [("0", "10", "0", "5")],
    ),
    "free units first": (
        {"model": "per_unit", "unit_price": "0.5", "included_units": "4"},
        "10",
        [("0", "4", "0", "0"), ("4", "10", "0", "3")],
    ),
    "a started block counts in full": (
        BLOCKS,
        "7500",
        [
            ("0", "5000", "0", "0"),
            ("5000", "6000", "5", "5"),
            ("6000", "7000", "10", "10"),
            ("7000", "7500", "15", "15"),
        ],
    ),
    "only full blocks count": (
        {"model": "block", "block_size": "10", "block_price": "1", "partial_block": "round_down"},
        "25",
        [("0", "10", "0", "0"), ("10", "20", "1", "1"), ("20", "25", "2", "2")],
    ),
    "blocks in proportion are one line": (
        {"model": "block", "block_size": "3", "block_price": "1", "partial_block": "prorate"},
        "300",
        [("0", "300", "0", "100")],
    ),
    "graduated tiers bend, and jump by the flat fee": (
        {
            "model": "graduated",
            "tiers": [{"up_to": "100", "unit_price": "1"}, {"up_to": None, "unit_price": "0.5", "flat_fee": "7"}],
        },
        "300",
        [("0", "100", "0", "100"), ("100", "300", "107", "207")],
    ),
    "a volume tier falls": (VOLUME, "2000", [("0", "1000", "0", "100"), ("1000", "2000", "80", "160")]),
    "minimum and maximum cut the line where it meets them": (
        {"model": "per_unit", "unit_price": "2", "minimum": "10", "maximum": "30"},
        "20",
        [("0", "5", "10", "10"), ("5", "15", "10", "30"), ("15", "20", "30", "30")],
    ),
    "a maximum of nothing": ({"model": "per_unit", "unit_price": "2", "maximum": "0"}, "20", [("0", "20", "0", "0")]),
    "graduated blocks begin in their tier": (
        {
            "model": "graduated_block",
            "tiers": [
                {"up_to": "15", "block_size": "10", "block_price": "2"},
                {"up_to": None, "block_size": "100", "block_price": "9"},
            ],
        },
        "200",
        [("0", "10", "2", "2"), ("10", "15", "4", "4"), ("15", "115", "13", "13"), ("115", "200", "22", "22")],
    ),
    "volume blocks count from the first unit": (
        {
            "model": "volume_block",
            "tiers": [
                {"up_to": "15", "block_size": "10", "block_price": "4"},
                {"up_to": None, "block_size": "100", "block_price": "6"},
            ],
        },
        "200",
        [("0", "10", "4", "4"), ("10", "15", "8", "8"), ("15", "100", "6", "6"), ("100", "200", "12", "12")],
    ),
    "the flat price of the tier": (
        {"model": "stairstep", "tiers": [{"up_to": "10", "flat_price": "5"}, {"up_to": None, "flat_price": "9"}]},
        "20",
        [("0", "10", "5", "5"), ("10", "20", "9", "9")],
    ),
}


@pytest.mark.parametrize(("parameters", "up_to", "expected"), CURVES.values(), ids=CURVES)
def test_where_a_curve_bends_and_jumps(parameters: dict[str, Any], up_to: str, expected: list[tuple[str, ...]]) -> None:
    found = curve(parameters, up_to)
    assert lines(found) == expected
    assert found.exact


def test_a_volume_tier_that_makes_more_usage_cheaper_is_a_cliff() -> None:
    (cliff,) = curve(VOLUME, "2000").cliffs
    assert (cliff.quantity, cliff.before, cliff.after) == (1000, 100, 80)
    assert (cliff.worse_from, cliff.made_up_at) == (800, 1250)
    assert cliff_words(cliff, unit="calls", currency="USD") == (
        "Beyond 1,000 calls the price falls from $100.00 to $80.00. More than 800 and up to 1,000 calls cost more than "
        "just over 1,000. It is back at $100.00 with 1,250 calls."
    )


def test_a_cliff_whose_price_is_not_made_up_within_the_curve() -> None:
    (cliff,) = curve(VOLUME, "1100").cliffs
    assert cliff.made_up_at is None
    assert "It is back" not in cliff_words(cliff, unit="", currency="USD")


def test_a_cliff_of_one_quantity() -> None:
    tiers = [
        {"up_to": "1000", "block_size": "1000", "block_price": "10"},
        {"up_to": None, "block_size": "2000", "block_price": "4"},
    ]
    (cliff,) = curve({"model": "volume_block", "tiers": tiers}, "3000").cliffs
    assert (cliff.quantity, cliff.before, cliff.after) == (1000, 10, 4)


def test_a_fall_below_the_minimum_is_none() -> None:
    assert curve(VOLUME | {"minimum": "200"}, "1500").cliffs == ()


@pytest.mark.parametrize("model", ["per_unit", "block", "graduated"])
def test_others_have_no_cliffs(model: str) -> None:
    parameters: dict[str, Any] = {
        "per_unit": {"unit_price": "1"},
        "block": {"block_size": "7", "block_price": "3", "partial_block": "round_down"},
        "graduated": {"tiers": [{"up_to": "10", "unit_price": "9"}, {"up_to": None, "unit_price": "0.1"}]},
    }[model]
    assert curve({"model": model, **parameters}, "100").cliffs == ()


def test_steps_finer_than_a_picture_become_a_line() -> None:
    found = curve({"model": "block", "block_size": "1", "block_price": "0.5"}, "1000000")
    assert not found.exact
    assert len(found.pieces) < 2 * MOST_STEPS
    assert found.pieces[-1].at_end == 500_000


def test_single_events_are_of_one_size() -> None:
    rate = {"model": "percentage", "rate_percent": "1", "fixed_fee_per_event": "0.3"}
    found = curve(rate, "1000", event_size="100")
    point = found.at(Decimal(300))
    assert point is not None
    assert point.amount == Decimal("3.9")


def test_between_points_and_beyond_the_end() -> None:
    found = curve(VOLUME, "2000")
    between = found.at(Decimal(1500))
    assert between is not None
    assert between.amount == 120
    assert not between.jumps
    assert found.at(Decimal(2001)) is None


SPANS = {
    "blocks": (BLOCKS, "15000"),
    "tiers": (VOLUME, "1250"),
    "much that is free": ({"model": "per_unit", "unit_price": "1", "included_units": "40000"}, "80000"),
    "nothing to go by": ({"model": "per_unit", "unit_price": "1"}, "1000"),
}


@pytest.mark.parametrize(("parameters", "expected"), SPANS.values(), ids=SPANS)
def test_how_far_a_curve_goes(parameters: dict[str, Any], expected: str) -> None:
    assert telling_span(parse_rate(parameters)) == Decimal(expected)


# --- Any rate ---


def numbers(least: int = 0, most: int = 500) -> st.SearchStrategy[str]:
    return st.integers(least * 100, most * 100).map(lambda cents: f"{cents / Decimal(100)}")


@st.composite
def rates(draw: st.DrawFn) -> dict[str, Any]:
    model = draw(st.sampled_from(["per_unit", "block", "graduated", "volume", "graduated_block", "volume_block",
                                  "stairstep", "percentage", "graduated_percentage"]))  # fmt: skip
    bounds = sorted(draw(st.sets(st.integers(1, 400), max_size=4)))
    of_tier: dict[str, Any] = {
        "graduated": {"unit_price": numbers(), "flat_fee": numbers()},
        "volume": {"unit_price": numbers(), "flat_fee": numbers()},
        "graduated_block": {"block_size": numbers(20, 60), "block_price": numbers()},
        "volume_block": {"block_size": numbers(20, 60), "block_price": numbers()},
        "stairstep": {"flat_price": numbers()},
        "graduated_percentage": {"rate_percent": numbers(), "flat_fee": numbers()},
    }
    if model in of_tier:
        tiers = [{"up_to": bound, **{name: draw(value) for name, value in of_tier[model].items()}}
                 for bound in (*map(str, bounds), None)]  # fmt: skip
        parameters: dict[str, Any] = {"tiers": tiers}
    elif model == "block":
        how = draw(st.sampled_from(["round_up", "round_down", "prorate"]))
        parameters = {"block_size": draw(numbers(20, 60)), "block_price": draw(numbers()), "partial_block": how}
    else:
        parameters = {"unit_price" if model == "per_unit" else "rate_percent": draw(numbers())}
    minimum = draw(st.sampled_from(["0", "10", "300"]))
    limits = draw(st.sampled_from([{}, {"maximum": "300"}, {"maximum": "5000"}]))
    included = draw(st.sampled_from(["0", "7", "120"]))
    return {"model": model, **parameters, "included_units": included, "minimum": minimum, **limits}


@given(rates(), st.integers(1, 600), st.lists(st.decimals(0, 1, places=3), min_size=1, max_size=5))
def test_a_curve_is_what_charge_says(parameters: dict[str, Any], up_to: int, shares: list[Decimal]) -> None:
    rate = parse_rate(parameters)
    found = price_curve(rate, Decimal(up_to))
    assert found.exact
    assert (found.pieces[0].start, found.pieces[-1].end) == (0, up_to)
    assert all(before.end == after.start for before, after in pairwise(found.pieces))
    for share in shares:
        quantity = up_to * share
        point = found.at(quantity)
        assert point is not None
        assert abs(point.amount - charge(rate, quantity).amount) < JUST
    for point in found.points:
        assert abs(point.amount - charge(rate, point.quantity).amount) < JUST
        if point.quantity < up_to:
            assert abs(point.beyond - charge(rate, point.quantity + Decimal("1E-12")).amount) < JUST


@given(rates(), st.integers(1, 600))
def test_a_cliff_is_where_just_more_costs_less(parameters: dict[str, Any], up_to: int) -> None:
    rate = parse_rate(parameters)
    found = price_curve(rate, Decimal(up_to))
    for cliff in found.cliffs:
        assert cliff.after < cliff.before
        assert abs(charge(rate, cliff.quantity + Decimal("1E-12")).amount - cliff.after) < JUST
        middle = (cliff.worse_from + cliff.quantity) / 2
        assert cliff.worse_from <= cliff.quantity
        if cliff.worse_from < cliff.quantity:
            assert charge(rate, middle).amount >= cliff.after
        if cliff.made_up_at is not None:
            assert charge(rate, cliff.made_up_at + Decimal("1E-9")).amount > cliff.before - Decimal("1E-4")


# --- The picture ---


def words(amount: Decimal) -> str:
    return format_money(amount, "USD")


def test_the_picture_is_stretched_across_and_in_pixels_down() -> None:
    found = curve(VOLUME, "2000")
    chart = curve_chart([NamedCurve("v1", 1, found)], up_to=Decimal(2000), money_words=words)
    (drawn,) = chart.drawn
    # From nothing to $100.00 half way across, then a fall to $80.00; the uppermost line stands for $200.00.
    assert drawn.lines == "M0.00 180.00L500.00 90.00M500.00 108.00L1000.00 36.00"
    assert drawn.jumps == "M500.00 90.00L500.00 108.00"
    assert [tick.label for tick in chart.ticks] == ["$0.00", "$50.00", "$100.00", "$150.00", "$200.00"]
    assert [(tick.x, tick.label) for tick in chart.quantities][-1] == (100, "2,000")
    (mark,) = chart.cliffs
    assert (mark.x, mark.y) == (50, 100)


def test_what_was_asked_for_is_marked_where_the_picture_goes() -> None:
    found = curve(VOLUME, "2000")
    asked = [Asked(1, Decimal(500), Decimal(50)), Asked(1, Decimal(9000), Decimal(720))]
    chart = curve_chart([NamedCurve("v1", 1, found)], up_to=Decimal(2000), asked=asked, money_words=words)
    assert [(mark.x, mark.words) for mark in chart.asked] == [(25, "500: $50.00")]


def test_the_table_has_a_row_for_each_bend_of_either_curve() -> None:
    curves = [curve(VOLUME, "2000"), curve({"model": "per_unit", "unit_price": "0.09"}, "2000")]
    rows, more = curve_rows(curves, money_words=words)
    assert [(row.quantity, row.cells) for row in rows] == [
        ("0", (("$0.00", ""), ("$0.00", ""))),
        ("1,000", (("$100.00", "$80.00"), ("$90.00", ""))),
        ("2,000", (("$160.00", ""), ("$180.00", ""))),
    ]
    assert more == 0


def test_a_long_table_says_how_much_it_leaves_out() -> None:
    rows, more = curve_rows([curve(BLOCKS, "105000")], money_words=words)
    assert len(rows) == 40
    assert more == 62


def test_a_picture_of_nothing() -> None:
    free = curve({"model": "per_unit", "unit_price": "0"}, "10")
    chart = curve_chart([NamedCurve("v1", 1, free)], up_to=Decimal(10), money_words=words)
    assert chart.drawn[0].lines == "M0.00 180L1000.00 180"
    assert chart.axis_width > 0


@pytest.mark.parametrize("model", ["graduated", "volume", "graduated_block"])
def test_a_thousand_tiers_are_drawn_as_fewer_lines(model: str) -> None:
    price = {"block_size": "3", "block_price": "1"} if model == "graduated_block" else {"unit_price": "1"}
    bounds = [*(str(number * 10) for number in range(1, 1000)), None]
    rate = parse_rate({"model": model, "tiers": [{"up_to": bound, **price} for bound in bounds]})
    found = price_curve(rate, Decimal(12_000))
    assert not found.exact
    assert len(found.pieces) <= 250
    assert found.pieces[-1].at_end == charge(rate, Decimal(12_000)).amount
