"""Numbers of documents: one series a kind and year, without gaps."""

import re
import string
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings

from invoices.models import NumberSeries
from invoices.policy import billing_policy

LONGEST = 40


class NumberFormatError(ValueError):
    """A format that cannot make numbers; the text says why."""


def next_number(now: datetime, series: str = NumberSeries.Series.INVOICE) -> str:
    """The next number of the year that `now` is in at the account, such as "2026-0042". Call it in a transaction.

    The counter's row lock is held until that ends: whoever else wants a number waits, and a rollback gives it
    back. So numbers have no gap and no repeat, at the price of one finalisation at a time.
    """
    year = now.astimezone(ZoneInfo(settings.ACCOUNT_TIME_ZONE)).year
    NumberSeries.objects.get_or_create(series=series, year=year)
    counter = NumberSeries.objects.select_for_update().get(series=series, year=year)
    counter.last += 1
    counter.save(update_fields=["last"])
    policy = billing_policy()
    pattern = policy.invoice_numbers if series == NumberSeries.Series.INVOICE else policy.credit_note_numbers
    return formatted(pattern, year, counter.last)


def formatted(pattern: str, year: int, number: int) -> str:
    """A number by its pattern: "{year}-{number:04}" makes 2026-0042. Raises NumberFormatError."""
    check_pattern(pattern)
    return pattern.format(year=year, number=number)


def reader(pattern: str) -> re.Pattern[str]:
    """What finds `year` and `number` in the numbers that a pattern makes, and in others that look like them."""
    check_pattern(pattern)
    found = ""
    for literal, name, spec, _ in string.Formatter().parse(pattern):
        found += re.escape(literal)
        if name is not None:
            found += rf"(?P<{name}>\d{{{int(spec or 1)},}})"
    return re.compile(found, re.ASCII)


def check_pattern(pattern: str) -> None:
    """Raises NumberFormatError unless all numbers of a pattern are different from each other, printable and short."""
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError:
        raise NumberFormatError("Braces do not match.") from None
    names = [name for _, name, _, _ in parts if name is not None]
    if sorted(names) != ["number", "year"]:
        raise NumberFormatError("A number has {year} and {number} in it, once each.")
    for _, name, spec, conversion in parts:
        width = (spec or "").removeprefix("0")
        if name is not None and (conversion or (spec and not (spec.startswith("0") and width in tuple("123456789")))):
            raise NumberFormatError("After a colon stands how many digits there are at least: {number:04}.")
    text = pattern.format(year=9999, number=10**9)
    if len(text) > LONGEST or not text.isascii() or not text.isprintable() or text != text.strip():
        raise NumberFormatError(f"A number has at most {LONGEST} plain characters.")
    # 2026 and 1 must not read as 202 and 61.
    between = [literal for literal, name, _, _ in parts[1:] if name is not None]
    if not all(any(not sign.isdigit() for sign in literal) for literal in between):
        raise NumberFormatError("Something that is no digit stands between {year} and {number}.")
