"""From series to the geometry of bars and lines. Pure; the markup is in templates/includes/chart.html.

Across, everything is in percent of the plot's width, so that a chart fills a phone and a desk alike while its text
keeps its size; down, in pixels of a fixed height. A bar stands for one slot (a day), stacked by series.
"""

from collections.abc import Callable, Iterator, Sequence
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
    """A place on the axis: `label` is its name, `state` whether it is over, running or still to come. `short` is what
    stands on the axis, where that is not the name."""

    label: str
    state: str = PAST
    short: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """A value for each slot that is not ahead, in order."""

    name: str
    values: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class Before:
    """What to compare with: a value for each slot, also for those ahead; None where there is nothing to compare."""

    name: str
    values: tuple[Decimal | None, ...]


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
    before: Decimal | None = None  # where the mark of what it is compared with is


@dataclass(frozen=True, slots=True)
class Line:
    """A line through the ends of slots: `points` as SVG writes them, across in percent. Of what is compared with, the
    series is 0."""

    series: int
    points: str


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
    lines: tuple[Line, ...] = ()
    before_name: str = ""
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


@dataclass(frozen=True, slots=True)
class _Scale:
    lowest: Decimal
    highest: Decimal

    def y(self, value: Decimal) -> Decimal:
        span = self.highest - self.lowest
        if not span:
            return Decimal(TOP + PLOT_HEIGHT)
        return _round(TOP + PLOT_HEIGHT * (self.highest - value) / span)


def bar_chart(
    slots: Sequence[Slot],
    series: Sequence[Series],
    *,
    value_words: Callable[[Decimal], str],
    tick_words: Callable[[Decimal], str] | None = None,
    least_step: Decimal = ZERO,
    before: Before | None = None,
) -> Chart:
    """Bars for `slots`, one stack each. Negative values hang below the baseline. What they are compared with is a mark
    across each slot.

    `least_step` is the smallest distance of two ticks, such as a cent.
    """
    with localcontext(prec=60):
        columns = [tuple(one.values[index] for one in series) for index in range(_drawn(series))]
        ends = [sum((value for value in values if value > 0), ZERO) for values in columns]
        ends += [sum((value for value in values if value < 0), ZERO) for values in columns]
        return _chart(slots, series, ends, value_words, tick_words or value_words, least_step, before, is_lines=False)


def line_chart(
    slots: Sequence[Slot],
    series: Sequence[Series],
    *,
    value_words: Callable[[Decimal], str],
    tick_words: Callable[[Decimal], str] | None = None,
    least_step: Decimal = ZERO,
    before: Before | None = None,
) -> Chart:
    """A line for each running total, from nothing at the left to each value at the end of its slot."""
    with localcontext(prec=60):
        ends = [value for one in series for value in one.values]
        return _chart(slots, series, ends, value_words, tick_words or value_words, least_step, before, is_lines=True)


def _chart(
    slots: Sequence[Slot],
    series: Sequence[Series],
    ends: Sequence[Decimal],
    value_words: Callable[[Decimal], str],
    tick_words: Callable[[Decimal], str],
    least_step: Decimal,
    before: Before | None,
    *,
    is_lines: bool,
) -> Chart:
    columns = [tuple(one.values[index] for one in series) for index in range(_drawn(series))]
    earlier = [value for value in before.values if value is not None] if before else []
    values = ticks_between(min([ZERO, *ends, *earlier]), max([ZERO, *ends, *earlier]), least_step)
    scale = _Scale(values[0], values[-1])
    width = Decimal(100) / max(len(slots), 1)
    ahead = next((index for index, slot in enumerate(slots) if slot.state == AHEAD), None)
    return Chart(
        columns=tuple(
            _column(
                index,
                slot,
                columns[index] if index < len(columns) else (),
                series,
                slots,
                scale,
                value_words,
                before=before,
                is_lines=is_lines,
            )
            for index, slot in enumerate(slots)
        ),
        ticks=tuple(Tick(scale.y(value), tick_words(value)) for value in values),
        baseline=scale.y(ZERO),
        column_width=_round(width),
        bar_width=_round(width * (1 - GAP)),
        legend=tuple((index, one.name) for index, one in enumerate(series, start=1)) if len(series) > 1 else (),
        ahead_from=None if ahead is None else _round(width * ahead),
        is_empty=not any(any(values) for values in columns) and not any(earlier),
        lines=tuple(_lines(series, before, width, scale)) if is_lines else (),
        before_name=before.name if before else "",
    )


def _lines(series: Sequence[Series], before: Before | None, width: Decimal, scale: _Scale) -> Iterator[Line]:
    if before:
        yield Line(0, _points(before.values, width, scale))
    for number, one in enumerate(series, start=1):
        yield Line(number, _points(one.values, width, scale))


def _points(values: Sequence[Decimal | None], width: Decimal, scale: _Scale) -> str:
    places = [(ZERO, scale.y(ZERO))]
    places += [(_round(width * end), scale.y(value)) for end, value in enumerate(values, start=1) if value is not None]
    return " ".join(f"{x},{y}" for x, y in places)


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


def _column(
    index: int,
    slot: Slot,
    values: tuple[Decimal, ...],
    series: Sequence[Series],
    slots: Sequence[Slot],
    scale: _Scale,
    words: Callable[[Decimal], str],
    *,
    before: Before | None,
    is_lines: bool,
) -> Column:
    width = Decimal(100) / len(slots)
    left = width * index
    facts = [f"{slot.label}: {words(sum(values, ZERO))}"] if values else []
    if len(series) > 1:
        facts += [f"{one.name}: {words(value)}" for one, value in zip(series, values, strict=False) if value]
    earlier = before.values[index] if before and index < len(before.values) else None
    if before and earlier is not None:
        facts.append(f"{before.name}: {words(earlier)}" if values else f"{slot.label}, {before.name}: {words(earlier)}")
    return Column(
        label=slot.label,
        axis_label=(slot.short or slot.label) if index % _label_every(len(slots)) == 0 else "",
        state=slot.state,
        left=_round(left),
        bar_left=_round(left + width * GAP / 2),
        middle=_round(left + width / 2),
        bars=() if is_lines else tuple(_stack(values, scale)),
        facts=tuple(facts),
        before=None if is_lines or earlier is None else scale.y(earlier),
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
    if slots <= 14:
        return 1 if slots <= 7 else 2
    # Of more hours than a day has, and of more days than two months, fewer.
    return 4 if 23 <= slots <= 25 else 7 if slots <= 46 else 12 if slots <= 75 else 14


def _nice(rough: Decimal) -> Decimal:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    power = Decimal(1).scaleb(rough.adjusted())
    return next(power * factor for factor in map(Decimal, ("1", "2", "2.5", "5", "10")) if power * factor >= rough)


def _round(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.01"))


def _plain(number: Decimal) -> str:
    text = format(number, ",f")
    return text.rstrip("0").rstrip(".") if "." in text else text
