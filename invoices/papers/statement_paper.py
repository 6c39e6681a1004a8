"""A customer's statement as a paper."""

from collections.abc import Iterator

from invoices.addressee import Addressee
from invoices.papers.paper import Column, Line, Paper, Party, Table
from invoices.papers.parties import buyer_party, footer_lines, look_of, seller_party
from invoices.seller import seller_now
from invoices.statements.running_bills import RunningBill, RunningBills, credits_words
from invoices.statements.statement import Statement, headline_of
from meters.models import Customer
from meters.words import day_words, instant_words, period_words
from pricing.models import BillingProfile
from pricing.money import format_money, format_quantity

COLUMNS = (Column("Document"), Column("Date", is_figure=True), Column("Amount", is_figure=True))
DOCUMENTS = (*COLUMNS, Column("Balance", is_figure=True))
ITEMS = (Column("Item"), Column("Quantity", is_figure=True), Column("Amount so far", is_figure=True))


def statement_paper(statement: Statement, running: RunningBills) -> Paper:
    """The balance with all that moved it, and below it, apart, what is not issued yet."""
    seller = seller_now()
    words = period_words(statement.period, statement.zone)
    facts = [("Period", words), ("Time zone", statement.zone.key), ("Currency", statement.currency)]
    if not statement.is_over:
        facts.append(("As of", instant_words(statement.as_of, statement.zone)))
    tables = [Table(DOCUMENTS, list(_lines(statement)))]
    if running.bills:
        tables.append(_running(running, statement))
    left = credits_words(running, statement.zone)
    return Paper(
        title="Statement",
        made_at=running.as_of,
        seller=seller_party(seller),
        buyer=_buyer(statement.customer),
        facts=facts,
        headline=headline_of(statement),
        tables=tables,
        notes=[left] if left else [],
        footer=footer_lines(seller, is_to_be_paid=statement.closing > 0),
        look=look_of(seller),
    )


def _buyer(customer: Customer) -> Party:
    profile = getattr(customer, "billing_profile", None) or BillingProfile()
    to = Addressee(profile.legal_name or str(customer), profile.address, profile.tax_id, profile.tax_note)
    return buyer_party(to, "For")


def _lines(statement: Statement) -> Iterator[Line]:
    currency = statement.currency
    first = day_words(statement.first_day)
    yield Line(("Opening balance", first, "", format_money(statement.opening, currency)), is_strong=True)
    for one in statement.entries:
        amounts = format_money(one.amount, currency), format_money(one.balance, currency)
        yield Line((f"{one.words} {one.number}", day_words(one.day), *amounts), part=one.detail)
    last = day_words(statement.last_day)
    yield Line(("Closing balance", last, "", format_money(statement.closing, currency)), is_strong=True)


def _running(running: RunningBills, statement: Statement) -> Table:
    as_of = instant_words(running.as_of, statement.zone)
    lines = [line for bill in running.bills for line in _bill(bill)]
    currency = statement.currency
    lines.append(Line(("Total so far", "", format_money(running.total, currency)), is_strong=True))
    if running.credits:
        paid = format_money(running.credits.copy_negate(), currency)
        lines.append(Line(("Would be paid by credits", "", paid)))
        lines.append(Line(("Left to pay", "", format_money(running.left, currency)), is_strong=True))
    return Table(ITEMS, lines, title=f"Not issued yet, and not in the balance. Estimate as of {as_of}")


def _bill(bill: RunningBill) -> Iterator[Line]:
    currency = bill.invoice.currency
    name = f"{bill.plan}, {period_words(bill.invoice.period, bill.invoice.zone)}"
    yield Line((name, "", format_money(bill.invoice.total, currency)), is_strong=True)
    for one in bill.lines:
        quantity = f"{format_quantity(one.quantity)} {one.line.unit}" if one.quantity is not None else ""
        yield Line((one.line.name, quantity.strip(), format_money(one.line.amount, currency)), part=one.part)
