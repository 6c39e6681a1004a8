"""An invoice line with its explanation: what every surface of the portal shows, of usage under "Why?"."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from invoices.drafting import DraftLine
from invoices.lines.explained import (
    TAXES,
    facts_of,
    is_usage,
    notes_of,
    opens,
    parts_of,
    rate_text_of,
    rows_of,
    steps_of,
)
from invoices.lines.opened import OpenedLine
from invoices.lines.pages import slots_of, words_of
from invoices.models import InvoiceLine
from meters.small_bars import SmallChart, small_bars
from pricing.explain import Row
from pricing.money import format_quantity, total_of
from pricing.rates import Step, StepKind

# Of longer spans the days are on the page of the line; here they are only drawn.
MOST_ROWS = 62
# So that a page of very many lines stays light.
MOST_WITH_DAYS = 12


@dataclass(frozen=True, slots=True)
class LineDays:
    """What a line counts by day: bars, and the same numbers to read; no bars where no day has any."""

    chart: SmallChart | None
    rows: tuple[tuple[date, str], ...]


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    """`part` says which part of a product item's usage the line is about. Lines of usage, and those that correct some,
    have a table of steps and their price, the others `facts`; where lines are `opened`, all have the table. `anchor`
    names the line on the page, also while other lines come and go."""

    line: InvoiceLine
    anchor: str
    part: str
    steps: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()
    rate: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    included: Step | None = None
    projected: Decimal | None = None
    opened: OpenedLine | None = None
    days: LineDays | None = None

    @property
    def is_usage(self) -> bool:
        return is_usage(self.line)

    @property
    def opens(self) -> bool:
        return self.opened is not None or opens(self.line)

    @property
    def is_counted(self) -> bool:
        """Whether its quantity says something: a fee without a unit, a discount and the like count nothing."""
        return self.is_usage or (bool(self.line.unit) and self.line.quantity is not None)

    @property
    def is_priced(self) -> bool:
        return self.line.kind != InvoiceLine.Kind.UNPRICED

    @property
    def is_trial(self) -> bool:
        return self.line.kind == InvoiceLine.Kind.TRIAL


@dataclass(frozen=True, slots=True)
class ExplainedLines:
    """The lines of an invoice: those that sum up to the subtotal, and its taxes."""

    charges: list[ExplainedLine] = field(default_factory=list)
    taxes: list[ExplainedLine] = field(default_factory=list)

    @property
    def is_more_than_usage(self) -> bool:
        return bool(self.taxes) or not all(item.is_usage for item in self.charges)


# What a line is about; with its place among those about the same, it names the line.
Identity = tuple[str, int | None, str, int | None, int | None, int | None]


def identity_of(line: InvoiceLine | DraftLine) -> Identity:
    return line.kind, line.product_item_id, line.fee_key, line.promotion_id, line.tax_rate_id, line.corrects_id


def explained_lines(lines: Sequence[InvoiceLine], projected: Sequence[Decimal | None] | None = None) -> ExplainedLines:
    """These lines of one invoice, each with what it is projected to come to."""
    seen: Counter[Identity] = Counter()
    explained = ExplainedLines()
    ahead = projected or [None] * len(lines)
    for line, part, amount in zip(lines, parts_of(lines), ahead, strict=True):
        identity = identity_of(line)
        seen[identity] += 1
        anchor = "-".join(str(name) for name in (*identity, seen[identity]) if name)
        kept = explained.taxes if line.kind in TAXES else explained.charges
        kept.append(_explained(line, anchor, part, amount))
    return explained


def opened_lines(opened: Sequence[OpenedLine], *, now: datetime) -> ExplainedLines:
    """All lines of an invoice, each with what it opens to; the first of those that have days with these."""
    explained = explained_lines([one.line for one in opened])
    by_position = {one.line.position: one for one in opened}
    with_days = {one.line.position for one in [one for one in opened if one.days][:MOST_WITH_DAYS]}
    for kept in (explained.charges, explained.taxes):
        for index, item in enumerate(kept):
            one = by_position[item.line.position]
            days = _days_of(one, now) if one.line.position in with_days else None
            kept[index] = replace(item, opened=one, steps=tuple(one.rows), notes=tuple(notes_of(item.line)), days=days)
    return explained


def _days_of(opened: OpenedLine, now: datetime) -> LineDays:
    chart = small_bars(
        slots_of(opened, now),
        [day.quantity for day in opened.days],
        value_words=lambda value: words_of(value, opened),
    )
    rows = [(day.day, format_quantity(day.quantity)) for day in opened.days]
    return LineDays(chart, tuple(rows) if len(rows) <= MOST_ROWS else ())


def _explained(line: InvoiceLine, anchor: str, part: str, projected: Decimal | None) -> ExplainedLine:
    if not opens(line):
        return ExplainedLine(line, anchor, part, facts=tuple(facts_of(line)), projected=projected)
    return ExplainedLine(
        line=line,
        anchor=anchor,
        part=part,
        steps=tuple(rows_of(line)),
        notes=tuple(notes_of(line)),
        rate=tuple(rate_text_of(line)),
        included=_included(line) if is_usage(line) else None,
        projected=projected,
    )


def _included(line: InvoiceLine) -> Step | None:
    return next((step for step in steps_of(line) if step.kind == StepKind.INCLUDED), None)


@dataclass(frozen=True, slots=True)
class Money:
    amount: Decimal
    currency: str


def combined(amounts: Iterable[Money]) -> list[Money]:
    """One total for each currency: amounts of different currencies never mix."""
    by_currency: dict[str, list[Decimal]] = {}
    for money in amounts:
        by_currency.setdefault(money.currency, []).append(money.amount)
    return [Money(total_of(parts), currency) for currency, parts in by_currency.items()]
