"""The lines of an invoice with the explanation of each: the rate as it was, and the steps from quantity to amount."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from invoices.admin.corrections_panel import MadeUp, Row, correction_rows, made_up_for
from invoices.lines.explained import CORRECTIONS, TAXES, facts_of, is_usage, notes_of, opens
from invoices.lines.opened import OpenedLine, open_lines
from invoices.models import Invoice, InvoiceEvent, InvoiceLine
from meters.admin.base import instant
from pricing.explain import Row as StepRow
from pricing.money import format_money, format_quantity

MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*[+-]\d\d:\d\d", re.ASCII)

# Lines with names that staff chose.
NAMED_FREELY = (InvoiceLine.Kind.TRIAL, InvoiceLine.Kind.FEE, InvoiceLine.Kind.PROMOTION, *CORRECTIONS)


@dataclass(frozen=True, slots=True)
class ExplainedLine:
    """Lines of usage, and those that correct some, have a table of steps and a rate, and `part` says of which usage;
    the others have `facts`."""

    line: InvoiceLine
    part: str
    quantity: str
    amount: str
    rate: Sequence[str] = ()
    steps: Sequence[StepRow] = ()
    notes: Sequence[str] = ()
    facts: Sequence[str] = ()
    opened: OpenedLine | None = None

    @property
    def opens(self) -> bool:
        return opens(self.line)

    @property
    def is_unpriced(self) -> bool:
        return self.line.kind == InvoiceLine.Kind.UNPRICED

    @property
    def chip(self) -> str:
        """What kind of line it is, where its name alone does not say so."""
        return str(self.line.get_kind_display()) if self.line.kind in NAMED_FREELY else ""


@dataclass(frozen=True, slots=True)
class Page:
    """The lines that sum up to the subtotal, and the taxes; and what has changed since, of a final one."""

    charges: list[ExplainedLine]
    taxes: list[ExplainedLine]
    subtotal: str
    total: str
    corrections: list[Row]
    made_up: list[MadeUp]


def page_of(invoice: Invoice) -> Page:
    explained = [_explained(one, invoice.currency) for one in open_lines(invoice, with_days=False)]
    corrections = correction_rows(invoice)
    return Page(
        charges=[one for one in explained if one.line.kind not in TAXES],
        taxes=[one for one in explained if one.line.kind in TAXES],
        subtotal=format_money(invoice.subtotal, invoice.currency),
        total=format_money(invoice.total, invoice.currency),
        corrections=corrections,
        made_up=list(made_up_for(invoice)) if corrections else [],
    )


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


def _explained(opened: OpenedLine, currency: str) -> ExplainedLine:
    line = opened.line
    amount, quantity = format_money(line.amount, currency), _quantity(line)
    if not opens(line):
        return ExplainedLine(line, opened.part, quantity, amount, facts=facts_of(line), opened=opened)
    return ExplainedLine(
        line=line,
        part=opened.part,
        quantity=quantity,
        amount=amount,
        rate=opened.rate_text,
        steps=opened.rows,
        notes=notes_of(line),
        opened=opened,
    )


def _quantity(line: InvoiceLine) -> str:
    """ "12,300 calls", "5 seats"; nothing where nothing is counted, as of a discount or a fee without a unit."""
    if line.quantity is None or not (line.unit or is_usage(line)):
        return ""
    return f"{format_quantity(line.quantity)} {line.unit or 'units'}"
