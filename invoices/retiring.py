"""Whether a month of events can be retired: not while anything that is not settled for good is made of it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet

from invoices.models import Invoice
from meters.models import UsageVersion
from meters.words import period_words
from pricing.models import Assignment

# So many invoices are named.
NAMED = 5


def start_of(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)


def reasons_against(before: date, *, now: datetime) -> list[str]:
    """Why the events before that day (UTC) are still needed, a sentence each; none: they are not."""
    return list(_reasons(start_of(before), now))


def _reasons(before: datetime, now: datetime) -> Iterator[str]:
    if before > now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0):
        yield f"The month before {before:%Y-%m-%d} (UTC) is not over."
    begun = Invoice.objects.filter(period_start__lt=before).exclude(status=Invoice.Status.VOID)
    live = begun.filter(status__in=Invoice.LIVE)
    if live.exists():
        yield f"{_count(live)} not final, and made of these events: {_named(live)}."
    # What comes late, as long as it is taken, has the whole of its period rated again.
    accepted = max(before, now - timedelta(days=settings.INGEST_HORIZON_DAYS))
    late = begun.filter(status=Invoice.Status.FINAL, is_correction=False, period_end__gt=accepted)
    if late.exists():
        until = max(late.values_list("period_end", flat=True)) + timedelta(days=settings.INGEST_HORIZON_DAYS)
        yield (
            f"{_count(late)} final, but go on after {before:%Y-%m-%d}, and events of that part are taken until "
            f"{until:%Y-%m-%d} (INGEST_HORIZON_DAYS): {_named(late)}."
        )
    noted = begun.filter(rerated_version__lt=0)
    waiting = UsageVersion.objects.filter(oldest_at__lt=before)
    if count := noted.count() + waiting.count():
        yield f"Usage that came late is not worked in yet ({count:,} times); a worker does it within seconds."
    unbilled = _without_invoices(before)
    if unbilled.exists():
        keys = ", ".join(unbilled.values_list("customer__key", flat=True)[:NAMED])
        yield f"{unbilled.count():,} assignments have no invoice yet: {keys}."


def _without_invoices(before: datetime) -> "QuerySet[Assignment]":
    """Assignments from that time that no invoice was opened for; a worker does so."""
    return Assignment.objects.filter(starts_on__lt=before.date(), invoices=None).filter(
        Q(ends_on=None) | Q(ends_on__gt=F("starts_on"))
    )


def _count(invoices: "QuerySet[Invoice]") -> str:
    count = invoices.count()
    return "1 invoice is" if count == 1 else f"{count:,} invoices are"


def _named(invoices: "QuerySet[Invoice]") -> str:
    some = invoices.select_related("customer").order_by("period_start", "pk")[:NAMED]
    named = [f"{one.number or one.pk} of {one.customer.key} ({period_words(one.period, one.zone)})" for one in some]
    more = invoices.count() - len(named)
    return ", ".join(named) + (f" and {more:,} more" if more else "")
