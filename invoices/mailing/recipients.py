"""Who gets a customer's mails: its own address, and whoever others add, as `portal` does its members."""

from collections.abc import Callable, Iterable

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from invoices.models import MailSetting
from meters.models import Customer

# Asked with a kind of mail for those who want it, and with "" for all of them.
Source = Callable[[Customer, str], Iterable[str]]
_sources: list[Source] = []


def add_source(source: Source) -> None:
    """Has a function say more addresses of a customer. Adding it twice adds it once."""
    if source not in _sources:
        _sources.append(source)


def recipients_of(customer: Customer, kind: str = "") -> list[str]:
    """The addresses, each once: those who get mails of a kind, or all. Invoices reach somebody: where nobody who is
    left wants them, everybody gets them."""
    found = willing(customer, kind)
    return found or willing(customer, "") if kind == MailSetting.Kind.INVOICE_FINALIZED else found


def willing(customer: Customer, kind: str) -> list[str]:
    """Those who want mails of a kind. The customer's own address gets them all."""
    return distinct([customer.email, *(address for source in _sources for address in source(customer, kind))])


def distinct(addresses: Iterable[str]) -> list[str]:
    """Those of these addresses that mail can be sent to, each once; capitals make no difference."""
    found: dict[str, str] = {}
    for address in addresses:
        text = address.strip()
        try:
            validate_email(text)
        except ValidationError:
            continue
        found.setdefault(text.casefold(), text)
    return list(found.values())
