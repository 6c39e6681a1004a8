"""What the usage page draws, tabulates and gives as a file: the same numbers for all three."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from invoices.models import Invoice
from meters.aggregation import EXACT, plain
from meters.charts import (
    MOST_SERIES,
    TODAY,
    Before,
    Chart,
    Series,
    Slot,
    bar_chart,
    line_chart,
    short_number,
)
from meters.models import Meter
from portal.usage.periods import DAYS_UNTIL, HOURS_UNTIL, Span
from pricing.money import amount_text, format_money, format_price, format_quantity, minor_units, total_of

ZERO = Decimal(0)
TENTH = Decimal("0.1")
NONE_WORDS = "–"
TOTAL_LABELS = {
    "min": "Least",
    "max": "Greatest",
    "average": "Average",
    "latest": "Latest",
    "unique_count": "Different in all",
    "percentile": "In all",
    "time_weighted_average": "Average",
}
CUT_WORDS = {
    "hour": f"by hour, as for up to {HOURS_UNTIL} days",
    "day": f"by day, as for {HOURS_UNTIL + 1} to {DAYS_UNTIL} days",
    "month": f"by month, as for more than {DAYS_UNTIL} days",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A figure for each slot that has begun (None: there is none), and that of the whole period, which is not their
    sum for every meter. `text`: of a group, the text of its dimension."""

    name: str
    values: tuple[Decimal | None, ...]
    total: Decimal
    text: str | None = None

    def cumulated(self) -> "Column":
        """What it comes to at the end of each slot."""
        running: list[Decimal] = []
        for value in self.values:
            running.append(total_of([*running[-1:], value or ZERO]))
        return replace(self, values=tuple(running))


@dataclass(frozen=True, slots=True)
class Compared:
    """As many days before: a figure for each slot, also for those to come; `so_far` is that of the part that
    corresponds to what is over, `whole` that of all of it."""

    name: str
    words: str
    so_far_words: str
    values: tuple[Decimal | None, ...]
    so_far: Decimal
    whole: Decimal
    is_running: bool


@dataclass(frozen=True, slots=True)
class Fit:
    """How the cost that is shown fits an invoice: what is `shown` of it, and what its lines of usage come to."""

    invoice: Invoice
    shown: str
    billed: str
    words: str


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure as it is read, and as machines read it."""

    text: str
    exact: str


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    stamp: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class UsageReport:
    """`currency`: that of costs, empty where figures are units. `adds_up`: slots and groups sum to the total."""

    meter: Meter
    span: Span
    slots: tuple[Slot, ...]
    stamps: tuple[str, ...]
    groups: tuple[Column, ...]
    total: Column
    adds_up: bool
    currency: str = ""
    is_cumulative: bool = False
    compared: Compared | None = None
    notes: tuple[str, ...] = ()
    fits: tuple[Fit, ...] = ()
    is_estimate: bool = False

    @property
    def is_cost(self) -> bool:
        return bool(self.currency)

    @property
    def is_empty(self) -> bool:
        return not self.total.total and not any(self.total.values)

    @property
    def cut_words(self) -> str:
        return CUT_WORDS[self.span.cut]

    @property
    def cut_name(self) -> str:
        return self.span.cut

    @property
    def total_label(self) -> str:
        """What the figure of the whole period is, by the meter's aggregation."""
        return "Total" if self.is_cost else TOTAL_LABELS.get(self.meter.aggregation, "Total")

    @property
    def figure_name(self) -> str:
        """What the figures are, as the head of a column."""
        if self.is_cost:
            return f"Cost ({self.currency})"
        return self.meter.unit[:1].upper() + self.meter.unit[1:] or "Quantity"

    @property
    def file_figure_name(self) -> str:
        unit = self.currency or self.meter.unit
        return f"{self.meter}{' cost' if self.is_cost else ''}{f' ({unit})' if unit else ''}"

    def words(self, value: Decimal) -> str:
        """A figure without its unit, or an amount of money."""
        return format_money(value, self.currency) if self.currency else format_quantity(value)

    def full_words(self, value: Decimal) -> str:
        return self.words(value) if self.currency else f"{format_quantity(value)} {self.meter.unit}".strip()

    def exact(self, value: Decimal) -> str:
        return amount_text(value, self.currency) if self.currency else plain(value)

    @property
    def total_words(self) -> str:
        return self.words(self.total.total)

    @property
    def rows(self) -> list[Row]:
        """Each slot that has begun, and with a comparison those to come, too."""
        count = len(self.slots) if self.compared else len(self.total.values)
        return [Row(self.slots[index].label, self.stamps[index], tuple(self._cells(index))) for index in range(count)]

    def _cells(self, index: int) -> Iterable[Cell]:
        columns = [*(column.values for column in self.groups), self.total.values]
        for values in [*columns, self.compared.values] if self.compared else columns:
            value = values[index] if index < len(values) else None
            yield self._cell(value)

    def _cell(self, value: Decimal | None) -> Cell:
        return Cell(NONE_WORDS, "") if value is None else Cell(self.words(value), self.exact(value))

    @property
    def totals(self) -> list[Cell]:
        found = [*(column.total for column in self.groups), self.total.total]
        return [self._cell(value) for value in ([*found, self.compared.whole] if self.compared else found)]

    @property
    def so_far_words(self) -> str:
        return self.full_words(self.compared.so_far) if self.compared else ""

    @property
    def whole_words(self) -> str:
        return self.full_words(self.compared.whole) if self.compared else ""

    @property
    def difference(self) -> str:
        """ "2,200 calls more (+21.8%)"."""
        return self._difference(self.total.total, self.compared.so_far) if self.compared else ""

    def _difference(self, now: Decimal, before: Decimal) -> str:
        change = total_of([now, before.copy_negate()])
        if not change:
            return "No difference"
        words = f"{self.full_words(change.copy_abs())} {'more' if change > 0 else 'less'}"
        return f"{words} ({percent_words(change, before)})" if before else words

    @property
    def chart(self) -> Chart:
        # Only what adds up may be stacked.
        drawn = self.groups if self.groups and self.adds_up and len(self.groups) <= MOST_SERIES + 1 else (self.total,)
        draw = line_chart if self.is_cumulative else bar_chart
        values = [value for column in drawn for value in column.values if value is not None]
        is_whole = all(value == value.to_integral_value() for value in values)
        if self.currency:
            least = Decimal(1).scaleb(-minor_units(self.currency))
        else:
            least = Decimal(1) if is_whole else ZERO
        currency = self.currency
        return draw(
            self.slots,
            [Series(column.name, tuple(value or ZERO for value in column.values)) for column in drawn],
            value_words=self.full_words,
            tick_words=(lambda value: format_price(value, currency)) if currency else short_number,
            least_step=least,
            before=Before(self.compared.name, self.compared.values) if self.compared else None,
        )

    @property
    def description(self) -> str:
        what = f"A line to the end of each {self.span.cut}" if self.is_cumulative else f"Bars for each {self.span.cut}"
        return f"{what}; the same numbers are in the table below."

    @property
    def is_running(self) -> bool:
        return any(slot.state == TODAY for slot in self.slots)


def percent_words(change: Decimal, of: Decimal) -> str:
    """ "+21.8%"."""
    share = EXACT.divide(EXACT.multiply(change, Decimal(100)), of.copy_abs())
    rounded = share.quantize(TENTH, ROUND_HALF_UP, EXACT)
    if not rounded:
        return f"{'+' if change > 0 else '-'}under 0.1%"
    return f"{'+' if rounded > 0 else ''}{format_quantity(rounded)}%"
