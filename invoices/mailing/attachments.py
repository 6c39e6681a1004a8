"""What goes out with a mail: the PDF of an invoice that has become final, made when the mail is sent."""

import logging
from datetime import datetime

from django.db import transaction

from invoices.models import Invoice, Mail, MailSetting
from invoices.papers.files import File, invoice_pdf

logger = logging.getLogger(__name__)


def attachments_of(mail: Mail, now: datetime) -> list[File]:
    """A paper that cannot be made keeps no mail from going out."""
    kind, _, pk = mail.about.partition(":")
    if mail.kind != MailSetting.Kind.INVOICE_FINALIZED or kind != "invoice" or not pk.isdecimal():
        return []
    about = ("customer", "plan_version__plan", "replaces", "replaced_by")
    invoice = Invoice.objects.filter(pk=int(pk)).select_related(*about).first()
    if invoice is None:
        return []
    try:
        with transaction.atomic():
            return [invoice_pdf(invoice, now=now)]
    except Exception:
        logger.exception("invoice %s could not be printed for mail %s", pk, mail.pk)
        return []
