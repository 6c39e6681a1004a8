"""An invoice line with its explanation: what every surface of the portal shows under "Why?"."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from invoices.explained import notes_of, rate_text_of, rows_of, steps_of
from invoices.models import Invoice, InvoiceLine
from pricing.explain import Row
from pricing.money import total_of
from pricing.rates import Step, StepKind


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    line: InvoiceLine
    steps: tuple[Row, ...]
    notes: tuple[str, ...]
    rate: tuple[str, ...]
    included: Step | None
    projected: Decimal | None = None

    @property
    def is_priced(self) -> bool:
        return self.line.kind != InvoiceLine.Kind.UNPRICED


def explain(line: InvoiceLine, projected: Decimal | None = None) -> ExplainedLine:
    return ExplainedLine(
        line=line,
        steps=tuple(rows_of(line)),
        notes=tuple(notes_of(line)),
        rate=tuple(rate_text_of(line)),
        included=next((step for step in steps_of(line) if step.kind == StepKind.INCLUDED), None),
        projected=projected,
    )


def explained_lines(invoice: Invoice) -> list[ExplainedLine]:
    return [explain(line) for line in invoice.lines.all()]


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
