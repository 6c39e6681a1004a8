"""What corrects final invoices: how far other documents have made up for it, and the lines of those that will.

A `Correction` says what a line of a final invoice would be more, or less, by what is known now. What other final
documents have of it already is carried; the rest is pending, and is on the customer's earliest live invoice in the same
currency, its carrier. One document that is void carries nothing any more, and a void invoice needs no correction: what
others carry for it is pending the other way round.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from invoices.drafting import DraftLine, LineKind
from invoices.late.corrections_sql import PENDING
from invoices.models import BillingPolicy, Correction, CreditNoteLine, Invoice, InvoiceEvent, InvoiceLine
from invoices.policy import billing_policy
from meters.statements import array, execute_prepared
from meters.words import period_words
from pricing.money import amount_text, total_of
from pricing.rates import Step, StepKind, parse_rate
from pricing.steps import EXACT

ZERO = Decimal(0)
LONGEST_KEY = 64
LONGEST_NAME = 200


def key_of(line: InvoiceLine | DraftLine) -> str:
    """Names a line within its invoice, whatever it comes to: "usage:12", "fee:base", "tax:3"."""
    about = line.product_item_id or line.promotion_id or line.tax_rate_id or line.fee_key
    key = f"{line.kind}:{about}" if about else str(line.kind)
    if line.where:
        filtered = json.dumps({name: sorted(texts) for name, texts in line.where.items()}, sort_keys=True)
        key = f"{key}:{_digest(filtered)}"
    return key if len(key) <= LONGEST_KEY else f"{line.kind}:{_digest(key)}"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]


def promotion_key(applied: int) -> str:
    return f"{LineKind.PROMOTION}:{applied}"


@dataclass(frozen=True, slots=True)
class Pending:
    """What is not made up for yet of a line of an invoice: `correction` less what is carried. `noted`: some of that is
    on credit notes, which tell no quantities."""

    invoice: Invoice
    correction: Correction
    wanted: Decimal
    carried: Decimal
    carried_quantity: Decimal
    noted: bool

    @property
    def amount(self) -> Decimal:
        return EXACT.subtract(self.wanted, self.carried)

    @property
    def is_tax(self) -> bool:
        return self.correction.kind == InvoiceLine.Kind.TAX

    @property
    def name(self) -> str:
        """ "Calls, 1-30 Nov 2026 (2026-0001)"."""
        invoice = self.invoice
        of = f", {period_words(invoice.period, invoice.zone)} ({invoice.number})"
        name = self.correction.name
        room = LONGEST_NAME - len(of)
        return (name if len(name) <= room else f"{name[: room - 1]}…") + of


def pending_of(customers: Collection[int]) -> dict[int, list[Pending]]:
    """By invoice, what is pending of its lines, in their order with taxes last. One whose corrections come to less than
    the policy minds is left out."""
    rows = execute_prepared(PENDING, {"customers": array(map(str, sorted(customers)))})
    if not rows:
        return {}
    ids = {row[0] for row in rows}
    invoices = Invoice.objects.in_bulk(ids)
    corrections = {(one.invoice_id, one.key): one for one in Correction.objects.filter(invoice__in=ids)}
    found: dict[int, list[Pending]] = defaultdict(list)
    for pk, key, wanted, carried, quantity, noted in rows:
        found[pk].append(Pending(invoices[pk], corrections[pk, key], wanted, carried, quantity, noted))
    ignored = billing_policy().late_ignored_below
    return {
        pk: sorted(pending, key=lambda one: (one.is_tax, one.correction.pk))
        for pk, pending in found.items()
        if abs(total_of(one.amount for one in pending)) >= ignored
    }


def correction_lines(invoices: Sequence[Invoice]) -> dict[int, list[DraftLine]]:
    """By invoice, the lines that correct earlier ones, of those of these live invoices that have some.

    Call it under the lock of their customers. Where nothing is pending it is one statement.
    """
    pending = pending_of({invoice.customer_id for invoice in invoices})
    if not pending:
        return {}
    carriers = _carriers({invoice.customer_id for invoice in invoices})
    wanted = {invoice.pk for invoice in invoices}
    at_once = _is_at_once()
    lines: dict[int, list[DraftLine]] = defaultdict(list)
    for found in sorted(pending.values(), key=lambda one: _place(one[0].invoice)):
        carrier = None if _is_for_now(found, at_once) else _carrier(found, carriers)
        if carrier in wanted:
            lines[carrier] += lines_of(found)
    return {pk: sorted(found, key=lambda line: line.kind == LineKind.TAX_CORRECTION) for pk, found in lines.items()}


def waiting_for_no_invoice(customer_id: int) -> list[list[Pending]]:
    """What is to be made up for at once, by invoice: what no live invoice will carry, or all where that is the policy.

    What was carried for an invoice that is void now is not for now by any policy, as the next one is to take it back;
    without a next one it is. What comes to nothing in sum waits.
    """
    pending = pending_of([customer_id])
    if not pending:
        return []
    carriers = _carriers([customer_id])
    at_once = _is_at_once()
    return [
        found
        for found in sorted(pending.values(), key=lambda one: _place(one[0].invoice))
        if (_is_for_now(found, at_once) or _carrier(found, carriers) is None) and total_of(one.amount for one in found)
    ]


def _is_at_once() -> bool:
    return billing_policy().late_usage == BillingPolicy.LateUsage.AT_ONCE


def _is_for_now(found: Sequence[Pending], at_once: bool) -> bool:
    return at_once and found[0].invoice.status == Invoice.Status.FINAL


def _carriers(customers: Collection[int]) -> dict[tuple[int, str], int]:
    """The earliest live invoice of each of these customers and each currency. Uses invoice_live_customer."""
    live = Invoice.objects.filter(customer__in=customers, status__in=Invoice.LIVE, is_correction=False)
    latest_first = live.order_by("-period_start", "-id").values_list("customer", "currency", "pk")
    return {(customer, currency): pk for customer, currency, pk in latest_first}


def _carrier(found: Sequence[Pending], carriers: Mapping[tuple[int, str], int]) -> int | None:
    invoice = found[0].invoice
    return carriers.get((invoice.customer_id, invoice.currency))


def _place(invoice: Invoice) -> tuple[datetime, int]:
    return invoice.period_start, invoice.pk


def lines_of(pending: Iterable[Pending]) -> list[DraftLine]:
    return [_line(one) for one in pending]


def _line(pending: Pending) -> DraftLine:
    one = pending.correction
    return DraftLine(
        kind=LineKind.TAX_CORRECTION if pending.is_tax else LineKind.CORRECTION,
        name=pending.name,
        unit=one.unit,
        quantity=_quantity(pending),
        amount=pending.amount,
        rate=parse_rate(one.rate) if one.rate else None,
        where=one.where,
        steps=tuple(_steps(pending)),
        product_item_id=one.product_item_id,
        tax_rate_id=one.tax_rate_id,
        corrects_id=one.invoice_id,
        corrects_key=one.key,
    )


def _quantity(pending: Pending) -> Decimal | None:
    """How many units more, or less, this line is about; None where it is not about units, or that is not known."""
    one = pending.correction
    if pending.noted or (one.quantity_before is None and one.quantity_after is None):
        return None
    carried = pending.carried_quantity.copy_negate()
    if pending.invoice.status == Invoice.Status.VOID:
        return carried
    return total_of([one.quantity_after or ZERO, (one.quantity_before or ZERO).copy_negate(), carried])


def _steps(pending: Pending) -> Iterator[Step]:
    """The walk to what the line comes to now, then what was billed of it and what other documents have."""
    one = pending.correction
    if pending.invoice.status == Invoice.Status.FINAL:
        walk = [Step.from_dict(step) for step in one.steps]
        yield from walk
        rounding = EXACT.subtract(one.amount_after, total_of(step.amount for step in walk))
        if rounding:
            yield Step(StepKind.ROUNDED, rounding)
        before = (one.quantity_before or ZERO).copy_negate()
        yield Step(StepKind.BILLED, one.amount_before.copy_negate(), quantity=before, base=one.amount_after)
    if pending.carried:
        yield Step(StepKind.CORRECTED, pending.carried.copy_negate(), quantity=pending.carried_quantity.copy_negate())


def carried_keys(invoice: Invoice) -> set[str]:
    """The lines of an invoice that others with numbers correct, or did before they were void."""
    lines = invoice.correcting_lines.exclude(invoice__number="").values_list("corrects_key", flat=True)
    notes = CreditNoteLine.objects.filter(credit_note__invoice=invoice, invoice_line=None).exclude(corrects_key="")
    return {*lines, *notes.values_list("corrects_key", flat=True)}


def tell_corrected(invoice: Invoice) -> None:
    """Notes at each invoice that a final one corrects by which, and by how much."""
    amounts: dict[int, list[Decimal]] = defaultdict(list)
    for corrected, amount in invoice.lines.filter(corrects__isnull=False).values_list("corrects", "amount"):
        amounts[corrected].append(amount)
    InvoiceEvent.objects.bulk_create(
        InvoiceEvent(
            invoice_id=pk,
            kind="corrected",
            detail={"by": invoice.number, "total": amount_text(total_of(found), invoice.currency)},
        )
        for pk, found in amounts.items()
    )
