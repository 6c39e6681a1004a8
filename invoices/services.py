"""The life of an invoice: opened with its assignment, kept up to date, made final. Locks and transactions live here.

Lock order: the assignment (opening), then the invoice, then the number series.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from invoices.drafting import Draft, ItemUsage, draft
from invoices.models import Invoice, InvoiceEvent, InvoiceLine
from invoices.numbering import next_number
from invoices.pricing_of import items_of
from meters.periods import local_midnight, month_of
from meters.usage import read_usage
from pricing.models import Assignment
from pricing.plans import active_version


@transaction.atomic
def open_invoices(assignment: Assignment, *, now: datetime | None = None) -> list[Invoice]:
    """Opens the invoices that an assignment lacks, from its first day to the period that `now` is in.

    Periods are calendar months at the customer's local midnights. Each begins where the one before ended, so they
    tile even when the customer's time zone changes. The unique constraint on assignment and period start is the
    last guard against a second invoice for a period.
    """
    now = now or timezone.now()
    assignment = (
        Assignment.objects.select_for_update(of=("self",)).select_related("customer", "plan").get(pk=assignment.pk)
    )
    version = active_version(assignment.plan)
    if version is None:
        return []
    zone = assignment.customer.zone
    end = None if assignment.ends_on is None else local_midnight(assignment.ends_on, zone)
    last = assignment.invoices.exclude(status=Invoice.Status.VOID).order_by("-period_start").first()
    start = last.period_end if last else local_midnight(assignment.starts_on, zone)
    opened = []
    while start <= now and (end is None or start < end):
        period = month_of(start, zone).clip(start, end)
        invoice = Invoice.objects.create(
            customer=assignment.customer,
            assignment=assignment,
            plan_version=version,
            period_start=period.start,
            period_end=period.end,
            time_zone=zone.key,
            currency=version.currency,
        )
        InvoiceEvent.objects.create(invoice=invoice, kind="opened", detail={"plan_version": str(version)})
        recalculate(invoice.pk)
        opened.append(invoice)
        start = period.end
    return opened


@transaction.atomic
def follow_assignment(assignment: Assignment, *, now: datetime | None = None) -> None:
    """Opens what an assignment lacks, and lets its live invoices end where the assignment now ends.

    A live invoice for a period that the assignment no longer reaches is void. Final ones stay as they are.
    """
    now = now or timezone.now()
    zone = assignment.customer.zone
    end = None if assignment.ends_on is None else local_midnight(assignment.ends_on, zone)
    for invoice in assignment.invoices.select_for_update().filter(status__in=Invoice.LIVE):
        month = month_of(invoice.period_start, invoice.zone)
        wanted = month.clip(invoice.period_start, end).end
        if wanted == invoice.period_end:
            continue
        if wanted <= invoice.period_start:
            invoice.status = Invoice.Status.VOID
            invoice.save(update_fields=["status"])
            InvoiceEvent.objects.create(invoice=invoice, kind="voided", detail={"ends_on": str(assignment.ends_on)})
            continue
        InvoiceEvent.objects.create(
            invoice=invoice, kind="period changed", detail={"from": str(invoice.period_end), "to": str(wanted)}
        )
        invoice.period_end = wanted
        invoice.status = Invoice.Status.OPEN if now < wanted else invoice.status
        invoice.save(update_fields=["period_end", "status"])
        recalculate(invoice.pk)
    open_invoices(assignment, now=now)


@transaction.atomic
def recalculate(invoice_id: int) -> bool:
    """Computes an open invoice anew from usage and rates; answers whether its lines changed.

    Replaces all lines under the invoice's row lock; running it twice changes nothing. An invoice that is not live
    is left alone, so a late message does no harm.
    """
    invoice = (
        Invoice.objects.select_for_update(of=("self",))
        .select_related("customer", "assignment__plan", "plan_version")
        .filter(pk=invoice_id, status__in=Invoice.LIVE)
        .first()
    )
    if invoice is None:
        return False
    items = items_of(invoice)
    period = invoice.period
    usage = read_usage(invoice.customer, [item.meter for item, _ in items], [period])
    computed = draft(
        [
            ItemUsage(item.pk, item.name, item.meter.unit, usage.quantity(item.meter), rate)
            for item, rate in items
            if rate is not None or usage.events(item.meter)
        ],
        invoice.currency,
    )
    changed = _write_lines(invoice, computed)
    invoice.total = computed.total
    invoice.usage_version = usage.version
    invoice.usage_at = usage.at
    invoice.is_stale = False
    invoice.computed_at = timezone.now()
    invoice.save(update_fields=["total", "usage_version", "usage_at", "is_stale", "computed_at"])
    return changed


def _write_lines(invoice: Invoice, computed: Draft) -> bool:
    lines = [
        InvoiceLine(
            invoice=invoice,
            position=position,
            kind=InvoiceLine.Kind.USAGE if line.is_priced else InvoiceLine.Kind.UNPRICED,
            product_item_id=line.product_item_id,
            name=line.name,
            unit=line.unit,
            quantity=line.quantity,
            amount=line.amount,
            rate=line.rate.parameters() if line.rate else None,
            steps=[step.to_dict() for step in line.steps],
        )
        for position, line in enumerate(computed.lines, start=1)
    ]
    content = ("position", "kind", "product_item_id", "name", "unit", "quantity", "amount", "rate", "steps")
    before = list(invoice.lines.order_by("position").values_list(*content))
    if before == [tuple(getattr(line, name) for name in content) for line in lines]:
        return False
    invoice.lines.all().delete()
    InvoiceLine.objects.bulk_create(lines)
    return True


@transaction.atomic
def close(invoice_id: int, *, now: datetime | None = None) -> Invoice:
    """Takes an invoice whose period is over one step on: to grace, and to final once the grace time is over too.

    Becoming final computes it a last time, takes the next number and freezes it. Two workers that close the same
    invoice wait for each other on its row; the second finds nothing left to do.
    """
    now = now or timezone.now()
    invoice = (
        Invoice.objects.select_for_update(of=("self",))
        .select_related("customer", "plan_version__plan")
        .get(pk=invoice_id)
    )
    if invoice.status == Invoice.Status.OPEN and now >= invoice.period_end:
        invoice.status = Invoice.Status.GRACE
        invoice.save(update_fields=["status"])
        InvoiceEvent.objects.create(invoice=invoice, kind="grace")
    if invoice.status == Invoice.Status.GRACE and now >= invoice.period_end + grace_time():
        recalculate(invoice.pk)
        invoice.refresh_from_db()
        invoice.customer_name = str(invoice.customer)
        invoice.plan_name = str(invoice.plan_version.plan)
        invoice.number = next_number(now)
        invoice.finalized_at = now
        invoice.status = Invoice.Status.FINAL
        invoice.save(update_fields=["customer_name", "plan_name", "number", "finalized_at", "status"])
        InvoiceEvent.objects.create(
            invoice=invoice, kind="finalized", detail={"number": invoice.number, "total": str(invoice.total)}
        )
    return invoice


def grace_time() -> timedelta:
    return timedelta(hours=settings.GRACE_HOURS)
