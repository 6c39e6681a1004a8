"""Days as bars small enough to stand beside a line: no axes, and words for where it begins, ends and is greatest.
Pure; the markup is in templates/includes/small_bars.html. Across in percent, down in pixels, as in `meters.charts`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from meters.charts import AHEAD, GAP, LEAST_BAR, Slot

HEIGHT = 56
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class SmallBar:
    """`words`: what it stands for."""

    left: Decimal
    top: Decimal
    height: Decimal
    state: str
    words: str


@dataclass(frozen=True, slots=True)
class SmallChart:
    """`greatest` says which slot has the most, and how much."""

    bars: tuple[SmallBar, ...]
    bar_width: Decimal
    baseline: Decimal
    ahead_from: Decimal | None
    first: str
    last: str
    greatest: str
    height: int = HEIGHT

    @property
    def ahead_width(self) -> Decimal:
        return ZERO if self.ahead_from is None else 100 - self.ahead_from


def small_bars(
    slots: Sequence[Slot], values: Sequence[Decimal], *, value_words: Callable[[Decimal], str]
) -> SmallChart | None:
    """A bar for each value, which are those of the first slots. None where all are nothing."""
    if not any(values):
        return None
    highest, lowest = max(ZERO, *values), min(ZERO, *values)
    baseline = HEIGHT * highest / (highest - lowest)
    width = Decimal(100) / len(slots)
    bars = []
    for index, (slot, value) in enumerate(zip(slots, values, strict=False)):
        if value:
            tall = max(HEIGHT * abs(value) / (highest - lowest), LEAST_BAR)
            top = max(baseline - tall, ZERO) if value > 0 else min(baseline, HEIGHT - tall)
            left = width * (index + GAP / 2)
            words = f"{slot.label}: {value_words(value)}"
            bars.append(SmallBar(_round(left), _round(top), _round(tall), slot.state, words))
    ahead = next((index for index, slot in enumerate(slots) if slot.state == AHEAD), None)
    most = max(range(len(values)), key=lambda index: (abs(values[index]), -index))
    return SmallChart(
        bars=tuple(bars),
        bar_width=_round(width * (1 - GAP)),
        baseline=_round(baseline),
        ahead_from=None if ahead is None else _round(width * ahead),
        first=slots[0].label,
        last=slots[-1].label if len(slots) > 1 else "",
        greatest=f"{value_words(values[most])} on {slots[most].label}",
    )


def _round(number: Decimal) -> Decimal:
    return number.quantize(Decimal("0.01"))
