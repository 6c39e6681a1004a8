"""What people find in their mails."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.utils import timezone

from invoices.mailing.mails import send_due
from portal.people.mailed_links import answer_requests


@pytest.fixture(autouse=True)
def _mailbox(settings: Any) -> Iterator[None]:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    settings.PUBLIC_URL = ""
    mail.outbox = []
    yield
    mail.outbox = []


def deliver() -> list[Any]:
    """Does what the worker does, and answers the mails that went out by that."""
    before = len(mail.outbox)
    answer_requests(now=timezone.now())
    send_due()
    return mail.outbox[before:]


def link_in(message: Any) -> str:
    """The path of the one link in a mail, which its HTML has, too."""
    [url] = set(re.findall(r"http://testserver/\S+", message.body))
    assert f'href="{url}"' in message.alternatives[0][0]
    return urlsplit(url).path
