"""Mails with a link that nobody may know but who gets them: it is made as the mail is sent, and stored nowhere.

Until then PLACE stands where it goes, and that is what staff see of such a mail.
"""

from collections.abc import Callable
from datetime import datetime
from html import escape

from invoices.models import Mail

PLACE = "made-when-the-mail-is-sent"

# From what a mail is about to its link; None where that has become pointless.
Maker = Callable[[str, datetime], str | None]
_makers: dict[str, Maker] = {}


class Over(ValueError):
    """There is nothing to send any more."""


def add_maker(kind: str, maker: Maker) -> None:
    """Has a function make the links of this kind of mail."""
    _makers[kind] = maker


def text_and_html(mail: Mail, now: datetime) -> tuple[str, str]:
    """What a mail says as it goes out. Raises Over."""
    maker = _makers.get(mail.kind)
    if maker is None:
        return mail.text, mail.html
    url = maker(mail.about, now)
    if url is None:
        raise Over("its link would open nothing any more")
    return mail.text.replace(PLACE, url), mail.html.replace(PLACE, escape(url))
