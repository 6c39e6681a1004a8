"""An invoice as a CSV file (RFC 4180): a row for each line, and below it one for each of its steps and days.

Columns are named as in the API. `amount` is of the rows of lines alone, so it sums to the total.
"""

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO

from invoices.lines.explained import sentences_of
from invoices.lines.opened import OpenedLine, open_lines
from invoices.models import Invoice
from meters.aggregation import plain
from meters.spreadsheet import cell
from pricing.money import amount_text

OF_INVOICE = ("number", "status", "customer", "plan", "period_start", "period_end", "time_zone", "currency")
OF_LINE = (
    *("position", "row", "kind", "meter", "where", "fee", "promotion", "tax_rate", "corrects", "name", "unit"),
    *("quantity", "amount", "price", "rate_text", "span_from", "span_to", "explanation", "days_notes"),
)
OF_STEP = ("step_label", "step_detail", "step_amount")
OF_DAY = ("day", "day_quantity")
HEADINGS = (*OF_INVOICE, *OF_LINE, *OF_STEP, *OF_DAY)
Row = dict[str, str]


def csv_of(invoice: Invoice, *, now: datetime) -> str:
    """The whole file. Usage by day is that of now."""
    file = StringIO(newline="")
    writer = csv.DictWriter(file, HEADINGS, restval="")
    writer.writeheader()
    writer.writerows(rows_of(invoice, now=now))
    return file.getvalue()


def rows_of(invoice: Invoice, *, now: datetime) -> Iterator[Row]:
    head = {
        "number": cell(invoice.number),
        "status": str(invoice.status),
        "customer": cell(invoice.customer.key),
        "plan": cell(invoice.plan_version.plan.key),
        "period_start": _instant(invoice.period_start),
        "period_end": _instant(invoice.period_end),
        "time_zone": invoice.time_zone,
        "currency": invoice.currency,
    }
    for one in open_lines(invoice, now=now):
        position = {"position": str(one.line.position)}
        yield head | position | _line(one)
        for step in one.rows:
            said = {"step_label": cell(step.label), "step_detail": cell(step.detail), "step_amount": plain(step.amount)}
            yield head | position | {"row": "step"} | said
        for day in one.days:
            yield head | position | {"row": "day", "day": day.day.isoformat(), "day_quantity": plain(day.quantity)}


def _line(one: OpenedLine) -> Row:
    line = one.line
    return {
        "row": "line",
        "kind": str(line.kind),
        "meter": cell(line.product_item.meter.key) if line.product_item else "",
        "where": cell(json.dumps(line.where, sort_keys=True, ensure_ascii=False)) if line.where else "",
        "fee": cell(line.fee_key),
        "promotion": cell(line.promotion.promotion.key) if line.promotion else "",
        "tax_rate": cell(line.tax_rate.key) if line.tax_rate else "",
        "corrects": cell(line.corrects.number) if line.corrects else "",
        "name": cell(line.name),
        "unit": cell(line.unit),
        "quantity": "" if line.quantity is None else plain(line.quantity),
        "amount": amount_text(line.amount, line.invoice.currency),
        "price": cell(one.price),
        "rate_text": cell("; ".join(one.rate_text)),
        "span_from": _instant(one.span.start),
        "span_to": _instant(one.span.end),
        "explanation": cell(" ".join(sentences_of(line))),
        "days_notes": cell(" ".join(one.days_notes)),
    }


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
