"""The life of an invoice: opened with its assignment, kept up to date, made final. Locks and transactions live here.

Lock order: the customer (opening, marking), the assignment (opening), the customer's live invoices by id, the number
series. Whoever takes one live invoice of a customer takes all of them: a promotion's cap and usage without a price are
shared between them.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from invoices.adjustments import subject_of
from invoices.computing import compute
from invoices.drafting import Draft
from invoices.models import Invoice, InvoiceEvent, InvoiceLine
from invoices.numbering import next_number
from meters.cycles import period_at
from meters.models import Customer
from meters.periods import Period, local_date
from meters.words import day_words
from pricing.models import Assignment, BillingProfile, PlanVersion
from pricing.version_choice import chosen, cycle_of, versions_of


@transaction.atomic
def open_invoices(assignment: Assignment, *, now: datetime | None = None) -> list[Invoice]:
    """Opens the invoices that an assignment lacks, from its first day to the period that `now` is in.

    Each period begins where the one before ended, and goes to the end of the period that this is in by the cycle of
    the version that counts then. The unique constraint on assignment and period start is the last guard against a
    second invoice for a period.
    """
    now = now or timezone.now()
    _lock_customer(assignment.customer_id)
    assignment = (
        Assignment.objects.select_for_update(of=("self",)).select_related("customer", "plan").get(pk=assignment.pk)
    )
    last = assignment.invoices.exclude(status=Invoice.Status.VOID).order_by("-period_start").first()
    start = last.period_end if last else assignment.starts_at
    end = assignment.ends_at
    versions = versions_of(assignment) if start <= now and (end is None or start < end) else []
    opened: list[Invoice] = []
    while start <= now and (end is None or start < end):
        # However late a worker comes to it, a period has the prices that counted when it began.
        version = chosen(versions, start)
        if version is None:
            break
        period = _whole_period(assignment, version, start).clip(start, end)
        invoice = Invoice.objects.create(
            customer=assignment.customer,
            assignment=assignment,
            plan_version=version,
            period_start=period.start,
            period_end=period.end,
            closes_at=period.end + grace_time(),
            time_zone=assignment.time_zone,
            currency=version.currency,
        )
        InvoiceEvent.objects.create(invoice=invoice, kind="opened", detail={"plan_version": str(version)})
        recalculate(invoice.pk, now=now)
        opened.append(invoice)
        start = period.end
    if opened:
        _mark_siblings_stale(assignment)
    return opened


@transaction.atomic
def follow_assignment(assignment: Assignment, *, now: datetime | None = None) -> None:
    """Opens what an assignment lacks, and lets its live invoices end where the assignment now ends.

    A live invoice for a period that the assignment no longer reaches is void. An end that is set when it is past
    leaves the whole grace time from now on. Final invoices stay as they are: raises ValidationError for an end that
    lies inside one, or that would go on where one has ended early.
    """
    now = now or timezone.now()
    _lock_customer(assignment.customer_id)
    end = assignment.ends_at
    final = assignment.invoices.filter(status=Invoice.Status.FINAL).order_by("-period_end").first()
    if final is not None and _contradicts(final, end):
        day = day_words(local_date(final.period_end, final.zone))
        raise ValidationError({"ends_on": f"Invoice {final.number}, up to {day}, is final, and stays as it is."})
    for invoice in _lock_live(Q(customer=assignment.customer_id)):
        if invoice.assignment_id != assignment.pk:
            continue
        whole = _whole_period(assignment, invoice.plan_version, invoice.period_start)
        wanted = whole.clip(invoice.period_start, end).end
        if wanted == invoice.period_end:
            continue
        detail = {"from": str(invoice.period_end), "to": str(wanted)}
        InvoiceEvent.objects.create(invoice=invoice, kind="period changed", detail=detail)
        if wanted <= invoice.period_start:
            invoice.status = Invoice.Status.VOID
        else:
            invoice.period_end = wanted
            invoice.closes_at = max(wanted, now) + grace_time()
            invoice.status = Invoice.Status.OPEN if now < wanted else invoice.status
        invoice.save(update_fields=["period_end", "closes_at", "status"])
        recalculate(invoice.pk, now=now)
    _mark_siblings_stale(assignment)
    open_invoices(assignment, now=now)


def _contradicts(final: Invoice, end: datetime | None) -> bool:
    """Whether an assignment that ends at `end` would have had another last final invoice."""
    if end is not None and end < final.period_end:
        return True
    whole = _whole_period(final.assignment, final.plan_version, final.period_start)
    return final.period_end < whole.end and (end is None or end > final.period_end)


def _whole_period(assignment: Assignment, version: PlanVersion, start: datetime) -> Period:
    """The period of the version's cycle that `start` is in."""
    return period_at(cycle_of(version, assignment), start, assignment.zone)


def _mark_siblings_stale(assignment: Assignment) -> None:
    """Has the customer's other live invoices computed anew: what one prices is no unpriced usage on another."""
    _lock_live(Q(customer=assignment.customer_id))
    siblings = Invoice.objects.filter(customer_id=assignment.customer_id, status__in=Invoice.LIVE)
    siblings.exclude(assignment=assignment).update(is_stale=True)


@transaction.atomic
def mark_stale(customers: Q) -> None:
    """Has the live invoices of these customers computed anew; to be called in the transaction that changes what their
    bills are made of.

    The customers' locks make it wait for an invoice that is being opened, which may not know of the change; all locks
    are taken in the order of ids, so that two who mark, or one who marks and one who computes, wait in a row.
    """
    concerned = Customer.objects.filter(customers, invoices__status__in=Invoice.LIVE).values("pk")
    locked = Customer.objects.filter(pk__in=concerned).order_by("pk").select_for_update(no_key=True)
    ids = list(locked.values_list("pk", flat=True))
    live = Invoice.objects.filter(customer__in=ids, status__in=Invoice.LIVE)
    list(live.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))
    live.update(is_stale=True)


def mark_all_stale() -> None:
    """Has every live invoice computed anew: there is a new product item, whose usage may have no price."""
    mark_stale(Q())


def _lock_customer(customer_id: int) -> None:
    Customer.objects.select_for_update(no_key=True).get(pk=customer_id)


def _lock_live(invoices: Q) -> list[Invoice]:
    """The live ones of these invoices of one customer, locked in the order of their ids."""
    locked = Invoice.objects.select_for_update(of=("self",)).select_related(
        "customer", "assignment__plan", "plan_version__plan"
    )
    return list(locked.filter(invoices, status__in=Invoice.LIVE).order_by("pk"))


def _lock(invoice_id: int) -> Invoice | None:
    """An invoice, locked together with the other live ones of its customer; None for one that is not live."""
    locked = _lock_live(Q(customer__invoices=invoice_id))
    return next((invoice for invoice in locked if invoice.pk == invoice_id), None)


@transaction.atomic
def recalculate(invoice_id: int, *, now: datetime | None = None) -> bool:
    """Computes an open invoice anew from usage and rates as of `now`; answers whether its lines changed.

    Replaces all lines under the invoice's row lock; running it twice changes nothing. An invoice that is not live
    is left alone, so a late message does no harm.
    """
    now = now or timezone.now()
    invoice = _lock(invoice_id)
    return invoice is not None and _recalculate(invoice, now)


def _recalculate(invoice: Invoice, now: datetime) -> bool:
    [computed] = compute([subject_of(invoice)], now=now)
    changed = _write_lines(invoice, computed.draft)
    invoice.subtotal = computed.draft.subtotal
    invoice.total = computed.draft.total
    invoice.usage_version = computed.version
    invoice.usage_at = computed.at
    invoice.is_stale = False
    invoice.follows_clock = computed.follows_clock
    invoice.computed_at = now
    invoice.save(
        update_fields=["subtotal", "total", "usage_version", "usage_at", "is_stale", "follows_clock", "computed_at"]
    )
    return changed


# What a line says; two computations with equal contents are the same bill.
_CONTENT = (
    "position",
    "kind",
    "product_item_id",
    "fee_key",
    "promotion_id",
    "tax_rate_id",
    "name",
    "unit",
    "where",
    "quantity",
    "amount",
    "rate",
    "steps",
)


def _write_lines(invoice: Invoice, computed: Draft) -> bool:
    lines = [
        InvoiceLine(
            invoice=invoice,
            position=position,
            kind=line.kind,
            product_item_id=line.product_item_id,
            fee_key=line.fee_key,
            promotion_id=line.promotion_id,
            tax_rate_id=line.tax_rate_id,
            name=line.name,
            unit=line.unit,
            where={name: list(texts) for name, texts in line.where.items()},
            quantity=line.quantity,
            amount=line.amount,
            rate=line.rate.parameters() if line.rate else None,
            steps=[step.to_dict() for step in line.steps],
        )
        for position, line in enumerate(computed.lines, start=1)
    ]
    stored = list(invoice.lines.order_by("position").only("invoice_id", *_CONTENT))
    if [_content(line) for line in stored] == [_content(line) for line in lines]:
        return False
    invoice.lines.all().delete()
    InvoiceLine.objects.bulk_create(lines)
    if _taken_off(stored) != _taken_off(lines):
        # What a cap leaves to other invoices has changed.
        _mark_others_stale(invoice)
    return True


def _content(line: InvoiceLine) -> tuple[object, ...]:
    return tuple(getattr(line, name) for name in _CONTENT)


def _taken_off(lines: Iterable[InvoiceLine]) -> dict[int, Decimal]:
    return {line.promotion_id: line.amount for line in lines if line.promotion_id is not None}


def _mark_others_stale(invoice: Invoice) -> None:
    """Has the customer's other live invoices computed anew. Their locks are held."""
    others = Invoice.objects.filter(customer_id=invoice.customer_id, status__in=Invoice.LIVE)
    others.exclude(pk=invoice.pk).update(is_stale=True)


@transaction.atomic
def close(invoice_id: int, *, now: datetime | None = None) -> Invoice:
    """Takes an invoice whose period is over one step on: to grace, and to final once the grace time is over too.

    Becoming final computes it a last time, takes the next number and freezes it. Two workers that close the same
    invoice wait for each other on its row; the second finds nothing left to do.
    """
    now = now or timezone.now()
    invoice = _lock(invoice_id)
    if invoice is None:
        return Invoice.objects.get(pk=invoice_id)
    if invoice.status == Invoice.Status.OPEN and now >= invoice.period_end:
        invoice.status = Invoice.Status.GRACE
        invoice.save(update_fields=["status"])
        InvoiceEvent.objects.create(invoice=invoice, kind="grace")
    if invoice.status == Invoice.Status.GRACE and now >= invoice.closes_at:
        _recalculate(invoice, now)
        _finalize(invoice, now)
    return invoice


def _finalize(invoice: Invoice, now: datetime) -> None:
    billing = BillingProfile.objects.filter(customer=invoice.customer_id).first() or BillingProfile()
    invoice.customer_name = billing.legal_name or str(invoice.customer)
    invoice.customer_address = billing.address
    invoice.customer_tax_id = billing.tax_id
    invoice.tax_note = billing.tax_note
    invoice.plan_name = str(invoice.plan_version.plan)
    invoice.number = next_number(now)
    invoice.finalized_at = now
    invoice.status = Invoice.Status.FINAL
    invoice.save()
    if invoice.lines.filter(promotion__isnull=False).exists():
        # What it took of a cap is now settled before any other invoice.
        _mark_others_stale(invoice)
    detail = {"number": invoice.number, "total": str(invoice.total)}
    InvoiceEvent.objects.create(invoice=invoice, kind="finalized", detail=detail)


def grace_time() -> timedelta:
    return timedelta(hours=settings.GRACE_HOURS)
