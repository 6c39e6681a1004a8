"""When customers get a mail. Where mails of a kind are switched off, one statement finds it out."""

from datetime import datetime
from decimal import Decimal

from invoices.mailing.contents import credit_content, invoice_content
from invoices.mailing.mails import queue
from invoices.mailing.recipients import recipients_of
from invoices.models import CreditRule, Invoice, MailSetting

Kind = MailSetting.Kind


def invoice_is_final(invoice: Invoice, now: datetime) -> None:
    """Behind its credits: what they pay is not asked for."""
    queue(
        Kind.INVOICE_FINALIZED,
        f"invoice:{invoice.pk}",
        lambda: recipients_of(invoice.customer, Kind.INVOICE_FINALIZED),
        lambda: invoice_content(invoice),
        now,
    )


def credit_is_low(rule: CreditRule, left: Decimal, now: datetime) -> None:
    """Each time that it has become low."""
    queue(
        Kind.CREDIT_LOW,
        f"customer:{rule.customer_id}:{int(now.timestamp() * 1000)}",
        lambda: recipients_of(rule.customer, Kind.CREDIT_LOW),
        lambda: credit_content(rule, left),
        now,
    )
