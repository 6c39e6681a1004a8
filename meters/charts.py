"""From series to the geometry of a bar chart. Pure; the markup is in templates/includes/chart.html.

Across, everything is in percent of the plot's width, so that a chart fills a phone and a desk alike while its text
keeps its size; down, in pixels of a fixed height. A bar stands for one slot (a day), stacked by series.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

PLOT_HEIGHT = 180
TOP = 10  # above the uppermost line, half of its label
HEIGHT = PLOT_HEIGHT + TOP + 26  # below it the labels of the slots
MOST_SERIES = 6  # and one more: the others together
LEAST_BAR = Decimal("1.5")  # so that a small amount beside a large one is still seen
GAP = Decimal("0.24")  # of a slot

PAST, TODAY, AHEAD = "past", "today", "ahead"
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place on the axis: `label` is its name, `state` whether it is over, running or still to come."""

    label: str
    state: str = PAST


@dataclass(frozen=True, slots=True)
class Series:
    """A value for each slot that is not ahead, in order."""

    name: str
    values: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    series: int  # from 1, as in the style sheet
    y: Decimal
    height: Decimal


@dataclass(frozen=True, slots=True)
class Column:
    """What is drawn of one slot; `axis_label` is empty where labels would crowd."""

    label: str
    axis_label: str
    state: str
    left: Decimal
    bar_left: Decimal
    middle: Decimal
    bars: tuple[Bar, ...]
    facts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    y: Decimal
    label: str


@dataclass(frozen=True, slots=True)
class Chart:
    columns: tuple[Column, ...]
    ticks: tuple[Tick, ...]
    baseline: Decimal
    column_width: Decimal
    bar_width: Decimal
    legend: tuple[tuple[int, str], ...]
    ahead_from: Decimal | None  # where the part that is still to come begins
    is_empty: bool
    height: int = HEIGHT
    top: int = TOP
    plot_height: int = PLOT_HEIGHT

    @property
    def bottom(self) -> int:
        return self.top + self.plot_height

    @property
    def label_y(self) -> int:
        return self.bottom + 18

    @property
    def ahead_width(self) -> Decimal:
        return ZERO if self.ahead_from is None else 100 - self.ahead_from

    @property
    def axis_width(self) -> int:
        """Room for the widest label of the vertical axis, in pixels."""
        return 12 + 7 * max(len(tick.label) for tick in self.ticks)


def bar_chart(
    slots: Sequence[Slot],
    series: Sequence[Series],
    *,
    value_words: Callable[[Decimal], str],
    tick_words: Callable[[Decimal], str] | None = None,
    least_step: Decimal = ZERO,
) -> Chart:
    """Bars for `slots`, one stack each. Negative values hang below the baseline.

    `least_step` is the smallest distance of two ticks, such as a cent.
    """
    with localcontext(prec=60):
        columns = [tuple(one.values[index] for one in series) for index in range(_drawn(series))]
        highest = max((sum((value for value in values if value > 0), ZERO) for values in columns), default=ZERO)
        lowest = min((sum((value for value in values if value < 0), ZERO) for values in columns), default=ZERO)
        values = ticks_between(lowest, highest, least_step)
        scale = _Scale(values[0], values[-1])
        width = Decimal(100) / max(len(slots), 1)
        words = tick_words or value_words
        ahead = next((index for index, slot in enumerate(slots) if slot.state == AHEAD), None)
        return Chart(
            columns=tuple(
                _column(index, slot, columns[index] if index < len(columns) else (), series, slots, scale, value_words)
                for index, slot in enumerate(slots)
            ),
            ticks=tuple(Tick(scale.y(value), words(value)) for value in values),
            baseline=scale.y(ZERO),
            column_width=_round(width),
            bar_width=_round(width * (1 - GAP)),
            legend=tuple((index, one.name) for index, one in enumerate(series, start=1)) if len(series) > 1 else (),
            ahead_from=None if ahead is None else _round(width * ahead),
            is_empty=not any(any(values) for values in columns),
        )


def fold(series: Sequence[Series], name: str = "Other") -> list[Series]:
    """At most `MOST_SERIES` series, the greatest by what they come to, and the others as one."""
    if len(series) <= MOST_SERIES:
        return list(series)
    greatest = sorted(series, key=lambda one: sum(one.values, ZERO), reverse=True)[:MOST_SERIES]
    others = [one for one in series if one not in greatest]
    together = tuple(sum(values, ZERO) for values in zip(*(one.values for one in others), strict=True))
    return [*(one for one in series if one in greatest), Series(name, together)]


def ticks_between(lowest: Decimal, highest: Decimal, least_step: Decimal = ZERO) -> list[Decimal]:
    """Round numbers from at or below `lowest` to at or above `highest`, four or so, with 0 among them."""
    span = highest - lowest
    if not span:
        return [ZERO]
    step = max(_nice(span / 4), least_step)
    first = (lowest / step).to_integral_value(ROUND_FLOOR)
    last = (highest / step).to_integral_value(ROUND_CEILING)
    return [step * number for number in range(int(first), int(last) + 1)]


def short_number(value: Decimal) -> str:
    """An axis label: "950", "12.5k", "3M". Ticks are round numbers, so nothing is cut off."""
    for size, letter in ((Decimal(10) ** 12, "T"), (Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (1000, "k")):
        if abs(value) >= size and (size != 1000 or abs(value) >= 10_000):
            return f"{_plain(value / size)}{letter}"
    return f"{_plain(value):}"


@dataclass(frozen=True, slots=True)
class _Scale:
    lowest: Decimal
    highest: Decimal

    def y(self, value: Decimal) -> Decimal:
        span = self.highest - self.lowest
        if not span:
            return Decimal(TOP + PLOT_HEIGHT)
        return _round(TOP + PLOT_HEIGHT * (self.highest - value) / span)


def _column(
    index: int,
    slot: Slot,
    values: tuple[Decimal, ...],
    series: Sequence[Series],
    slots: Sequence[Slot],
    scale: _Scale,
    words: Callable[[Decimal], str],
) -> Column:
    width = Decimal(100) / len(slots)
    left = width * index
    facts = [f"{slot.label}: {words(sum(values, ZERO))}"] if values else []
    if len(series) > 1:
        facts += [f"{one.name}: {words(value)}" for one, value in zip(series, values, strict=False) if value]
    return Column(
        label=slot.label,
        axis_label=slot.label if index % _label_every(len(slots)) == 0 else "",
        state=slot.state,
        left=_round(left),
        bar_left=_round(left + width * GAP / 2),
        middle=_round(left + width / 2),
        bars=tuple(_stack(values, scale)),
        facts=tuple(facts),
    )


def _stack(values: tuple[Decimal, ...], scale: _Scale) -> list[Bar]:
    bars = []
    above, below = ZERO, ZERO
    for number, value in enumerate(values, start=1):
        start = above if value > 0 else below
        upper, lower = scale.y(max(start, start + value)), scale.y(min(start, start + value))
        if value > 0:
            above += value
        else:
            below += value
        if value:
            height = max(lower - upper, LEAST_BAR)
            bars.append(Bar(number, lower - height if value > 0 else upper, height))
    return bars


def _drawn(series: Sequence[Series]) -> int:
    return min((len(one.values) for one in series), default=0)


def _label_every(slots: int) -> int:
    return 1 if slots <= 7 else 2 if slots <= 14 else 7


def _nice(rough: Decimal) -> Decimal:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    power = Decimal(1).scaleb(rough.adjusted())
    return next(power * factor for factor in map(Decimal, ("1", "2", "2.5", "5", "10")) if power * factor >= rough)


def _round(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.01"))


def _plain(number: Decimal) -> str:
    text = format(number, ",f")
    return text.rstrip("0").rstrip(".") if "." in text else text
