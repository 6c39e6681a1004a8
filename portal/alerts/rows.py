"""A customer's own alerts in words: what each watches, where it stands, who gets its mail, when it was reached."""

from collections.abc import Sequence
from dataclasses import dataclass

from invoices.alerting.alerts import own_alerts, own_firings
from invoices.alerting.preview import BillStanding, alert_then, standings_of_each
from invoices.alerting.watching import addresses_among
from invoices.alerting.words import reached_words, watched_words
from invoices.mailing.recipients import recipients_of
from invoices.models import Alert, AlertFiring, Invoice, MailSetting
from meters.models import Customer
from portal.access import visible_invoices


@dataclass(frozen=True, slots=True)
class LastReached:
    """`invoice` is None where the customer does not see it any more."""

    firing: AlertFiring
    words: str
    invoice: Invoice | None


@dataclass(frozen=True, slots=True)
class AlertRow:
    """`bills`: the running ones that have what the alert watches."""

    alert: Alert
    watches: str
    bills: Sequence[BillStanding]
    addresses: Sequence[str]
    is_to_all: bool
    last: LastReached | None


def alert_rows(customer: Customer) -> list[AlertRow]:
    """All of them, in a number of statements that does not grow with them."""
    alerts = list(own_alerts(customer).select_related("product_item__meter").order_by("pk"))
    if not alerts:
        return []
    known = recipients_of(customer, MailSetting.Kind.ALERT_TRIGGERED)
    last = _last_reached(customer)
    return [
        _row(alert, bills, known, last.get(alert.pk))
        for alert, bills in zip(alerts, standings_of_each(alerts, customer), strict=True)
    ]


def alert_row(alert: Alert, customer: Customer) -> AlertRow:
    [bills] = standings_of_each([alert], customer)
    return _row(
        alert, bills, recipients_of(customer, MailSetting.Kind.ALERT_TRIGGERED), _last_reached(customer).get(alert.pk)
    )


def _row(alert: Alert, bills: Sequence[BillStanding], known: Sequence[str], last: LastReached | None) -> AlertRow:
    watched = [bill for bill in bills if bill.standing is not None and bill.is_watched]
    addresses = addresses_among(alert, known)
    return AlertRow(alert, watched_words(alert), watched, addresses, len(addresses) == len(known), last)


def _last_reached(customer: Customer) -> dict[int, LastReached]:
    """By alert, with the threshold of then."""
    newest = own_firings(customer).order_by("alert_id", "-pk").distinct("alert_id")
    firings = list(newest.select_related("alert__product_item__meter"))
    visible = visible_invoices(customer).in_bulk({firing.invoice_id for firing in firings})
    return {
        firing.alert_id: LastReached(
            firing, reached_words(alert_then(firing), firing.value), visible.get(firing.invoice_id)
        )
        for firing in firings
    }


def mails_are_off() -> bool:
    return not MailSetting.objects.filter(kind=MailSetting.Kind.ALERT_TRIGGERED, enabled=True).exists()
