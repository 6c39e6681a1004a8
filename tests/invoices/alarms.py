"""Alerts as tests want them, on November's bills."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from invoices import due, services
from invoices.alerting.alerts import create_alert
from invoices.models import Alert, AlertFiring, Mail, MailSetting, OutboxEvent
from meters.models import Meter
from tests.invoices.november import NOW

# Before every period of these tests.
LONG_AGO = datetime.fromisoformat("2026-01-01T00:00:00Z")


def alert(kind: str = "amount", threshold: Any = 40, *, now: datetime = LONG_AGO, **fields: Any) -> Alert:
    """An alert, as of long ago. Of money it is in dollars, of units it is of calls."""
    if kind in ("amount", "budget"):
        fields.setdefault("currency", "USD")
    else:
        fields.setdefault("product_item", Meter.objects.get(key="ApiCalls").product_item)
    fields.setdefault("name", f"{kind} {threshold}")
    return create_alert(kind=kind, threshold=threshold, now=now, **fields)


def work(now: datetime = NOW) -> None:
    """What a sweep does with the bills that are behind, as of `now`."""
    services.recalculate_stale(due.stale_invoices(1000, now=now), now=now)


def fired(*alerts: Alert) -> list[tuple[str, str, Decimal]]:
    """Which alerts were told of whom, and what was reached, in order."""
    firings = AlertFiring.objects.order_by("id").select_related("alert", "invoice__customer")
    if alerts:
        firings = firings.filter(alert__in=alerts)
    return [(one.alert.name, one.invoice.customer.key, one.value) for one in firings]


def mails_on() -> None:
    MailSetting.objects.update_or_create(kind=MailSetting.Kind.ALERT_TRIGGERED, defaults={"enabled": True})


def mailed() -> list[tuple[str, str]]:
    return list(Mail.objects.order_by("id").values_list("recipient", "subject"))


def told() -> list[dict[str, Any]]:
    return [event.data for event in OutboxEvent.objects.filter(type="alert.triggered").order_by("id")]
