"""A statement as rows of a CSV file."""

from collections.abc import Iterator

from invoices.statements.statement import Statement
from meters.spreadsheet import cell
from pricing.money import amount_text

HEADINGS = ("date", "document", "number", "detail", "amount", "balance", "currency")


def csv_rows(statement: Statement) -> Iterator[tuple[str, ...]]:
    """The headings, the opening balance, each document, and the closing balance: what is owed is above zero."""
    currency = statement.currency
    yield HEADINGS
    first = statement.first_day
    yield f"{first}", "opening balance", "", "", "", amount_text(statement.opening, currency), currency
    for one in statement.entries:
        amounts = amount_text(one.amount, currency), amount_text(one.balance, currency)
        yield f"{one.day}", cell(one.words), cell(one.number), cell(one.detail), *amounts, currency
    closing = amount_text(statement.closing, currency)
    yield f"{statement.last_day}", "closing balance", "", "", "", closing, currency


def file_name(period: str, currency: str, ending: str) -> str:
    """ "statement-2026-11-USD.csv"."""
    return f"statement-{period}-{currency}.{ending}"
