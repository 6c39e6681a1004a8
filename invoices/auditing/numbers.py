"""Numbers of invoices and credit notes against the counters that they come from: no gap, no repeat, none too many.

The format may have changed in the middle of a year, so a number that is not of the format of now is taken apart: beside
the year, and beside digits that are the same in all of its kind, it has one run of digits, which is the count.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple
from zoneinfo import ZoneInfo

from django.conf import settings

from invoices.auditing.looking import Finding, Seen
from invoices.models import AuditFinding, CreditNote, Invoice, NumberSeries
from invoices.numbering import formatted
from invoices.policy import billing_policy

CHECK = AuditFinding.Check.NUMBERS
Series = NumberSeries.Series
# Of one counter, as findings; the last of them says how many more there are.
MOST_GAPS = 50
DIGITS = re.compile("[0-9]+")


class Document(NamedTuple):
    pk: int
    number: str
    at: datetime


class Gap(NamedTuple):
    """Counts from `first` to `last` that no document has."""

    first: int
    last: int


def look() -> Seen:
    """All of the account, of one snapshot."""
    seen = Seen()
    seen.checked[CHECK] = 0
    policy = billing_policy()
    invoices = Invoice.objects.exclude(number="").order_by("pk").values_list("pk", "number", "finalized_at")
    notes = CreditNote.objects.order_by("pk").values_list("pk", "number", "issued_at")
    for series, rows, pattern in (
        (Series.INVOICE, invoices.iterator(), policy.invoice_numbers),
        (Series.CREDIT_NOTE, notes.iterator(), policy.credit_note_numbers),
    ):
        counters = dict(NumberSeries.objects.filter(series=series).values_list("year", "last"))
        by_year: dict[int, list[tuple[int, Document]]] = defaultdict(list)
        for year, count, document in _counted(map(Document._make, rows), pattern):
            by_year[year].append((count, document))
        seen.checked[CHECK] += sum(len(some) for some in by_year.values())
        for year in sorted({*counters, *by_year}):
            seen.findings += _of_year(series, year, counters.get(year), by_year[year], pattern)
    return seen


def _of_year(
    series: str, year: int, last: int | None, counted: Sequence[tuple[int, Document]], pattern: str
) -> Iterator[Finding]:
    words = f"{Series(series).label} of {year}"
    highest = max((count for count, _ in counted), default=0)
    if last is None:
        yield Finding(CHECK, f"{words}: the counter is not there", None, None, str(highest), "no counter")
        last = highest
    elif highest > last:
        document = max(counted)[1]
        invoice = document.pk if series == Series.INVOICE else None
        text = f"{words}: the counter is behind {document.number}"
        yield Finding(CHECK, text, None, invoice, str(highest), str(last))
    documents: dict[int, list[Document]] = defaultdict(list)
    for count, document in counted:
        documents[count].append(document)
    for count, some in sorted(documents.items()):
        if len(some) > 1:
            numbers = ", ".join(document.number for document in some)
            invoice = some[1].pk if series == Series.INVOICE else None
            text = f"{words}: {count} was given more than once, as {numbers}"[:500]
            yield Finding(CHECK, text, None, invoice, "1 document", f"{len(some)} documents")
    gaps = _gaps(documents, max(last, highest))
    for gap in gaps[:MOST_GAPS]:
        numbers = " to ".join(dict.fromkeys(formatted(pattern, year, count) for count in gap))
        yield Finding(
            CHECK, f"{words}: no document has the number {numbers}"[:500], None, None, "no gap", numbers[:120]
        )
    if len(gaps) > MOST_GAPS:
        more = f"more gaps: {len(gaps) - MOST_GAPS:,}"
        yield Finding(CHECK, f"{words}: {more}", None, None, "no gap", more)


def _gaps(counts: Iterable[int], last: int) -> list[Gap]:
    gaps: list[Gap] = []
    before = 0
    for count in sorted(count for count in counts if count > 0):
        if count > before + 1:
            gaps.append(Gap(before + 1, count - 1))
        before = count
    if before < last:
        gaps.append(Gap(before + 1, last))
    return gaps


# --- Which year and count a number is of ---


def _counted(documents: Iterable[Document], pattern: str) -> Iterator[tuple[int, int, Document]]:
    """Year, count and document. One of whose number nothing can be made is the year's number 0, a gap and no more."""
    of_now = _expression(pattern)
    others: list[Document] = []
    for document in documents:
        match = of_now.fullmatch(document.number)
        if match is not None:
            yield int(match["year"]), int(match["number"]), document
        else:
            others.append(document)
    others.sort(key=lambda one: DIGITS.sub("0", one.number))
    for _, alike in groupby(others, lambda one: DIGITS.sub("0", one.number)):
        yield from _taken_apart(list(alike))


def _expression(pattern: str) -> re.Pattern[str]:
    """What numbers of a format look like."""
    # Through the format itself, so that braces are read as it reads them.
    text = re.escape(formatted(re.sub(r"\{number:0?[0-9]*\}", "{number}", pattern), 9999, 8888888))
    year, count = "(?P<year>[0-9]{4})", "(?P<number>[0-9]+)"
    return re.compile(text.replace("9999", year, 1).replace("8888888", count, 1))


def _taken_apart(alike: Sequence[Document]) -> Iterator[tuple[int, int, Document]]:
    """Of numbers that have digits at the same places."""
    zone = ZoneInfo(settings.ACCOUNT_TIME_ZONE)
    runs = [DIGITS.findall(one.number) for one in alike]
    places = range(len(runs[0]))
    years = [one.at.astimezone(zone).year for one in alike]
    of_year = next(
        (at for at in places if all(run[at] == str(year) for run, year in zip(runs, years, strict=True))), None
    )
    # The place with the most different texts; of several the last.
    counts = sorted((len({run[at] for run in runs}), at) for at in places if at != of_year)
    for document, run, year in zip(alike, runs, years, strict=True):
        yield year, int(run[counts[-1][1]]) if counts else 0, document
