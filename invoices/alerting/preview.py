"""Where an alert stands on the running bills of one customer, before it is told of; also one that is not stored yet."""

from collections.abc import Sequence
from dataclasses import dataclass

from invoices.alerting.standing import Standing, standing_of
from invoices.alerting.words import standing_words
from invoices.mailing.contents import MailContent, alert_content, alert_example
from invoices.models import Alert, AlertFiring, Invoice, InvoiceLine
from meters.models import Customer
from meters.words import period_words


@dataclass(frozen=True, slots=True)
class BillStanding:
    """`words` is empty where there is nothing on the bill that the alert watches."""

    invoice: Invoice
    standing: Standing | None
    words: str
    period: str
    is_watched: bool


def standings(alert: Alert, customer: Customer) -> list[BillStanding]:
    """On each running bill of a customer, as it was computed last. A period that was over when the alert was made is
    not watched."""
    [found] = standings_of_each([alert], customer)
    return found


def standings_of_each(alerts: Sequence[Alert], customer: Customer) -> list[list[BillStanding]]:
    """Those of several alerts, with as many statements as for one."""
    live = Invoice.objects.filter(customer=customer, status__in=Invoice.LIVE).select_related("plan_version__plan")
    invoices = list(live.order_by("period_start", "pk"))
    items = {alert.product_item_id or 0 for alert in alerts}
    lines = list(InvoiceLine.objects.filter(invoice__in=invoices, product_item__in=items))
    return [[_standing(alert, invoice, lines) for invoice in invoices] for alert in alerts]


def _standing(alert: Alert, invoice: Invoice, lines: Sequence[InvoiceLine]) -> BillStanding:
    own = [line for line in lines if line.invoice_id == invoice.pk]
    standing = standing_of(alert, invoice.currency, invoice.subtotal, own)
    words = "" if standing is None else standing_words(alert, standing)
    is_watched = invoice.period_end > alert.created_at
    return BillStanding(invoice, standing, words, period_words(invoice.period, invoice.zone), is_watched)


def alert_then(firing: AlertFiring) -> Alert:
    """The alert of a firing, with the threshold that it had then."""
    alert = firing.alert
    alert.threshold, alert.budget = firing.threshold, firing.budget or None
    return alert


def mail_of(alert: Alert) -> MailContent:
    """What a mail of an alert says: of the newest bill that it was told of, else of one that it watches, as if that had
    just reached its threshold."""
    about = ("alert__product_item__meter", "invoice__customer")
    firing = AlertFiring.objects.filter(alert=alert).select_related(*about).order_by("-pk").first()
    if firing is not None:
        return alert_content(alert_then(firing), firing.invoice, firing.value)
    if alert.customer is not None:
        for one in standings(alert, alert.customer):
            if one.standing is not None:
                one.invoice.customer = alert.customer
                return alert_content(alert, one.invoice, max(one.standing.value, alert.threshold))
    return alert_example(alert)
