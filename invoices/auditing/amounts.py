"""Stored lines against the raw events, counted and rated again by the function that makes invoices.

A live invoice is compared where it is exact up to the usage of now, a final one where it has been rated again by that:
its lines and its corrections are then what it would have come to with everything on time. Where newer usage waits to be
worked in, nothing can be said, and that is no finding.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby

from django.db import InterfaceError, OperationalError

from invoices.adjustments import subjects_of
from invoices.auditing.audit_sql import ARCHIVED
from invoices.auditing.looking import BEGINNING, Finding, Look, Seen, money_words, name_of, quantity_words
from invoices.computing import compute
from invoices.drafting import Draft, DraftLine, LineKind, with_corrections
from invoices.late.corrections import correction_lines, key_of
from invoices.late.final_terms import final_subject
from invoices.lines.explained import CORRECTIONS
from invoices.locking import PARTS
from invoices.models import AuditFinding, Correction, Invoice, InvoiceLine
from meters.models import UsageVersion
from meters.statements import array, execute
from pricing.money import total_of

logger = logging.getLogger(__name__)

CHECK = AuditFinding.Check.AMOUNTS
# Invoices that are computed together, with all that they need in memory.
AT_ONCE = 200
ZERO = Decimal(0)
# What is computed of promotions and taxes, which an invoice that is older than its terms are kept has none of.
OF_TERMS = (LineKind.PROMOTION, LineKind.TRUE_UP, LineKind.OVERAGE, LineKind.TAX)


def look(at: Look) -> Seen:
    seen = Seen()
    seen.checked[CHECK] = 0
    recounted = Invoice.objects.filter(customer__in=at.ids, is_correction=False, period_end__gt=at.since)
    in_order = recounted.exclude(status=Invoice.Status.VOID).order_by("period_start", "plan_version", "id")
    versions = {one.customer_id: one for one in UsageVersion.objects.filter(customer__in=at.ids)}
    archived: dict[int, datetime] = dict(execute(ARCHIVED, {"customers": array(map(str, sorted(at.ids)))}))
    ids = list(in_order.values_list("pk", flat=True))
    for first in range(0, len(ids), AT_ONCE):
        ready = []
        for invoice in in_order.filter(pk__in=ids[first : first + AT_ONCE]).select_related(*PARTS):
            if _waits(invoice, versions.get(invoice.customer_id)):
                seen.waiting[invoice.pk] = invoice.customer_id
            elif invoice.period_start <= archived.get(invoice.customer_id, BEGINNING):
                seen.left_out["archived"] += 1
            else:
                ready.append(invoice)
        seen.checked[CHECK] += len(ready)
        for _, some in groupby(sorted(ready, key=lambda one: _until(one, at.now)), lambda one: _until(one, at.now)):
            seen.findings += _compared(list(some), at.now)
    return seen


def _waits(invoice: Invoice, version: UsageVersion | None) -> bool:
    """Whether newer usage, or another change, waits to be worked in."""
    if invoice.is_live:
        return invoice.is_stale or (version is not None and version.version > invoice.usage_version)
    oldest = version.oldest_at if version is not None else None
    return invoice.rerated_version < 0 or (oldest is not None and oldest < invoice.period_end)


def _until(invoice: Invoice, now: datetime) -> datetime:
    """Up to when values that hold are counted: as they were when the bill was computed."""
    follows = invoice.is_live and invoice.follows_clock and invoice.computed_at is not None
    return invoice.computed_at if follows and invoice.computed_at else now


def _compared(invoices: Sequence[Invoice], now: datetime) -> list[Finding]:
    """What differs of these, which all count up to the same moment. One that cannot be computed is a finding, and
    holds up none of the others."""
    try:
        drafts = _drafts(invoices, _until(invoices[0], now))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if len(invoices) == 1:
            logger.exception("the audit cannot compute invoice %s", invoices[0].pk)
            text = f"{name_of(invoices[0])} cannot be computed again"[:500]
            found = f"{type(error).__name__}: {error}"[:120]
            return [Finding(CHECK, text, invoices[0].customer_id, invoices[0].pk, "", found)]
        middle = len(invoices) // 2
        return [*_compared(invoices[:middle], now), *_compared(invoices[middle:], now)]
    stored = _stored(invoices)
    return [
        finding
        for invoice, draft in zip(invoices, drafts, strict=True)
        for finding in _differences(invoice, _sums(draft.lines), stored[invoice.pk])
    ]


def _drafts(invoices: Sequence[Invoice], until: datetime) -> list[Draft]:
    live = [invoice for invoice in invoices if invoice.is_live]
    subjects = dict(zip([invoice.pk for invoice in live], subjects_of(live), strict=True)) if live else {}
    subjects |= {invoice.pk: final_subject(invoice) for invoice in invoices if not invoice.is_live}
    computed = compute([subjects[invoice.pk] for invoice in invoices], now=until, from_events=True)
    carried = correction_lines(live) if live else {}
    return [
        with_corrections(one.draft, carried.get(invoice.pk, ()))
        for invoice, one in zip(invoices, computed, strict=True)
    ]


@dataclass(slots=True)
class Sum:
    """What the lines of one key come to."""

    name: str
    kind: str
    unit: str
    amount: Decimal = ZERO
    quantity: Decimal | None = None

    def add(self, amount: Decimal, quantity: Decimal | None) -> None:
        self.amount = total_of([self.amount, amount])
        if quantity is not None:
            self.quantity = total_of([self.quantity or ZERO, quantity])


Sums = dict[str, Sum]


def _sums(lines: Iterable[InvoiceLine | DraftLine]) -> Sums:
    found: Sums = {}
    for line in lines:
        key = key_of(line) if line.corrects_id is None else f"{line.kind}:{line.corrects_id}:{line.corrects_key}"
        found.setdefault(key, Sum(line.name, line.kind, line.unit)).add(line.amount, line.quantity)
    return found


def _stored(invoices: Sequence[Invoice]) -> dict[int, Sums]:
    """The lines of live ones; of final ones the lines for their own period, with their corrections."""
    finals = {invoice.pk for invoice in invoices if not invoice.is_live}
    lines: dict[int, list[InvoiceLine]] = defaultdict(list)
    for line in InvoiceLine.objects.filter(invoice__in=[invoice.pk for invoice in invoices]).order_by("position"):
        if line.invoice_id not in finals or line.kind not in CORRECTIONS:
            lines[line.invoice_id].append(line)
    found = {invoice.pk: _sums(lines[invoice.pk]) for invoice in invoices}
    for one in Correction.objects.filter(invoice__in=finals):
        quantities = [one.quantity_after or ZERO, (one.quantity_before or ZERO).copy_negate()]
        is_of_units = one.quantity_after is not None or one.quantity_before is not None
        side = found[one.invoice_id].setdefault(one.key, Sum(one.name, one.kind, one.unit))
        side.add(one.amount, total_of(quantities) if is_of_units else None)
    return found


def _differences(invoice: Invoice, counted: Sums, stored: Sums) -> Iterable[Finding]:
    for key in [*counted, *(key for key in stored if key not in counted)]:
        should, is_ = counted.get(key), stored.get(key)
        one = should or is_
        assert one is not None
        if not invoice.is_live and invoice.frozen_terms is None and one.kind in OF_TERMS:
            continue
        if _figures(invoice, should) != _figures(invoice, is_):
            yield Finding(
                CHECK,
                f"{one.name} on {name_of(invoice)}"[:500],
                invoice.customer_id,
                invoice.pk,
                _words(should, invoice.currency),
                _words(is_, invoice.currency),
            )


def _figures(invoice: Invoice, one: Sum | None) -> tuple[Decimal, Decimal]:
    if one is None:
        return ZERO, ZERO
    # Which items have no price on a final invoice is as it was then: items that are new since are on none.
    counts = invoice.is_live or one.kind != LineKind.UNPRICED
    return one.amount, (one.quantity or ZERO) if counts else ZERO


def _words(one: Sum | None, currency: str) -> str:
    if one is None:
        return "no such line"
    quantity = quantity_words(one.quantity, one.unit)
    amount = money_words(one.amount, currency)
    return (f"{amount} for {quantity}" if quantity else amount)[:120]
