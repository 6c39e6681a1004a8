"""The words of a stored line, for every surface that shows one."""

from collections.abc import Sequence

from invoices.drafting import DraftLine
from invoices.models import InvoiceLine
from pricing.explain import Row, describe_rate, rows, sentences
from pricing.money import format_amount, format_money, total_of
from pricing.plan_words import any_of
from pricing.rates import Step, parse_rate

UNPRICED = "No rate prices this usage, so nothing is charged for it."
REST = "all the rest"

# What was used; every other line is of a fee, or computed of lines.
USAGE = (InvoiceLine.Kind.USAGE, InvoiceLine.Kind.TRIAL, InvoiceLine.Kind.UNPRICED)
# What stands below the subtotal.
TAXES = (InvoiceLine.Kind.TAX, InvoiceLine.Kind.TAX_CORRECTION)
CORRECTIONS = (InvoiceLine.Kind.CORRECTION, InvoiceLine.Kind.TAX_CORRECTION)


def steps_of(line: InvoiceLine) -> list[Step]:
    return [Step.from_dict(step) for step in line.steps]


def rows_of(line: InvoiceLine) -> list[Row]:
    """The steps as table rows: label, detail, amount."""
    return rows(steps_of(line), unit=line.unit, currency=line.invoice.currency)


def sentences_of(line: InvoiceLine) -> list[str]:
    """The steps as sentences, and at the end what rounding makes of them."""
    rounding = rounding_of(line)
    return [*exact_sentences_of(line), *([rounding] if rounding else [])]


def exact_sentences_of(line: InvoiceLine) -> list[str]:
    """The steps to the exact amount as sentences."""
    if line.kind == InvoiceLine.Kind.UNPRICED:
        return [UNPRICED]
    return sentences(steps_of(line), unit=line.unit, currency=line.invoice.currency)


def rounding_of(line: InvoiceLine) -> str:
    """What rounding makes of the exact amount; empty where that has no more decimals than the currency."""
    if line.kind == InvoiceLine.Kind.UNPRICED:
        return ""
    currency = line.invoice.currency
    exact = total_of(step.amount for step in steps_of(line))
    if exact == line.amount:
        return ""
    return f"{format_amount(exact, currency)} is rounded to {format_money(line.amount, currency)}."


def notes_of(line: InvoiceLine) -> list[str]:
    """The sentences that say more than the rows of the table do, to stand below it."""
    told = [row.detail for row in rows_of(line)]
    return [sentence for sentence in sentences_of(line) if not any(detail in sentence for detail in told)]


def facts_of(line: InvoiceLine) -> list[str]:
    """How a line that is not of usage comes about, in few words: "5 seats x $12.00 for 10 of 30 days".

    Nothing where the amount says it all, as of a whole fee of one.
    """
    told = rows_of(line)
    if len(told) != 1:
        return sentences_of(line)
    amount = format_money(line.amount, line.invoice.currency)
    return [row.detail for row in told if row.detail != amount]


def percent_of_tax(line: InvoiceLine) -> str:
    """The percentage of a line of tax, as it was when the line was computed: "19"."""
    percents = (step.get("percent") for step in line.steps if step.get("kind") == "tax")
    return str(next((percent for percent in percents if percent is not None), ""))


def rate_text_of(line: InvoiceLine) -> list[str]:
    """The rate in words, as it was when the line was computed; nothing where there was none."""
    if line.rate is None:
        return []
    return describe_rate(parse_rate(line.rate), unit=line.unit, currency=line.invoice.currency)


def parts_of(lines: Sequence[InvoiceLine | DraftLine]) -> list[str]:
    """Which part of its product item's usage each line is about: "region: eu or us", "all the rest"; empty for all,
    and for a correction, whose name says it."""
    divided = {line.product_item_id for line in lines if line.where and line.kind in _PRICED_APART}
    return [
        _where_words(line) or (REST if line.product_item_id in divided else "") if line.kind in _PRICED_APART else ""
        for line in lines
    ]


# Usage in the trial is told as one, whatever filters the rates have.
_PRICED_APART = (InvoiceLine.Kind.USAGE, InvoiceLine.Kind.UNPRICED)


def _where_words(line: InvoiceLine | DraftLine) -> str:
    return ", ".join(f"{name}: {any_of(texts)}" for name, texts in sorted(line.where.items()))


def is_usage(line: InvoiceLine) -> bool:
    return line.kind in USAGE


def opens(line: InvoiceLine) -> bool:
    """Whether the line is shown with a table of steps and its price: one of usage, and what corrects one."""
    return is_usage(line) or line.kind == InvoiceLine.Kind.CORRECTION
