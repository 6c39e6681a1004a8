"""Final invoices rated again by the usage that is known now: what is not as it was billed, line by line.

Two steps. `take_up` notes at the invoices that usage of their periods has changed; it holds up events for a moment and
is a transaction of its own. `rate_again` computes those that are noted, under the customer's lock. What changes in
between is noted anew, so nothing is missed, and what was in time is found to be right.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q

from invoices.computing import compute
from invoices.drafting import Draft, DraftLine
from invoices.late.corrections import LONGEST_NAME, carried_keys, key_of
from invoices.late.final_terms import counted_by, final_subject
from invoices.late.rerating_sql import NOTE_AGAIN
from invoices.lines.explained import CORRECTIONS, parts_of
from invoices.locking import PARTS
from invoices.models import Correction, Invoice, InvoiceEvent, InvoiceLine
from meters.models import Customer, UsageVersion
from meters.retention import EventsRetired
from meters.settling import take_oldest
from meters.statements import array, execute
from pricing.money import total_of

# Stands for the version of a final invoice that is to be rated again.
AGAIN = -1


@transaction.atomic
def take_up(customers: Collection[int]) -> None:
    """Notes at the final invoices of these customers whether usage up to the end of their periods has changed."""
    locked = Customer.objects.filter(pk__in=customers).order_by("pk").select_for_update(no_key=True)
    list(locked.values_list("pk", flat=True))
    oldest = take_oldest(customers)
    if oldest:
        columns = {
            "customers": array(str(customer) for customer in oldest),
            "oldest": array(at.isoformat() for at in oldest.values()),
        }
        execute(NOTE_AGAIN, columns)


def rate_again(customer_id: int, now: datetime) -> bool:
    """Rates those of a customer's invoices again that are noted for it; answers whether there were any: then there
    may be other corrections, or others are to carry them. Call it under the customer's lock.

    Invoices go in the order in which they became final: what one takes of a promotion's cap the later ones have not.
    """
    noted = set(_of(customer_id).filter(rerated_version__lt=0).values_list("pk", flat=True))
    if not noted:
        return False
    in_order = list(_of(customer_id).order_by("finalized_at", "period_end", "pk").select_related(*PARTS))
    while noted:
        invoice = next(one for one in in_order if one.pk in noted)
        noted.remove(invoice.pk)
        if invoice.status == Invoice.Status.VOID:
            # It needs no correction; what others carry for it is to be taken back.
            version = invoice.usage_version
        else:
            try:
                [computed] = compute([final_subject(invoice)], now=now)
            except EventsRetired as error:
                # It stays with the corrections that it has: of those events nothing can have changed.
                version = _version_of(customer_id)
                detail = {"retired_before": f"{error.before:%Y-%m-%d}"}
                InvoiceEvent.objects.create(invoice=invoice, kind="not rated again", detail=detail)
                Invoice.objects.filter(pk=invoice.pk).update(rerated_version=version)
                continue
            version = computed.version
            if _store(invoice, computed.draft):
                noted |= {one.pk for one in in_order if invoice.pk in counted_by(one) and _is_rated(one)}
        Invoice.objects.filter(pk=invoice.pk).update(rerated_version=version)
    return True


def _of(customer_id: int) -> Any:
    return Invoice.objects.filter(customer=customer_id, is_correction=False).exclude(number="")


def _version_of(customer_id: int) -> int:
    return UsageVersion.objects.filter(customer=customer_id).values_list("version", flat=True).first() or 0


def _is_rated(invoice: Invoice) -> bool:
    return invoice.status == Invoice.Status.FINAL


def follow_void(invoice: Invoice) -> None:
    """Has what an invoice that is void now carried, and what others carry for it, carried anew."""
    about = set(invoice.lines.filter(corrects__isnull=False).values_list("corrects", flat=True))
    if carried_keys(invoice):
        about.add(invoice.pk)
    Invoice.objects.filter(pk__in=about).update(rerated_version=AGAIN)


@transaction.atomic
def carry_anew() -> None:
    """Has all that final invoices are corrected by looked at again, as another policy may say who carries it."""
    corrected = Q(corrections__isnull=False, status=Invoice.Status.FINAL)
    corrected |= Q(correcting_lines__isnull=False, status=Invoice.Status.VOID)
    customers = set(Invoice.objects.filter(corrected).order_by().values_list("customer", flat=True))
    list(Customer.objects.filter(pk__in=customers).order_by("pk").select_for_update(no_key=True).values_list("pk"))
    concerned = set(Invoice.objects.filter(corrected, customer__in=customers).order_by().values_list("pk", flat=True))
    Invoice.objects.filter(pk__in=concerned).update(rerated_version=AGAIN)


# What a correction says; two with equal contents are the same.
_CONTENT = (
    "key",
    "kind",
    "name",
    "unit",
    "where",
    "product_item_id",
    "tax_rate_id",
    "quantity_before",
    "quantity_after",
    "amount_before",
    "amount_after",
    "steps",
    "rate",
)


@dataclass(slots=True)
class _Side:
    """The lines of one key, as they were billed or as they are now: nearly always one. `part` says of which usage."""

    lines: list[InvoiceLine | DraftLine] = field(default_factory=list)
    part: str = ""

    @property
    def amount(self) -> Decimal:
        return total_of(line.amount for line in self.lines)

    @property
    def quantity(self) -> Decimal | None:
        quantities = [line.quantity for line in self.lines if line.quantity is not None]
        return total_of(quantities) if quantities else None


def _store(invoice: Invoice, bill: Draft) -> bool:
    """Replaces the corrections of an invoice by what this bill says; answers whether they changed."""
    before = _sides(list(invoice.lines.exclude(kind__in=CORRECTIONS).order_by("position")))
    after = _sides(bill.lines)
    carried = carried_keys(invoice)
    keys = [*after, *(key for key in before if key not in after)]
    made = [_correction(invoice, key, before[key], after[key]) for key in keys]
    # What others carry keeps its row when nothing is to be corrected any more: it says what is to be taken back.
    kept = [one for one in made if one.amount or _counts_otherwise(one) or one.key in carried]
    stored = list(invoice.corrections.order_by("pk"))
    if [_content(one) for one in stored] == [_content(one) for one in kept]:
        return False
    invoice.corrections.all().delete()
    Correction.objects.bulk_create(kept)
    return True


def _sides(lines: Sequence[InvoiceLine | DraftLine]) -> dict[str, _Side]:
    found: dict[str, _Side] = defaultdict(_Side)
    for line, part in zip(lines, parts_of(lines), strict=True):
        side = found[key_of(line)]
        side.lines.append(line)
        side.part = part
    return found


def _counts_otherwise(one: Correction) -> bool:
    return (one.quantity_before or 0) != (one.quantity_after or 0)


def _correction(invoice: Invoice, key: str, before: _Side, after: _Side) -> Correction:
    side = after if after.lines else before
    line = side.lines[0]
    steps: list[object] = [step.to_dict() for one in after.lines if isinstance(one, DraftLine) for step in one.steps]
    return Correction(
        invoice=invoice,
        key=key,
        kind=line.kind,
        name=f"{line.name} ({side.part})"[:LONGEST_NAME] if side.part else line.name,
        unit=line.unit,
        where={name: list(texts) for name, texts in line.where.items()},
        product_item_id=line.product_item_id,
        tax_rate_id=line.tax_rate_id,
        quantity_before=before.quantity,
        quantity_after=after.quantity,
        amount_before=before.amount,
        amount_after=after.amount,
        steps=steps,
        rate=_rate(line),
    )


def _rate(line: InvoiceLine | DraftLine) -> object:
    if isinstance(line, InvoiceLine):
        return line.rate
    return line.rate.parameters() if line.rate else None


def _content(one: Correction) -> Sequence[object]:
    return [getattr(one, name) for name in _CONTENT]
