"""The life of an invoice: opened with its assignment, kept up to date, made final. Locks and transactions live here.

Lock order: the assignment (opening), then the invoice, then the number series.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from invoices.drafting import Draft, ItemUsage, draft
from invoices.models import Invoice, InvoiceEvent, InvoiceLine
from invoices.numbering import next_number
from invoices.pricing_of import items_of
from meters.periods import local_date, month_of
from meters.usage import Usage, read_usage
from meters.words import day_words
from pricing.models import Assignment
from pricing.plans import version_at


@transaction.atomic
def open_invoices(assignment: Assignment, *, now: datetime | None = None) -> list[Invoice]:
    """Opens the invoices that an assignment lacks, from its first day to the period that `now` is in.

    Periods are calendar months of the assignment's zone; each begins where the one before ended. The unique
    constraint on assignment and period start is the last guard against a second invoice for a period.
    """
    now = now or timezone.now()
    assignment = (
        Assignment.objects.select_for_update(of=("self",)).select_related("customer", "plan").get(pk=assignment.pk)
    )
    last = assignment.invoices.exclude(status=Invoice.Status.VOID).order_by("-period_start").first()
    start = last.period_end if last else assignment.starts_at
    end = assignment.ends_at
    opened: list[Invoice] = []
    while start <= now and (end is None or start < end):
        # However late a worker comes to it, a period has the prices that counted when it began.
        version = version_at(assignment.plan, max(start, assignment.created_at))
        if version is None:
            break
        period = month_of(start, assignment.zone).clip(start, end)
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
    end = assignment.ends_at
    final = assignment.invoices.filter(status=Invoice.Status.FINAL).order_by("-period_end").first()
    if final is not None and _contradicts(final, end):
        day = day_words(local_date(final.period_end, final.zone))
        raise ValidationError({"ends_on": f"Invoice {final.number}, up to {day}, is final, and stays as it is."})
    for invoice in assignment.invoices.select_for_update().filter(status__in=Invoice.LIVE):
        wanted = month_of(invoice.period_start, invoice.zone).clip(invoice.period_start, end).end
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
    ended_early = final.period_end < month_of(final.period_start, final.zone).end
    return ended_early and (end is None or end > final.period_end)


def _mark_siblings_stale(assignment: Assignment) -> None:
    """Has the customer's other live invoices computed anew: what one prices is no unpriced usage on another."""
    siblings = Invoice.objects.filter(customer_id=assignment.customer_id, status__in=Invoice.LIVE)
    siblings.exclude(assignment=assignment).update(is_stale=True)


def mark_all_stale() -> None:
    """Has every live invoice computed anew: there is a new product item, whose usage may have no price."""
    Invoice.objects.filter(status__in=Invoice.LIVE).update(is_stale=True)


@transaction.atomic
def recalculate(invoice_id: int, *, now: datetime | None = None) -> bool:
    """Computes an open invoice anew from usage and rates as of `now`; answers whether its lines changed.

    Replaces all lines under the invoice's row lock; running it twice changes nothing. An invoice that is not live
    is left alone, so a late message does no harm.
    """
    now = now or timezone.now()
    invoice = (
        Invoice.objects.select_for_update(of=("self",))
        .select_related("customer", "assignment__plan", "plan_version")
        .filter(pk=invoice_id, status__in=Invoice.LIVE)
        .first()
    )
    if invoice is None:
        return False
    usage, computed, follows_clock = _compute(invoice, now)
    changed = _write_lines(invoice, computed)
    invoice.total = computed.total
    invoice.usage_version = usage.version
    invoice.usage_at = usage.at
    invoice.is_stale = False
    invoice.follows_clock = follows_clock
    invoice.computed_at = now
    invoice.save(update_fields=["total", "usage_version", "usage_at", "is_stale", "follows_clock", "computed_at"])
    return changed


def _compute(invoice: Invoice, now: datetime) -> tuple[Usage, Draft, bool]:
    """The lines of an invoice: its rates on the usage of its period, and the usage that has no price at all; and
    whether they go on changing without an event."""
    priced, unpriced = items_of(invoice)
    spans = list(dict.fromkeys([invoice.period, *(span for _, span in unpriced)]))
    meters = {item.meter_id: item.meter for item in [*priced, *(item for item, _ in unpriced)]}
    usage = read_usage(invoice.customer, list(meters.values()), spans, until=now)
    items = [
        ItemUsage(item.pk, item.name, item.meter.unit, usage.quantity(item.meter), rate)
        for item, rate in priced.items()
    ]
    follows_clock = any(usage.follows_clock(item.meter) for item in priced)
    for item, span in unpriced:
        window = spans.index(span)
        follows_clock = follows_clock or usage.follows_clock(item.meter, window)
        quantity = usage.quantity(item.meter, window)
        # A value that holds from before is usage without an event.
        if quantity or usage.events(item.meter, window):
            items.append(ItemUsage(item.pk, item.name, item.meter.unit, quantity, None))
    return usage, draft(items, invoice.currency), follows_clock


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
    if invoice.status == Invoice.Status.GRACE and now >= invoice.closes_at:
        recalculate(invoice.pk, now=now)
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
