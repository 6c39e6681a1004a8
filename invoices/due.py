"""What is to be done, found by looking at rows: the work of the sweep, whatever messages were lost."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import DateTimeField, Exists, F, Func, OuterRef, Q, Value
from django.db.models.functions import Coalesce, NullIf

from invoices.models import Invoice
from invoices.services import grace_time
from meters.models import UsageVersion
from pricing.models import Assignment


def stale_invoices(limit: int) -> list[int]:
    """Ids of live invoices that usage or something else has overtaken. This comparison is the whole queue.

    Uses invoice_live_customer and the primary key of meters_usageversion.
    """
    overtaken = UsageVersion.objects.filter(customer_id=OuterRef("customer_id"), version__gt=OuterRef("usage_version"))
    live = Invoice.objects.filter(status__in=Invoice.LIVE)
    return list(live.filter(Q(is_stale=True) | Exists(overtaken)).order_by("id").values_list("id", flat=True)[:limit])


def due_invoices(now: datetime, limit: int) -> list[int]:
    """Ids of invoices whose period, or grace time, is over, oldest first. Uses invoice_live_end."""
    over = Q(status=Invoice.Status.OPEN, period_end__lte=now)
    grace_over = Q(status=Invoice.Status.GRACE, period_end__lte=now - grace_time())
    due = Invoice.objects.filter(over | grace_over).order_by("period_end", "id")
    return list(due.values_list("id", flat=True)[:limit])


def uncovered_assignments(now: datetime, limit: int) -> list[Assignment]:
    """Assignments that have begun and lack an invoice for a period up to the one that `now` is in."""
    zone = Coalesce(NullIf("customer__time_zone", Value("")), Value(settings.ACCOUNT_TIME_ZONE))
    midnight = Func(F("ends_on"), template="%(expressions)s::timestamp")
    ends_at = Func(zone, midnight, function="timezone", output_field=DateTimeField())
    invoices = Invoice.objects.filter(assignment=OuterRef("pk")).exclude(status=Invoice.Status.VOID)
    uncovered = (
        # A day ahead covers every time zone; opening looks at the exact instant.
        Assignment.objects.filter(starts_on__lte=(now + timedelta(days=1)).date())
        .annotate(ends_at=ends_at)
        .filter(~Exists(invoices.filter(period_end__gt=now)))
        .filter(Q(ends_on=None) | ~Exists(invoices.filter(period_end__gte=OuterRef("ends_at"))))
    )
    return list(uncovered.select_related("customer").order_by("id")[:limit])
