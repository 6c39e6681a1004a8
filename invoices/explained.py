"""The words of a stored line, for every surface that shows one."""

from invoices.models import InvoiceLine
from pricing.explain import Row, describe_rate, rows, sentences
from pricing.money import format_amount, format_money, total_of
from pricing.rates import Step, parse_rate

UNPRICED = "No rate prices this usage, so nothing is charged for it."


def steps_of(line: InvoiceLine) -> list[Step]:
    return [Step.from_dict(step) for step in line.steps]


def rows_of(line: InvoiceLine) -> list[Row]:
    """The steps as table rows: label, detail, amount."""
    return rows(steps_of(line), unit=line.unit, currency=line.invoice.currency)


def sentences_of(line: InvoiceLine) -> list[str]:
    """The steps as sentences."""
    if line.kind == InvoiceLine.Kind.UNPRICED:
        return [UNPRICED]
    currency = line.invoice.currency
    steps = steps_of(line)
    said = sentences(steps, unit=line.unit, currency=currency)
    exact = total_of(step.amount for step in steps)
    if exact != line.amount:
        said.append(f"{format_amount(exact, currency)} is rounded to {format_money(line.amount, currency)}.")
    return said


def notes_of(line: InvoiceLine) -> list[str]:
    """The sentences that say more than the rows of the table do, to stand below it."""
    told = [row.detail for row in rows_of(line)]
    return [sentence for sentence in sentences_of(line) if not any(detail in sentence for detail in told)]


def rate_text_of(line: InvoiceLine) -> list[str]:
    """The rate in words, as it was when the line was computed; nothing where there was none."""
    if line.rate is None:
        return []
    return describe_rate(parse_rate(line.rate), unit=line.unit, currency=line.invoice.currency)
