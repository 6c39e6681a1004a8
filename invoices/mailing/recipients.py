"""Who gets a customer's mails: its own address, and whoever others add, as `portal` does its members."""

from collections.abc import Callable, Iterable

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from meters.models import Customer

Source = Callable[[Customer], Iterable[str]]
_sources: list[Source] = []


def add_source(source: Source) -> None:
    """Has a function say more addresses of a customer. Adding it twice adds it once."""
    if source not in _sources:
        _sources.append(source)


def recipients_of(customer: Customer) -> list[str]:
    """The addresses, each once."""
    return distinct([customer.email, *(address for source in _sources for address in source(customer))])


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
