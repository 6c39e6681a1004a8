"""Computing live invoices anew, one or many at once, in as many statements for many as for one.

Whoever calls `rewrite` holds the customers of the invoices and the invoices themselves (`invoices.locking`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

from django.db import connection, router

from invoices.adjustments import subjects_of
from invoices.computing import Computed, compute
from invoices.drafting import Draft, with_corrections
from invoices.late.corrections import correction_lines
from invoices.models import Invoice, InvoiceLine
from invoices.recalculating_sql import STORE_TOTALS
from invoices.signals import lines_changed, recalculated

# How many rows one statement stores.
AT_ONCE = 2000

# What a line says; two computations with equal contents are the same bill.
CONTENT = (
    "position",
    "kind",
    "product_item_id",
    "fee_key",
    "promotion_id",
    "tax_rate_id",
    "corrects_id",
    "corrects_key",
    "name",
    "unit",
    "where",
    "quantity",
    "amount",
    "rate",
    "steps",
)
_content = attrgetter(*CONTENT)
_PROMOTION, _AMOUNT = (CONTENT.index(name) for name in ("promotion_id", "amount"))
Content = tuple[Any, ...]
Bill = tuple[Invoice, Draft]


def rewrite(invoices: Sequence[Invoice], now: datetime) -> set[int]:
    """Computes these live invoices anew from usage and terms as of `now`; answers the ids of those whose lines
    changed. Only these are written again.

    Of a customer's invoices one is computed after the other, in the order given: what one takes of a promotion's cap
    the next one does not have.
    """
    changed: set[int] = set()
    bills: list[Bill] = []
    for some in _rounds(invoices):
        computed = _corrected(some, compute(subjects_of(some), now=now))
        changed |= _write_lines(some, [one.draft for one in computed])
        _store(some, computed, now)
        bills += [(invoice, one.draft) for invoice, one in zip(some, computed, strict=True)]
    if bills:
        recalculated.send(sender=None, bills=bills, now=now)
    if changed:
        lines_changed.send(sender=None, invoice_ids=changed, now=now)
    return changed


def _corrected(invoices: Sequence[Invoice], computed: Sequence[Computed]) -> list[Computed]:
    """These bills, with what corrects earlier ones at the end of those that carry it."""
    lines = correction_lines(invoices)
    return [
        replace(one, draft=with_corrections(one.draft, lines[invoice.pk])) if invoice.pk in lines else one
        for invoice, one in zip(invoices, computed, strict=True)
    ]


def _rounds(invoices: Sequence[Invoice]) -> Iterator[list[Invoice]]:
    """The invoices in groups that have no two of one customer."""
    seen: Counter[int] = Counter()
    rounds: dict[int, list[Invoice]] = defaultdict(list)
    for invoice in invoices:
        rounds[seen[invoice.customer_id]].append(invoice)
        seen[invoice.customer_id] += 1
    yield from rounds.values()


def write_draft(invoice: Invoice, draft: Draft) -> None:
    """Gives a new invoice these lines and totals."""
    InvoiceLine.objects.bulk_create(_lines(invoice, draft))
    invoice.subtotal, invoice.total = draft.subtotal, draft.total
    invoice.save(update_fields=["subtotal", "total"])


def _store(invoices: Sequence[Invoice], computed: Sequence[Computed], now: datetime) -> None:
    for invoice, one in zip(invoices, computed, strict=True):
        invoice.subtotal, invoice.total = one.draft.subtotal, one.draft.total
        invoice.usage_version, invoice.usage_at = one.version, one.at
        invoice.is_stale, invoice.follows_clock, invoice.computed_at = False, one.follows_clock, now
    columns: dict[str, Any] = {
        "ids": [invoice.pk for invoice in invoices],
        "subtotals": [one.draft.subtotal for one in computed],
        "totals": [one.draft.total for one in computed],
        "versions": [one.version for one in computed],
        "times": [one.at for one in computed],
        "clocks": [one.follows_clock for one in computed],
    }
    with connection.cursor() as cursor:
        cursor.execute(STORE_TOTALS, columns | {"now": now})


def _write_lines(invoices: Sequence[Invoice], drafts: Sequence[Draft]) -> set[int]:
    """Replaces the lines of those invoices whose lines are others now, and answers their ids."""
    stored: dict[int, list[Content]] = defaultdict(list)
    ids = [invoice.pk for invoice in invoices]
    lines = InvoiceLine.objects.filter(invoice__in=ids).order_by("invoice", "position")
    for invoice_id, *content in lines.values_list("invoice_id", *CONTENT):
        stored[invoice_id].append(tuple(content))
    changed: set[int] = set()
    caps_moved: set[int] = set()
    new: list[InvoiceLine] = []
    for invoice, draft in zip(invoices, drafts, strict=True):
        made = _lines(invoice, draft)
        contents = [_content(line) for line in made]
        if contents == stored[invoice.pk]:
            continue
        changed.add(invoice.pk)
        new += made
        if _taken_off(stored[invoice.pk]) != _taken_off(contents):
            caps_moved.add(invoice.pk)
    replaced = [one for one in changed if stored[one]]
    if replaced:
        # Nothing refers to the lines of an invoice that is live; Django would look for it, line by line.
        doomed = InvoiceLine.objects.filter(invoice__in=replaced)
        doomed._raw_delete(router.db_for_write(InvoiceLine))
    if new:
        InvoiceLine.objects.bulk_create(new, batch_size=AT_ONCE)
    if caps_moved:
        # What a cap leaves to other invoices has changed.
        mark_others_stale([invoice for invoice in invoices if invoice.pk in caps_moved])
    return changed


def _lines(invoice: Invoice, draft: Draft) -> list[InvoiceLine]:
    return [
        InvoiceLine(
            invoice=invoice,
            position=position,
            kind=line.kind,
            product_item_id=line.product_item_id,
            fee_key=line.fee_key,
            promotion_id=line.promotion_id,
            tax_rate_id=line.tax_rate_id,
            corrects_id=line.corrects_id,
            corrects_key=line.corrects_key,
            name=line.name,
            unit=line.unit,
            where={name: list(texts) for name, texts in line.where.items()},
            quantity=line.quantity,
            amount=line.amount,
            rate=line.rate.parameters() if line.rate else None,
            steps=[step.to_dict() for step in line.steps],
        )
        for position, line in enumerate(draft.lines, start=1)
    ]


def _taken_off(contents: Iterable[Content]) -> dict[int, Decimal]:
    return {content[_PROMOTION]: content[_AMOUNT] for content in contents if content[_PROMOTION] is not None}


def mark_others_stale(invoices: Sequence[Invoice]) -> None:
    """Has the other live invoices of these invoices' customers computed anew; of each customer there is one here."""
    others = Invoice.objects.filter(
        customer__in={invoice.customer_id for invoice in invoices}, status__in=Invoice.LIVE
    ).exclude(pk__in=[invoice.pk for invoice in invoices])
    others.update(is_stale=True)
