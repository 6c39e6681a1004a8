"""The lines of an invoice with the explanation of each: the rate as it was, and the steps from quantity to amount."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from invoices.explained import notes_of, rate_text_of, rows_of
from invoices.models import Invoice, InvoiceEvent, InvoiceLine
from meters.admin.base import instant
from pricing.explain import Row
from pricing.money import format_money, format_quantity

MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*[+-]\d\d:\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    line: InvoiceLine
    quantity: str
    amount: str
    rate: Sequence[str]
    steps: Sequence[Row]
    notes: Sequence[str]

    @property
    def is_unpriced(self) -> bool:
        return self.line.kind == InvoiceLine.Kind.UNPRICED


def explained_lines(invoice: Invoice) -> list[ExplainedLine]:
    return [_explained(line, invoice.currency) for line in invoice.lines.all()]


def audit_trail(invoice: Invoice) -> list[tuple[InvoiceEvent, str, str]]:
    """What happened to the invoice, oldest first, each with its time and its details as text."""
    return [
        (
            event,
            instant(event.at),
            ", ".join(f"{name.replace('_', ' ')}: {_said(value)}" for name, value in event.detail.items()),
        )
        for event in invoice.events.all()
    ]


def _said(value: Any) -> Any:
    """A moment in words; the events hold it as Python writes it, with its offset."""
    return instant(datetime.fromisoformat(value)) if MOMENT.fullmatch(str(value)) else value


def _explained(line: InvoiceLine, currency: str) -> ExplainedLine:
    return ExplainedLine(
        line=line,
        quantity=f"{format_quantity(line.quantity)} {line.unit or 'units'}",
        amount=format_money(line.amount, currency),
        rate=rate_text_of(line),
        steps=rows_of(line),
        notes=notes_of(line),
    )
