"""An invoice line with its explanation: what every surface of the portal shows under "Why?"."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from invoices.models import Invoice, InvoiceLine
from pricing.explain import Row, describe_rate, rows, sentences
from pricing.rates import Step, StepKind, parse_rate


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


def explain(line: InvoiceLine, currency: str, projected: Decimal | None = None) -> ExplainedLine:
    steps = [Step.from_dict(step) for step in line.steps]
    table = rows(steps, unit=line.unit, currency=currency)
    # A sentence that says no more than its row is left out beside the table.
    told = [row.detail for row in table]
    notes = [
        sentence
        for sentence in sentences(steps, unit=line.unit, currency=currency)
        if not any(detail in sentence for detail in told)
    ]
    rate = describe_rate(parse_rate(line.rate), unit=line.unit, currency=currency) if line.rate else []
    return ExplainedLine(
        line=line,
        steps=tuple(table),
        notes=tuple(notes),
        rate=tuple(rate),
        included=next((step for step in steps if step.kind == StepKind.INCLUDED), None),
        projected=projected,
    )


def explained_lines(invoice: Invoice) -> list[ExplainedLine]:
    return [explain(line, invoice.currency) for line in invoice.lines.all()]


@dataclass(frozen=True, slots=True)
class Money:
    amount: Decimal
    currency: str


def combined(amounts: Iterable[Money]) -> list[Money]:
    """One total for each currency: amounts of different currencies never mix."""
    totals: dict[str, Decimal] = {}
    for money in amounts:
        totals[money.currency] = totals.get(money.currency, Decimal(0)) + money.amount
    return [Money(amount, currency) for currency, amount in totals.items()]
