"""Alerts, looked at whenever bills are computed: which thresholds they have reached that nobody was told of.

For all bills of a recalculation together: one statement where no alert could matter, one more where a bill is beyond a
threshold, and then some for those that are to be told of.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Q

from invoices.alerting.standing import standing_of
from invoices.alerting.watching_sql import FIRE
from invoices.drafting import Draft
from invoices.mailing.contents import MailContent, alert_content
from invoices.mailing.mails import queue_many
from invoices.mailing.recipients import distinct, recipients_of
from invoices.models import Alert, AlertFiring, Invoice, MailSetting, OutboxEvent
from invoices.outbox import is_wanted, tell_many
from invoices.webhooks.payloads import about_invoice, alert_data
from meters.models import Customer

NO_BUDGET = Decimal(0)


@dataclass(frozen=True, slots=True)
class Reached:
    """A bill that has reached an alert's threshold."""

    alert: Alert
    invoice: Invoice
    value: Decimal

    @property
    def once(self) -> tuple[Any, ...]:
        """What is told of once: a threshold in a period of an assignment, whichever invoice that has."""
        budget = self.alert.budget or NO_BUDGET
        return self.alert.pk, self.alert.threshold, budget, self.invoice.assignment_id, self.invoice.period_start


def look_at(bills: Sequence[tuple[Invoice, Draft]], now: datetime) -> None:
    """Tells of the thresholds that these bills have reached for the first time in their periods. Call it with their
    customers locked, in the transaction that stores the bills."""
    alerts = _watching({invoice.customer_id for invoice, _ in bills})
    reached = list(_reached(alerts, bills)) if alerts else []
    new = _untold(reached) if reached else []
    if new:
        _tell(_fire(new, now), now)


def _watching(customers: Collection[int]) -> dict[int | None, list[Alert]]:
    """By customer; under None those of each customer."""
    watching = Alert.objects.filter(Q(customer=None) | Q(customer__in=customers), enabled=True)
    found: dict[int | None, list[Alert]] = defaultdict(list)
    for alert in watching.select_related("product_item__meter").order_by("pk"):
        found[alert.customer_id].append(alert)
    return dict(found)


def _reached(alerts: Mapping[int | None, Sequence[Alert]], bills: Iterable[tuple[Invoice, Draft]]) -> Iterator[Reached]:
    for invoice, draft in bills:
        for alert in (*alerts.get(None, ()), *alerts.get(invoice.customer_id, ())):
            # What was over when it was made is not watched.
            if invoice.period_end > alert.created_at:
                standing = standing_of(alert, invoice.currency, draft.subtotal, draft.lines)
                if standing is not None and standing.is_reached:
                    yield Reached(alert, invoice, standing.value)


def _untold(reached: Sequence[Reached]) -> list[Reached]:
    """Those that were not told of, also by an invoice for the same period that is void by now."""
    firings = AlertFiring.objects.filter(
        alert__in={one.alert.pk for one in reached},
        invoice__assignment__in={one.invoice.assignment_id for one in reached},
    )
    told = set(
        firings.order_by().values_list("alert", "threshold", "budget", "invoice__assignment", "invoice__period_start")
    )
    return [one for one in reached if one.once not in told]


def _fire(reached: Sequence[Reached], now: datetime) -> list[tuple[int, Reached]]:
    """Writes them down, and answers those that nobody else has, with the ids of their firings."""
    columns: dict[str, Any] = {
        "alerts": [one.alert.pk for one in reached],
        "invoices": [one.invoice.pk for one in reached],
        "thresholds": [one.alert.threshold for one in reached],
        "budgets": [one.alert.budget or NO_BUDGET for one in reached],
        "values": [one.value for one in reached],
    }
    by_ids = {(one.alert.pk, one.invoice.pk): one for one in reached}
    with connection.cursor() as cursor:
        cursor.execute(FIRE, columns | {"now": now})
        rows = cursor.fetchall()
    return [(firing, by_ids[alert, invoice]) for firing, alert, invoice in rows]


def _tell(fired: Sequence[tuple[int, Reached]], now: datetime) -> None:
    if fired and is_wanted(OutboxEvent.Type.ALERT_TRIGGERED):
        said = [(about_invoice(one.invoice.pk), alert_data(one.alert, one.invoice, one.value)) for _, one in fired]
        tell_many(OutboxEvent.Type.ALERT_TRIGGERED, said, now)
    if fired:
        reasons = [(f"alert_firing:{pk}", _recipients(one), _content(one)) for pk, one in fired]
        queue_many(MailSetting.Kind.ALERT_TRIGGERED, reasons, now)


def _recipients(one: Reached) -> Callable[[], list[str]]:
    return lambda: addresses_of(one.alert, one.invoice.customer)


def _content(one: Reached) -> Callable[[], MailContent]:
    return lambda: alert_content(one.alert, one.invoice, one.value)


def addresses_of(alert: Alert, customer: Customer) -> list[str]:
    """Who gets the mails of an alert: for staff the addresses given, for a customer people of its own only."""
    if alert.audience == Alert.Audience.STAFF:
        return distinct(alert.recipients)
    return addresses_among(alert, recipients_of(customer, MailSetting.Kind.ALERT_TRIGGERED))


def addresses_among(alert: Alert, known: Sequence[str]) -> list[str]:
    """Who gets the mails of a customer's alert, of its people as they are by then: where none of those given is left,
    all of them."""
    wanted = {address.casefold() for address in distinct(alert.recipients)}
    return [address for address in known if address.casefold() in wanted] or list(known)
