"""What is to be done, found by looking at rows: the work of the sweep, whatever messages were lost. What has failed is
left out until it is tried again (`failing`)."""

from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import islice

from django.db.models import DateTimeField, Exists, F, Func, OuterRef, Q, Subquery, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact
from django.utils import timezone

from invoices import backlog_sql
from invoices.failing import Kind, left_alone
from invoices.models import BillingPolicy, Invoice
from meters.distribution import is_distributed
from meters.models import UsageVersion
from meters.statements import execute
from pricing.models import Assignment

# How old a line may get that moves with the clock.
CLOCK_STEP = timedelta(minutes=3)

# By more than this no two clocks of an installation differ. A time that is further ahead was said by a clock that was
# put back since.
CLOCKS_APART = timedelta(hours=1)

# Where midnight comes twice, PostgreSQL takes the second one and `local_midnight` the first. More than they can be
# apart, and less than any period: an invoice that ends within it is the last one.
MIDNIGHTS_APART = timedelta(hours=3)


def stale(now: datetime, invoice_ids: Collection[int] | None = None) -> Q:
    """Which live invoices (of these) usage, something else or the clock has overtaken. This comparison is the whole
    queue.

    Uses invoice_live_customer and the primary key of meters_usageversion.
    """
    old = Q(computed_at__lte=now - CLOCK_STEP) | Q(computed_at__gt=now + CLOCKS_APART)
    return overtaken(invoice_ids) | (Q(follows_clock=True) & old)


def overtaken(invoice_ids: Collection[int] | None = None) -> Q:
    """Which invoices (of these) newer usage, or another change, waits to be worked into; of those that are live."""
    if is_distributed():
        # No condition on a row can look at a table of another machine, so it is asked for now.
        only = None if invoice_ids is None else list(invoice_ids)
        return Q(is_stale=True) | Q(pk__in=[pk for (pk,) in execute(backlog_sql.OVERTAKEN, {"invoices": only})])
    newer = UsageVersion.objects.filter(customer_id=OuterRef("customer_id"), version__gt=OuterRef("usage_version"))
    return Q(is_stale=True) | Q(Exists(newer))


def stale_invoices(limit: int, *, now: datetime | None = None) -> list[int]:
    """Ids of live invoices that are stale. Those that were computed longest ago come first, so that none waits for ever
    where usage of many comes in all the time."""
    now = now or timezone.now()
    live = Invoice.objects.filter(stale(now), status__in=Invoice.LIVE)
    live = live.exclude(pk__in=left_alone(Kind.RECALCULATE, now))
    return list(live.order_by(F("computed_at").asc(nulls_first=True), "id").values_list("id", flat=True)[:limit])


def due_invoices(now: datetime, limit: int) -> list[int]:
    """Ids of invoices whose period, or grace time, is over, oldest first, but those that staff hold or are to approve
    first. Uses invoice_live_end."""
    over = Q(status=Invoice.Status.OPEN, period_end__lte=now)
    grace_over = Q(status=Invoice.Status.GRACE, closes_at__lte=now, held_at=None) & ~lacks_approval()
    due = Invoice.objects.filter(over | grace_over).exclude(pk__in=left_alone(Kind.CLOSE, now))
    return list(due.order_by("period_end", "id").values_list("id", flat=True)[:limit])


def late_customers(limit: int, *, now: datetime | None = None) -> list[int]:
    """Ids of customers with final invoices that usage may have changed under since, or that are noted to be rated
    again. Uses invoice_final_end and invoice_to_rate_again."""
    alone = left_alone(Kind.RERATE, now or timezone.now())
    noted = Invoice.objects.filter(rerated_version__lt=0).exclude(customer__in=alone)
    noted_customers = noted.order_by().values_list("customer", flat=True).distinct()
    if is_distributed():
        without, late = set(alone), (pk for (pk,) in execute(backlog_sql.LATE, {}))
        return sorted({*noted_customers[:limit], *islice((pk for pk in late if pk not in without), limit)})[:limit]
    finals = Invoice.objects.filter(customer=OuterRef("customer_id"), status=Invoice.Status.FINAL)
    changed = UsageVersion.objects.filter(Exists(finals.filter(period_end__gt=OuterRef("oldest_at"))))
    changed = changed.exclude(customer__in=alone)
    return sorted({*noted_customers[:limit], *changed.values_list("customer", flat=True)[:limit]})[:limit]


def lacks_approval() -> Q:
    """Which live invoices lack the approval that they need by the policy of now."""
    of_account = BillingPolicy.objects.filter(pk=1).values("needs_approval")
    of_plan = F("plan_version__plan__billing_policy__needs_approval")
    needed = Coalesce(of_plan, Subquery(of_account), Value(BillingPolicy().needs_approval))
    return Q(approved_at=None) & Q(Exact(needed, True))


def uncovered_assignments(now: datetime, limit: int) -> list[Assignment]:
    """Assignments that have begun and lack an invoice for a period up to the one that `now` is in."""
    # One that was void when it had a number has had its period, as `open_invoices` says.
    invoices = Invoice.objects.filter(assignment=OuterRef("pk"), is_correction=False)
    invoices = invoices.exclude(status=Invoice.Status.VOID, number="")
    uncovered = (
        Assignment.objects.alias(begins_at=_midnight("starts_on"), over_at=_midnight("ends_on") - MIDNIGHTS_APART)
        .filter(begins_at__lte=now)
        .filter(Q(ends_on=None) | Q(ends_on__gt=F("starts_on")))
        .filter(~Exists(invoices.filter(period_end__gt=now)))
        .filter(Q(ends_on=None) | ~Exists(invoices.filter(period_end__gte=OuterRef("over_at"))))
        .exclude(pk__in=left_alone(Kind.OPEN, now))
    )
    return list(uncovered.select_related("customer").order_by("id")[:limit])


def _midnight(field: str) -> Func:
    """The midnight of a date in the assignment's own zone."""
    day = Func(F(field), template="%(expressions)s::timestamp")
    return Func(F("time_zone"), day, function="timezone", output_field=DateTimeField())
