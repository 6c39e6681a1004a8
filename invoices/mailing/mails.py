"""Mails: rows in the transaction that gives the reason for them, sent afterwards, tried again until they are taken."""

import logging
import random
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from email.utils import parseaddr
from smtplib import SMTPRecipientsRefused, SMTPResponseException

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from invoices.branding import Brand, brand
from invoices.figures import MAILS
from invoices.mailing.attachments import attachments_of
from invoices.mailing.contents import MailContent, page_url
from invoices.mailing.mails_sql import MAILING
from invoices.mailing.private_links import Over, text_and_html
from invoices.mailing.recipients import distinct
from invoices.models import Mail, MailSetting
from meters.statements import execute

logger = logging.getLogger(__name__)

Status = Mail.Status
# Seconds from one try to the next; behind the last of them it goes on by that one.
WAITS = (30, 120, 600, 1800, 3600, 10800, 21600)
JITTER = 10
OUTCOME_OF = {Status.SENT: "delivered", Status.WAITING: "retried", Status.FAILED: "failed"}
TRIED_FOR = timedelta(days=3)
# No try is put off for longer: what says so was written by a clock that has been put back since.
LONGEST_WAIT = timedelta(hours=7)
LONGEST_SUBJECT = 300
# How many rows one statement stores.
AT_ONCE = 500

# What a mail is about, whom it is for, and what it says.
Reason = tuple[str, Iterable[str] | Callable[[], Iterable[str]], MailContent | Callable[[], MailContent]]


def queue(
    kind: str,
    about: str,
    recipients: Iterable[str] | Callable[[], Iterable[str]],
    content: MailContent | Callable[[], MailContent],
    now: datetime,
) -> int:
    """Writes a mail to each of these addresses, if mails of this kind are switched on; answers to how many. `about` is
    its one reason, such as "invoice:42": for that nobody gets a second one. Call it in the transaction of the reason.
    """
    return queue_many(kind, [(about, recipients, content)], now)


def queue_many(kind: str, reasons: Iterable[Reason], now: datetime) -> int:
    """Like `queue`, for many reasons at once: each with its recipients and what it says."""
    setting = MailSetting.objects.filter(kind=kind, enabled=True).first()
    if setting is None:
        return 0
    mails: list[Mail] = []
    for about, recipients, content in reasons:
        addresses = distinct(recipients() if callable(recipients) else recipients)
        if addresses:
            made = content() if callable(content) else content
            mails += _mails(setting, about, addresses, made, now)
    Mail.objects.bulk_create(mails, ignore_conflicts=True, batch_size=AT_ONCE)
    return len(mails)


def queue_test(kind: str, address: str, content: MailContent, now: datetime, *, about: str = "") -> bool:
    """Writes a mail that shows somebody what mails of this kind say, also while they are switched off. `about`: its
    reason, where nobody is to get a second one for it; answers whether there was none yet."""
    reason = f"test:{about or secrets.token_hex(8)}"
    [mail] = _mails(setting_of(kind), reason, [address], content, now)
    mail.subject = f"Test: {mail.subject}"[:LONGEST_SUBJECT]
    if Mail.objects.filter(kind=kind, about=reason, recipient=address).exists():
        return False
    Mail.objects.bulk_create([mail], ignore_conflicts=True)
    return True


def _mails(
    setting: MailSetting, about: str, addresses: Iterable[str], content: MailContent, now: datetime
) -> list[Mail]:
    subject, text, html = rendered(setting, content)
    return [
        Mail(
            kind=setting.kind,
            about=about,
            recipient=address,
            subject=subject,
            text=text,
            html=html,
            next_try_at=now,
            created_at=now,
        )
        for address in addresses
    ]


def rendered(
    setting: MailSetting, content: MailContent, look: Brand | None = None, *, logos: tuple[str, str] | None = None
) -> tuple[str, str, str]:
    """Subject, text and HTML of a mail, with what staff have written above and below, in the look of the brand.
    `logos` are the addresses of pictures that are not stored yet, for light and dark."""
    look = look or brand()
    subject = " ".join((setting.subject or content.subject).split())[:LONGEST_SUBJECT]
    # Nobody can do without what they wait for, such as a link to sign in with.
    is_chosen = setting.kind in MailSetting.Kind.values
    logo_url, dark_logo_url = logos or (_logo_url(look.logo_version), _logo_url(look.dark_logo_version))
    context = {
        "subject": subject,
        "content": content,
        "greeting": setting.greeting or "Hello,",
        "closing": setting.closing or look.name,
        "brand": look,
        "logo_url": logo_url,
        "dark_logo_url": dark_logo_url,
        "logo_size": look.logo_size(height=32, width=240),
        "settings_url": page_url("portal:settings") if is_chosen and not content.is_for_staff else "",
    }
    return subject, render_to_string("mail/message.txt", context), render_to_string("mail/message.html", context)


def _logo_url(version: int) -> str:
    """Mails load it from the portal; nothing where the installation does not know its own address."""
    return f"{url}?v={version}" if version and (url := page_url("portal:brand-logo")) else ""


def setting_of(kind: str) -> MailSetting:
    """The setting of a kind of mail; switched off where it was never set."""
    return MailSetting.objects.filter(kind=kind).first() or MailSetting(kind=kind)


def send_due(*, now: datetime | None = None, most: int = 50, alone: bool = False) -> int:
    """Sends mails that are due, and answers how many it tried. Where `alone`, only if no other worker does so too.

    Each is held while it is sent, and written down by itself: who dies sends at most one a second time, under the same
    Message-ID. After one that the mail server could not be reached for, the others wait for the next call.
    """
    now = now or timezone.now()
    backend: BaseEmailBackend = get_connection()
    tried = 0
    try:
        while tried < most:
            found = _send_next(backend, now, alone)
            tried += found is not None
            if not found:
                break
    finally:
        backend.close()
    return tried


@transaction.atomic
def _send_next(backend: BaseEmailBackend, now: datetime, alone: bool) -> bool | None:
    """Whether to go on behind the next mail; None where there is none."""
    if alone and execute(MAILING, {}) == [(False,)]:
        return None
    is_due = Q(next_try_at__lte=now) | Q(next_try_at__gt=now + LONGEST_WAIT) | Q(attempts=0)
    due = Mail.objects.filter(is_due, status=Status.WAITING)
    mail = due.order_by("next_try_at", "id").select_for_update(skip_locked=True).first()
    if mail is None:
        return None
    mail.attempts += 1
    goes_on, made = True, False
    try:
        # A fault of the database while it is made is this mail's alone.
        with transaction.atomic():
            message = _message(mail, backend, now)
        made = True
        message.send()
    except Exception as error:
        mail.error = f"{type(error).__name__}: {error}".replace("\0", "")[:300]
        mail.next_try_at = None if _is_final(error) else _next_try(mail, now)
        mail.status = Status.WAITING if mail.next_try_at else Status.FAILED
        logger.warning("mail %s was not sent: %s", mail.pk, error)
        goes_on = not made or isinstance(error, SMTPRecipientsRefused | SMTPResponseException | Over)
    else:
        mail.status, mail.sent_at, mail.next_try_at, mail.error = Status.SENT, now, None, ""
    MAILS[OUTCOME_OF[mail.status]].inc()
    mail.save(update_fields=["attempts", "error", "next_try_at", "status", "sent_at"])
    return goes_on


def _message(mail: Mail, backend: BaseEmailBackend, now: datetime) -> EmailMultiAlternatives:
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].partition("@")[2] or "localhost"
    headers = {
        "Message-ID": f"<tollmeter.{mail.pk}.{int(mail.created_at.timestamp())}@{domain}>",
        "Auto-Submitted": "auto-generated",
    }
    text, html = text_and_html(mail, now)
    message = EmailMultiAlternatives(mail.subject, text, to=[mail.recipient], headers=headers, connection=backend)
    message.attach_alternative(html, "text/html")
    for file in attachments_of(mail, now):
        message.attach(file.name, file.content, file.media_type)
    return message


def _is_final(error: Exception) -> bool:
    """Whether the mail server will never take it."""
    if isinstance(error, SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, ValueError)  # an address or a header that cannot be written


def _next_try(mail: Mail, now: datetime) -> datetime | None:
    seconds = WAITS[min(mail.attempts, len(WAITS)) - 1]
    at = now + timedelta(seconds=seconds * random.randint(100 - JITTER, 100 + JITTER) // 100)
    return None if at > mail.created_at + TRIED_FOR else at


def send_again(mail: Mail, *, now: datetime | None = None) -> Mail:
    """Has a mail sent once more."""
    mail.status, mail.next_try_at = Status.WAITING, now or timezone.now()
    mail.save(update_fields=["status", "next_try_at"])
    return mail
