"""Mails to one person who waits for them. They cannot be switched off, and go ahead of those about bills."""

from datetime import datetime, timedelta

from invoices.mailing.contents import MailContent
from invoices.mailing.mails import rendered
from invoices.models import Mail, MailSetting, PersonalMail

# Mails are sent in the order of when they were due; a month's end may leave thousands waiting.
AHEAD = timedelta(days=1)


def queue_personal(kind: PersonalMail, about: str, address: str, content: MailContent, now: datetime) -> None:
    """Writes a mail to this address. `about` is its one reason: for that there is no second one. Call it in the
    transaction of the reason."""
    subject, text, html = rendered(MailSetting(kind=kind), content)
    mail = Mail(
        kind=kind,
        about=about,
        recipient=address,
        subject=subject,
        text=text,
        html=html,
        next_try_at=now - AHEAD,
        created_at=now,
    )
    Mail.objects.bulk_create([mail], ignore_conflicts=True)
