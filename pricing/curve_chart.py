"""From curves to the geometry of their picture and to the table beside it. Pure; the markup is in
templates/includes/curve.html.

The lines are drawn in a box of 1,000 by the height of the plot and stretched across; all else is placed in percent
across, as in meters/charts.py, so that text and marks keep their shape.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from meters.charts import PLOT_HEIGHT, TOP, Tick, short_number, ticks_between
from pricing.curves import Curve, Point
from pricing.money import format_quantity
from pricing.steps import ZERO

WIDTH = 1000
HEIGHT = PLOT_HEIGHT + TOP + 44  # below it the quantities, and the unit
# The table's; a curve of many blocks goes on in the same way.
MOST_ROWS = 40
HUNDREDTH = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class NamedCurve:
    """A curve and whose it is; `series` is its number in the style sheet, from 1."""

    name: str
    series: int
    curve: Curve


@dataclass(frozen=True, slots=True)
class Asked:
    """A quantity that was asked for, and what it costs by the curve of that series."""

    series: int
    quantity: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Drawn:
    """The paths of one curve: its lines, and the jumps between them."""

    name: str
    series: int
    lines: str
    jumps: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A dot: `x` in percent, `y` in pixels."""

    series: int
    x: Decimal
    y: Decimal
    words: str


@dataclass(frozen=True, slots=True)
class QuantityTick:
    x: Decimal
    label: str
    anchor: str  # of SVG's text-anchor: the first and the last stay inside


@dataclass(frozen=True, slots=True)
class CurveChart:
    drawn: tuple[Drawn, ...]
    ticks: tuple[Tick, ...]
    quantities: tuple[QuantityTick, ...]
    cliffs: tuple[Mark, ...]
    asked: tuple[Mark, ...]
    baseline: Decimal
    height: int = HEIGHT
    top: int = TOP
    plot_height: int = PLOT_HEIGHT
    width: int = WIDTH

    @property
    def label_y(self) -> int:
        return self.top + self.plot_height + 18

    @property
    def unit_y(self) -> int:
        return self.top + self.plot_height + 36

    @property
    def axis_width(self) -> int:
        """Room for the widest label of the vertical axis, in pixels."""
        return 12 + 7 * max(len(tick.label) for tick in self.ticks)


@dataclass(frozen=True, slots=True)
class CurveRow:
    """What a quantity costs by each curve, and what just more costs where that is not the same."""

    quantity: str
    cells: tuple[tuple[str, str], ...]


def curve_chart(
    curves: Sequence[NamedCurve],
    *,
    up_to: Decimal,
    asked: Sequence[Asked] = (),
    money_words: Callable[[Decimal], str],
    least_step: Decimal = ZERO,
) -> CurveChart:
    """The picture of at least one curve, from nothing to `up_to` units. `least_step` is the smallest distance of two
    ticks, such as a cent."""
    with localcontext(prec=60):
        ends = [max(piece.at_start, piece.at_end) for one in curves for piece in one.curve.pieces]
        highest = max([*ends, *(one.amount for one in asked)])
        values = ticks_between(ZERO, highest, least_step)
        scale = _Scale(up_to, values[-1])
        return CurveChart(
            drawn=tuple(_drawn(one, scale) for one in curves),
            ticks=tuple(Tick(TOP + scale.y(value), money_words(value)) for value in values),
            quantities=tuple(_quantity_ticks(up_to)),
            cliffs=tuple(
                Mark(one.series, scale.percent(cliff.quantity), TOP + scale.y(cliff.before), one.name)
                for one in curves
                for cliff in one.curve.cliffs
            ),
            asked=tuple(
                Mark(
                    one.series,
                    scale.percent(one.quantity),
                    TOP + scale.y(one.amount),
                    f"{format_quantity(one.quantity)}: {money_words(one.amount)}",
                )
                for one in asked
                if one.quantity <= up_to
            ),
            baseline=TOP + scale.y(ZERO),
        )


def curve_rows(curves: Sequence[Curve], *, money_words: Callable[[Decimal], str]) -> tuple[list[CurveRow], int]:
    """The table of the same numbers: a row for each quantity at which one of the curves bends or jumps; and how many
    rows more there would be."""
    quantities = sorted({point.quantity for curve in curves for point in curve.points})
    rows = []
    for quantity in quantities[:MOST_ROWS]:
        cells = tuple(_cell(curve.at(quantity), money_words) for curve in curves)
        rows.append(CurveRow(format_quantity(quantity), cells))
    return rows, len(quantities) - len(rows)


def _cell(point: Point | None, words: Callable[[Decimal], str]) -> tuple[str, str]:
    if point is None:
        return "", ""
    amount, beyond = words(point.amount), words(point.beyond)
    return amount, beyond if point.beyond != point.amount and beyond != amount else ""


@dataclass(frozen=True, slots=True)
class _Scale:
    right: Decimal
    top: Decimal

    def x(self, quantity: Decimal) -> Decimal:
        return _round(WIDTH * quantity / self.right)

    def y(self, amount: Decimal) -> Decimal:
        return _round(PLOT_HEIGHT - PLOT_HEIGHT * amount / self.top) if self.top else Decimal(PLOT_HEIGHT)

    def percent(self, quantity: Decimal) -> Decimal:
        return _round(100 * quantity / self.right)


def _drawn(one: NamedCurve, scale: _Scale) -> Drawn:
    lines, jumps = [], []
    end: tuple[Decimal, Decimal] | None = None
    for piece in one.curve.pieces:
        start = scale.x(piece.start), scale.y(piece.at_start)
        if end is None:
            lines.append(f"M{_at(start)}")
        elif end != start:
            jumps.append(f"M{_at(end)}L{_at(start)}")
            lines.append(f"M{_at(start)}")
        end = scale.x(piece.end), scale.y(piece.at_end)
        lines.append(f"L{_at(end)}")
    return Drawn(one.name, one.series, "".join(lines), "".join(jumps))


def _at(place: tuple[Decimal, Decimal]) -> str:
    return f"{place[0]} {place[1]}"


def _quantity_ticks(up_to: Decimal) -> list[QuantityTick]:
    values = [value for value in ticks_between(ZERO, up_to) if value <= up_to]
    return [
        QuantityTick(
            x=_round(100 * value / up_to),
            label=short_number(value),
            anchor="start" if not value else "end" if value == up_to else "middle",
        )
        for value in values
    ]


def _round(number: Decimal) -> Decimal:
    return number.quantize(HUNDREDTH)
