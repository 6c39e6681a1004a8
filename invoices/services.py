"""The life of an invoice: opened with its assignment, kept up to date, made final. Locks and transactions live here.

Lock order: the customer (of several, by id), the plan, the assignment, the invoice, the number series. Whoever changes
an invoice holds its customer: what one invoice takes of a promotion's cap, or prices, another one does not.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from invoices.addressee import addressee_of
from invoices.due import stale
from invoices.late import rerating
from invoices.late.at_once import open_correction, take_back, take_back_of_void
from invoices.late.corrections import Pending, tell_corrected, waiting_for_no_invoice
from invoices.late.final_terms import terms_to_keep
from invoices.locking import PARTS, lock_customer, lock_customers_of, lock_invoice, lock_live
from invoices.models import Invoice, InvoiceEvent
from invoices.numbering import next_number
from invoices.policy import due_date, grace_time, needs_approval
from invoices.recalculating import mark_others_stale, rewrite
from invoices.seller import seller_to_keep
from invoices.settling.settlement import refresh
from invoices.signals import finalized
from meters.cycles import period_at
from meters.models import Customer
from meters.periods import Period, local_date, local_midnight
from meters.words import day_words
from pricing.models import Assignment, AssignmentQuantity, Plan, PlanVersion
from pricing.money import total_of
from pricing.version_choice import chosen, cycle_of, versions_of

# How many invoices one call opens: what staff wait for, and what is locked meanwhile.
MOST_AT_ONCE = 100


@transaction.atomic
def open_invoices(assignment: Assignment, *, now: datetime | None = None) -> list[Invoice]:
    """Opens the invoices that an assignment lacks, from its first day to the period that `now` is in.

    Each period begins where the one before ended, and goes to the end of the period that this is in by the cycle of
    the version that counts then. Of very many (the days of years ago) the first are opened, and the others by the next
    calls, which the sweep makes. The unique constraint on assignment and period start is the last guard against a
    second invoice for a period.
    """
    now = now or timezone.now()
    lock_customer(assignment.customer_id)
    # A version that is being activated may count for a period that has begun since: this waits for it.
    Plan.objects.select_for_update(no_key=True).get(pk=assignment.plan_id)
    assignment = (
        Assignment.objects.select_for_update(of=("self",)).select_related("customer", "plan").get(pk=assignment.pk)
    )
    # One that was void before it had a number leaves its period to be invoiced; one that is void since does not.
    taken = assignment.invoices.filter(~Q(status=Invoice.Status.VOID) | ~Q(number=""), is_correction=False)
    last = taken.order_by("-period_start", "-id").first()
    start = last.period_end if last else assignment.starts_at
    end = assignment.ends_at
    versions = versions_of(assignment) if start <= now and (end is None or start < end) else []
    opened: list[Invoice] = []
    while start <= now and (end is None or start < end) and len(opened) < MOST_AT_ONCE:
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
            closes_at=period.end + grace_time(assignment.plan),
            time_zone=assignment.time_zone,
            currency=version.currency,
        )
        InvoiceEvent.objects.create(invoice=invoice, kind="opened", detail={"plan_version": str(version)})
        _recalculate(invoice, now)
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
    lock_customer(assignment.customer_id)
    end = assignment.ends_at
    final = _last_final(assignment)
    if final is not None and _contradicts(final, end):
        raise ValidationError({"ends_on": _stays(final)})
    live = assignment.invoices.select_for_update(of=("self",)).select_related(*PARTS).order_by("period_start")
    for invoice in live.filter(status__in=Invoice.LIVE):
        whole = _whole_period(assignment, invoice.plan_version, invoice.period_start)
        wanted = whole.clip(invoice.period_start, min(filter(None, (end, _begins_after(invoice))), default=None)).end
        if wanted == invoice.period_end:
            continue
        detail = {"from": str(invoice.period_end), "to": str(wanted)}
        InvoiceEvent.objects.create(invoice=invoice, kind="period changed", detail=detail)
        if wanted <= invoice.period_start:
            invoice.status = Invoice.Status.VOID
            # Should the assignment go on after all, another one can be issued in that place.
            invoice.replaces = None
            rerating.follow_void(invoice)
        else:
            invoice.period_end = wanted
            invoice.closes_at = max(wanted, now) + grace_time(assignment.plan)
            invoice.status = Invoice.Status.OPEN if now < wanted else invoice.status
            # Whoever approved it saw another period.
            invoice.approved_at, invoice.approved_by = None, ""
        invoice.save(update_fields=["period_end", "closes_at", "status", "approved_at", "approved_by", "replaces"])
        if invoice.is_live:
            _recalculate(invoice, now)
    _mark_siblings_stale(assignment)
    open_invoices(assignment, now=now)


def _begins_after(invoice: Invoice) -> datetime | None:
    """Where the next period of its assignment begins that has an invoice."""
    others = Invoice.objects.filter(assignment=invoice.assignment_id, period_start__gt=invoice.period_start)
    beside = others.exclude(status=Invoice.Status.VOID).filter(is_correction=False).order_by("period_start")
    return beside.values_list("period_start", flat=True).first()


@transaction.atomic
def follow_quantity(entry: AssignmentQuantity) -> None:
    """Has the customer's live invoices computed anew with a quantity that was set.

    Raises ValidationError for a day before the end of the last final invoice, where it would never be charged.
    """
    assignment = entry.assignment
    mark_stale(Q(pk=assignment.customer_id))
    final = _last_final(assignment)
    if final is not None and local_midnight(entry.starts_on, assignment.zone) < final.period_end:
        raise ValidationError({"starts_on": _stays(final)})


def _last_final(assignment: Assignment) -> Invoice | None:
    finals = assignment.invoices.filter(status=Invoice.Status.FINAL, is_correction=False)
    return finals.order_by("-period_end").first()


def _stays(final: Invoice) -> str:
    day = day_words(local_date(final.period_end, final.zone))
    return f"Invoice {final.number}, up to {day}, is final, and stays as it is."


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
    siblings = Invoice.objects.filter(customer_id=assignment.customer_id, status__in=Invoice.LIVE)
    siblings.exclude(assignment=assignment).update(is_stale=True)


@transaction.atomic
def mark_stale(customers: Q) -> None:
    """Has the live invoices of these customers computed anew; to be called in the transaction that changes what their
    bills are made of.

    The customers' locks make it wait for who is opening an invoice, or computing one, without knowing of the change.
    """
    concerned = Customer.objects.filter(customers).values("pk")
    locked = Customer.objects.filter(pk__in=concerned).order_by("pk").select_for_update(no_key=True)
    list(locked.values_list("pk", flat=True))
    Invoice.objects.filter(customer__in=concerned, status__in=Invoice.LIVE).update(is_stale=True)


def mark_all_stale() -> None:
    """Has every live invoice computed anew: there is a new product item, whose usage may have no price, or one has
    another name; or a tax has changed."""
    mark_stale(Q())


@transaction.atomic
def recalculate(invoice_id: int, *, now: datetime | None = None) -> bool:
    """Computes an open invoice anew from usage and rates as of `now`; answers whether its lines changed.

    Replaces all lines under the invoice's row lock; running it twice changes nothing. An invoice that is not live
    is left alone, so a late message does no harm.
    """
    now = now or timezone.now()
    try:
        invoice = lock_invoice(invoice_id)
    except Invoice.DoesNotExist:
        return False
    return invoice.is_live and _recalculate(invoice, now)


@transaction.atomic
def recalculate_many(invoice_ids: Iterable[int], *, now: datetime | None = None) -> set[int]:
    """Computes those of these invoices that are live anew, in as many statements as one; answers the ids of those whose
    lines changed. All or none: raises what computing one of them raises."""
    ids = list(invoice_ids)
    lock_customers_of(ids)
    return rewrite(lock_live(ids), now or timezone.now())


@transaction.atomic
def recalculate_stale(invoice_ids: Iterable[int], *, now: datetime | None = None, wait: bool = True) -> list[int]:
    """Like `recalculate_many`, but leaves out what somebody else has brought up to date since the ids were found; and
    unless it may wait, also those whose customers somebody holds at the moment, whose ids it answers."""
    now = now or timezone.now()
    ids = list(invoice_ids)
    held = lock_customers_of(ids, wait=wait)
    rewrite(lock_live([one for one in ids if one not in held], stale(now, ids)), now)
    return [one for one in ids if one in held]


def _recalculate(invoice: Invoice, now: datetime) -> bool:
    return bool(rewrite([invoice], now))


def open_again(old: Invoice, *, actor: str = "", now: datetime) -> Invoice:
    """Another invoice for the period of a void one, by the usage and terms of now: in grace, which is over at once.

    Call it with the customer locked, where the period has no invoice. Of an assignment that has been ended inside the
    period since, it is for what comes before that.
    """
    assignment = Assignment.objects.select_for_update(of=("self",)).get(pk=old.assignment_id)
    invoice = Invoice.objects.create(
        customer=old.customer,
        assignment=old.assignment,
        plan_version=old.plan_version,
        status=Invoice.Status.GRACE,
        period_start=old.period_start,
        period_end=old.period.clip(old.period_start, assignment.ends_at).end,
        closes_at=now,
        time_zone=old.time_zone,
        currency=old.currency,
        replaces=old,
    )
    detail = {"plan_version": str(old.plan_version), "in_place_of": old.number}
    InvoiceEvent.objects.create(invoice=invoice, kind="opened", actor=actor, detail=detail)
    _recalculate(invoice, now)
    mark_stale_beside(invoice)
    return invoice


def mark_stale_beside(invoice: Invoice) -> None:
    """Has the customer's other live invoices computed anew."""
    mark_others_stale([invoice])


def rerate(customer_id: int, *, now: datetime | None = None) -> None:
    """Rates those of a customer's final invoices again that usage has changed under, by events that came late and by
    voids, and has the difference made up for: by the next invoice, or at once. Running it twice changes nothing.
    """
    now = now or timezone.now()
    # A transaction of its own: events wait for it.
    rerating.take_up([customer_id])
    with transaction.atomic():
        lock_customer(customer_id)
        _rate_again(customer_id, now)


def _rate_again(customer_id: int, now: datetime) -> None:
    if not rerating.rate_again(customer_id, now):
        return
    # A second time: where an invoice is void, what documents carry of it below zero is left by the first.
    for _ in range(2):
        for pending in waiting_for_no_invoice(customer_id):
            _make_up_for(pending, now)
    Invoice.objects.filter(customer=customer_id, status__in=Invoice.LIVE).update(is_stale=True)


def _make_up_for(pending: Sequence[Pending], now: datetime) -> None:
    if total_of(one.amount for one in pending) > 0:
        _finalize(open_correction(pending, now), now, actor="")
    elif pending[0].invoice.status == Invoice.Status.VOID:
        take_back_of_void(pending, now)
    else:
        take_back(pending, now)


def close(invoice_id: int, *, now: datetime | None = None) -> Invoice:
    """Takes an invoice whose period is over one step on: to grace, and to final once the grace time is over too, unless
    staff hold it or are to approve it first.

    Becoming final computes it a last time, takes the next number and freezes it. Two workers that close the same
    invoice wait for each other on its row; the second finds nothing left to do.
    """
    now = now or timezone.now()
    over = Invoice.objects.filter(pk=invoice_id, status__in=Invoice.LIVE, closes_at__lte=now)
    # Before the lock, which is held for longer than events should wait.
    rerating.take_up(list(over.values_list("customer", flat=True)))
    return _close(invoice_id, now)


@transaction.atomic
def _close(invoice_id: int, now: datetime) -> Invoice:
    invoice = lock_invoice(invoice_id)
    _end_period(invoice, now)
    if invoice.status == Invoice.Status.GRACE and now >= invoice.closes_at and _may_be_final(invoice):
        _close_for_good(invoice, now)
    return invoice


def close_now(invoice: Invoice, *, now: datetime, actor: str = "") -> Invoice:
    """Makes a live invoice final whose period is over, before its time. Call it with the invoice and its customer
    locked."""
    _end_period(invoice, now)
    rerating.take_up([invoice.customer_id])
    _close_for_good(invoice, now, actor)
    return invoice


def _close_for_good(invoice: Invoice, now: datetime, actor: str = "") -> None:
    """Makes an invoice final, with what has come too late for earlier ones."""
    _rate_again(invoice.customer_id, now)
    _recalculate(invoice, now)
    _finalize(invoice, now, actor)


def _end_period(invoice: Invoice, now: datetime) -> None:
    if invoice.status == Invoice.Status.OPEN and now >= invoice.period_end:
        invoice.status = Invoice.Status.GRACE
        invoice.save(update_fields=["status"])
        InvoiceEvent.objects.create(invoice=invoice, kind="grace")


def _may_be_final(invoice: Invoice) -> bool:
    return invoice.held_at is None and (invoice.approved_at is not None or not needs_approval(invoice))


def _finalize(invoice: Invoice, now: datetime, actor: str) -> None:
    addressee = addressee_of(invoice)
    invoice.customer_name = addressee.name
    invoice.customer_address = addressee.address
    invoice.customer_tax_id = addressee.tax_id
    invoice.tax_note = addressee.note
    invoice.seller = seller_to_keep()
    invoice.plan_name = invoice.plan_version.plan.public_name
    invoice.number = next_number(now)
    invoice.finalized_at = now
    invoice.due_on = due_date(invoice, local_date(now, invoice.zone))
    invoice.status = Invoice.Status.FINAL
    invoice.frozen_terms = None if invoice.is_correction else terms_to_keep(invoice)
    invoice.rerated_version = invoice.usage_version
    invoice.save()
    tell_corrected(invoice)
    if invoice.lines.filter(promotion__isnull=False).exists():
        # What it took of a cap is now settled before any other invoice.
        mark_stale_beside(invoice)
    detail = {"number": invoice.number, "total": str(invoice.total)}
    InvoiceEvent.objects.create(invoice=invoice, kind="finalized", actor=actor[:150], detail=detail)
    finalized.send(sender=None, invoice=invoice, now=now)
    if invoice.total <= 0:
        # There is nothing to pay.
        refresh(invoice, now)
