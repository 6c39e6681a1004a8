"""The mail of a customer's own alert, sent to one of its people to try it."""

from datetime import datetime

from django.core.exceptions import ValidationError

from invoices.alerting.alerts import own_alerts
from invoices.alerting.preview import mail_of
from invoices.mailing.mails import queue_test
from invoices.mailing.recipients import recipients_of
from invoices.models import MailSetting
from meters.models import Customer

# Nobody's inbox is filled by trying: an address gets one of a customer's test mails in so many seconds.
APART = 60


def send_own_test(customer: Customer, alert_id: int, *, address: str, now: datetime) -> str:
    """Writes a test mail of a customer's own alert, and answers to which address. Raises Alert.DoesNotExist for one
    that is not its own, and ValidationError by field for an address that is none of its people's."""
    alert = own_alerts(customer).select_related("customer", "product_item__meter").get(pk=alert_id)
    known = {one.casefold(): one for one in recipients_of(customer)}
    to = known.get(address.strip().casefold())
    if to is None:
        raise ValidationError({"address": "This is neither the customer's address nor a portal member's."})
    about = f"{customer.pk}:{int(now.timestamp()) // APART}"
    if not queue_test(MailSetting.Kind.ALERT_TRIGGERED, to, mail_of(alert), now, about=about):
        raise ValidationError({"address": "A test mail is on its way there already. Try again in a minute."})
    return to
