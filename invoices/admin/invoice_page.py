"""The lines of an invoice with the explanation of each: the rate as it was, and the steps from quantity to amount."""

from collections.abc import Sequence
from dataclasses import dataclass

from invoices.models import Invoice, InvoiceEvent, InvoiceLine
from pricing.explain import Row, describe_rate, rows
from pricing.money import format_money, format_quantity
from pricing.rates import Step, parse_rate


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    line: InvoiceLine
    quantity: str
    amount: str
    rate: Sequence[str]
    steps: Sequence[Row]

    @property
    def is_unpriced(self) -> bool:
        return self.line.kind == InvoiceLine.Kind.UNPRICED


def explained_lines(invoice: Invoice) -> list[ExplainedLine]:
    return [_explained(line, invoice.currency) for line in invoice.lines.all()]


def audit_trail(invoice: Invoice) -> list[tuple[InvoiceEvent, str]]:
    """What happened to the invoice, oldest first, each with its details as text."""
    return [
        (event, ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in event.detail.items()))
        for event in invoice.events.all()
    ]


def _explained(line: InvoiceLine, currency: str) -> ExplainedLine:
    rate = () if line.rate is None else describe_rate(parse_rate(line.rate), unit=line.unit, currency=currency)
    return ExplainedLine(
        line=line,
        quantity=f"{format_quantity(line.quantity)} {line.unit or 'units'}",
        amount=format_money(line.amount, currency),
        rate=rate,
        steps=rows([Step.from_dict(step) for step in line.steps], unit=line.unit, currency=currency),
    )
