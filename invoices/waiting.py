"""How much waits to be done, and for how long: what an installation is looked after by."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from invoices import backlog_sql, due
from invoices.models import Invoice, Mail, WebhookDelivery
from meters.statements import execute

# How far back a failure is told of.
LATELY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Backlog:
    """So many, and for how long the oldest could have been done."""

    count: int
    age: timedelta


@dataclass(frozen=True, slots=True)
class StaleInvoice:
    """The live invoice that was computed longest ago of those that something has overtaken since. It was overtaken at
    some time after it was computed: at which is stored nowhere."""

    id: int
    computed_at: datetime | None


def stale_invoice(now: datetime) -> StaleInvoice | None:
    found = due.stale_invoices(1, now=now)
    row = Invoice.objects.filter(pk__in=found).values_list("pk", "computed_at").first()
    return StaleInvoice(*row) if row else None


def closing(now: datetime) -> Backlog:
    return _backlog(backlog_sql.CLOSING, now)


def outbox(now: datetime) -> Backlog:
    return _backlog(backlog_sql.OUTBOX, now)


def mails(now: datetime) -> Backlog:
    return _backlog(backlog_sql.MAILS, now)


def deliveries(now: datetime) -> Backlog:
    return _backlog(backlog_sql.WEBHOOKS, now)


def failed_mails(now: datetime) -> int:
    """Mails of late that were given up."""
    return Mail.objects.filter(status=Mail.Status.FAILED, created_at__gte=now - LATELY).count()


def failed_deliveries(now: datetime) -> int:
    """Webhooks of late that were given up."""
    given_up = WebhookDelivery.objects.filter(status=WebhookDelivery.Status.FAILED)
    return given_up.filter(created_at__gte=now - LATELY).count()


def last_audit(now: datetime) -> tuple[int, timedelta] | None:
    """What the last audit that came to its end has found, and how long ago that was."""
    rows = execute(backlog_sql.AUDIT, {"now": now})
    return (int(rows[0][0]), _age(rows[0][1])) if rows else None


def _backlog(statement: str, now: datetime) -> Backlog:
    ((count, seconds),) = execute(statement, {"now": now})
    return Backlog(int(count), max(_age(seconds or Decimal(0)), timedelta()))


def _age(seconds: Decimal) -> timedelta:
    return timedelta(microseconds=int(seconds * 1_000_000))
