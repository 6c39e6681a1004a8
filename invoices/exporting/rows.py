"""All invoices and credit notes of a month as rows for accounting: one for each line, credit notes below zero.

A row has a net amount or a tax, so the two columns sum to a document's total. What is on a document never changes; that
an invoice is void is said as it is when it is read. What credit notes leave of one that becomes void (it was below
zero, or credited beyond its total) is taken back by rows of their own, in the month in which it does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import F, Prefetch

from invoices.addressee import addressee_of
from invoices.late.corrections import key_of
from invoices.lines.explained import TAXES, parts_of, percent_of_tax
from invoices.models import CreditNote, CreditNoteLine, Invoice, InvoiceLine
from meters.aggregation import plain
from meters.periods import Period, local_date, local_midnight, next_month
from meters.spreadsheet import cell
from meters.words import last_day
from pricing.money import amount_text, total_of

INVOICE, CREDIT_NOTE, VOID = "invoice", "credit_note", "void"
# By whether it is of a tax.
CORRECTIONS = {False: InvoiceLine.Kind.CORRECTION, True: InvoiceLine.Kind.TAX_CORRECTION}
HEADINGS = (
    *("document", "number", "credits_invoice", "status", "customer", "customer_name", "tax_id", "currency"),
    *("issued", "due", "period_from", "period_to", "position", "kind", "item", "name", "quantity", "unit"),
    *("unit_price", "net", "tax_rate", "tax"),
)


@dataclass(frozen=True, slots=True)
class Document:
    """One of a month. `number` is its own; of what takes a void invoice back, that invoice's, as is `pk`."""

    kind: str
    pk: int
    number: str


def account_zone() -> ZoneInfo:
    return ZoneInfo(settings.ACCOUNT_TIME_ZONE)


def month_span(month: date) -> Period:
    """The month of the account that this day is in."""
    first, zone = month.replace(day=1), account_zone()
    return Period(local_midnight(first, zone), local_midnight(next_month(first), zone))


def documents_of(month: date, *, now: datetime) -> list[Document]:
    """Invoices that became final in a month of the account, credit notes that were issued in it, and invoices that
    became void in it and that credit notes do not take back, up to now: each kind in the order in which that happened.
    """
    span = month_span(month)
    end = min(span.end, now)
    finals = Invoice.objects.filter(finalized_at__gte=span.start, finalized_at__lt=end).exclude(number="")
    notes = CreditNote.objects.filter(issued_at__gte=span.start, issued_at__lt=end)
    # Of what is void `credited` stays as it is.
    void = Invoice.objects.filter(status=Invoice.Status.VOID, voided_at__gte=span.start, voided_at__lt=end)
    void = void.exclude(number="").exclude(credited=F("total"))
    return [
        *(Document(INVOICE, *one) for one in finals.order_by("finalized_at", "pk").values_list("pk", "number")),
        *(Document(CREDIT_NOTE, *one) for one in notes.order_by("issued_at", "pk").values_list("pk", "number")),
        *(Document(VOID, *one) for one in void.order_by("voided_at", "pk").values_list("pk", "number")),
    ]


def rows_of(documents: Sequence[Document]) -> Iterator[tuple[str, ...]]:
    """The rows of these documents, in their order, in as many statements as of one."""
    invoices = invoices_by_id([one.pk for one in documents if one.kind != CREDIT_NOTE])
    notes = notes_by_id([one.pk for one in documents if one.kind == CREDIT_NOTE])
    credited = _credited([one.pk for one in documents if one.kind == VOID])
    for one in documents:
        if one.kind == INVOICE:
            yield from _rows_of_invoice(invoices[one.pk])
        elif one.kind == VOID:
            yield from _rows_of_void(invoices[one.pk], credited[one.pk])
        else:
            yield from _rows_of_note(notes[one.pk])


def invoices_by_id(pks: Sequence[int]) -> dict[int, Invoice]:
    lines = InvoiceLine.objects.select_related("product_item__meter", "invoice").order_by("position")
    found = Invoice.objects.filter(pk__in=pks).select_related("customer__billing_profile", "plan_version__plan")
    return {one.pk: one for one in found.prefetch_related(Prefetch("lines", lines))}


def notes_by_id(pks: Sequence[int]) -> dict[int, CreditNote]:
    about = ("invoice_line__product_item__meter", "credit_note")
    lines = CreditNoteLine.objects.select_related(*about).order_by("position")
    of_invoice = InvoiceLine.objects.select_related("product_item__meter").order_by("position")
    found = CreditNote.objects.filter(pk__in=pks).select_related("invoice__customer", "invoice__plan_version__plan")
    rows = (Prefetch("lines", lines), Prefetch("invoice__lines", of_invoice))
    return {one.pk: one for one in found.prefetch_related(*rows)}


def _rows_of_invoice(invoice: Invoice) -> Iterator[tuple[str, ...]]:
    assert invoice.finalized_at is not None
    lines = list(invoice.lines.all())
    head = _head(INVOICE, invoice.number, "", invoice, invoice.finalized_at, invoice.due_on)
    for line, part in zip(lines, parts_of(lines), strict=True):
        amount = amount_text(line.amount, invoice.currency)
        is_tax = line.kind in TAXES
        yield (
            *head,
            str(line.position),
            line.kind,
            _item(line),
            cell(f"{line.name} ({part})" if part else line.name),
            "" if line.quantity is None else plain(line.quantity),
            cell(line.unit),
            _unit_price(line),
            *_amounts(amount, line, is_tax=is_tax),
        )


def _rows_of_note(note: CreditNote) -> Iterator[tuple[str, ...]]:
    head = _head(CREDIT_NOTE, note.number, note.invoice.number, note.invoice, note.issued_at, None)
    by_key = {key_of(line): line for line in note.invoice.lines.all()}
    for one in note.lines.all():
        amount = amount_text(one.amount.copy_negate(), note.invoice.currency)
        # A correction of usage is of no line, but of what one is about.
        line = one.invoice_line or by_key.get(one.corrects_key)
        kind = one.invoice_line.kind if one.invoice_line else CORRECTIONS[one.is_tax]
        yield (
            *head,
            str(one.position),
            str(kind),
            _item(line),
            cell(one.name),
            *("", "", ""),
            *_amounts(amount, line, is_tax=one.is_tax),
        )


def _credited(void: Sequence[int]) -> dict[int, list[CreditNoteLine]]:
    """What was credited of these invoices, line by line."""
    found: dict[int, list[CreditNoteLine]] = {pk: [] for pk in void}
    lines = CreditNoteLine.objects.filter(credit_note__invoice__in=void).select_related("credit_note")
    for line in lines.order_by("credit_note", "position"):
        found[line.credit_note.invoice_id].append(line)
    return found


def _rows_of_void(invoice: Invoice, credited: Sequence[CreditNoteLine]) -> Iterator[tuple[str, ...]]:
    """The other way round what is left of each line; and what was credited of its usage, which is of no line."""
    assert invoice.voided_at is not None
    lines = list(invoice.lines.all())
    head = _head(VOID, invoice.number, "", invoice, invoice.voided_at, None)
    by_key = {key_of(line): line for line in lines}
    left: list[tuple[InvoiceLine | None, str, str, bool, Decimal]] = [
        (
            line,
            str(line.kind),
            f"{line.name} ({part})" if part else line.name,
            line.kind in TAXES,
            _back(line, credited),
        )
        for line, part in zip(lines, parts_of(lines), strict=True)
    ]
    for one in credited:
        if one.invoice_line_id is None:
            left.append((by_key.get(one.corrects_key), str(CORRECTIONS[one.is_tax]), one.name, one.is_tax, one.amount))
    for position, (about, kind, name, is_tax, amount) in enumerate((one for one in left if one[-1]), start=1):
        yield (
            *head,
            str(position),
            kind,
            _item(about),
            cell(name),
            *("", "", ""),
            *_amounts(amount_text(amount, invoice.currency), about, is_tax=is_tax),
        )


def _back(line: InvoiceLine, credited: Sequence[CreditNoteLine]) -> Decimal:
    """What credit notes took back of a line beyond its amount: below zero, what they left of it."""
    return total_of([line.amount.copy_negate(), *(one.amount for one in credited if one.invoice_line_id == line.pk)])


def _head(kind: str, number: str, of: str, invoice: Invoice, issued: datetime, due_on: date | None) -> tuple[str, ...]:
    """The columns that all lines of a document share. The day that it was issued is that of the account, which its
    month is by; its period is in days of the invoice's own zone."""
    to = addressee_of(invoice)
    status = str(invoice.status) if kind == INVOICE else ""
    return (
        *(kind, cell(number), cell(of), status),
        *(cell(invoice.customer.key), cell(to.name), cell(to.tax_id), invoice.currency),
        *(f"{local_date(issued, account_zone())}", f"{due_on}" if due_on else ""),
        *(f"{local_date(invoice.period_start, invoice.zone)}", f"{last_day(invoice.period, invoice.zone)}"),
    )


def _item(line: InvoiceLine | None) -> str:
    """The key of the meter whose usage is billed."""
    return cell(line.product_item.meter.key) if line is not None and line.product_item is not None else ""


def _unit_price(line: InvoiceLine) -> str:
    """Where all units have one: of usage by the unit, and of a whole fee."""
    if line.rate is not None:
        return str(line.rate["unit_price"]) if line.rate.get("model") == "per_unit" else ""
    if line.kind == InvoiceLine.Kind.FEE and len(line.steps) == 1:
        return str(line.steps[0].get("unit_price") or "")
    return ""


def _amounts(amount: str, line: InvoiceLine | None, *, is_tax: bool) -> tuple[str, str, str]:
    if not is_tax:
        return amount, "", ""
    return "", percent_of_tax(line) if line is not None else "", amount
