"""What a stored line is about: whose period, which span of it, and which usage.

That is not stored with the line; it follows from what is: the assignment and its trial, the version of the plan, the
filters of its rates. Of a correction it is what the corrected line is about.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from invoices.computing import filters_of, product_items, unpriced_spans
from invoices.models import Invoice, InvoiceLine
from invoices.pricing_of import PricedVersion, priced_version
from invoices.subjects import Subject, parts_of_periods
from meters.models import Meter
from meters.periods import Period
from meters.usage import Group
from pricing.models import ProductItem

Where = Mapping[str, Sequence[str]]
KINDS = InvoiceLine.Kind
# A line and those like it.
Alike = tuple[int, str, int | None, str]
# Of the whole period, whatever part of it is charged.
OF_ALL = (KINDS.PROMOTION, KINDS.TAX)


@dataclass(frozen=True, slots=True)
class Counted:
    """Usage of a meter in a span: of all that has one of the texts of each name in `where` and meets none of the
    filters of `unless`. With `apart` the version's filters keep it apart from the meter's other usage, as `group`."""

    meter: Meter
    span: Period
    where: Where
    unless: tuple[Where, ...]
    apart: bool
    group: Group


@dataclass(frozen=True, slots=True)
class About:
    """`of` is the invoice whose period the line is about: its own, or the one that it corrects, and `kind` and `key`
    say what line of that. `counted` has several spans where it cannot be told which of them a line is about; nothing
    where it counts no usage."""

    line: InvoiceLine
    of: Invoice
    priced: PricedVersion
    kind: str
    key: str
    span: Period
    counted: tuple[Counted, ...] = ()


def about_of(invoice: Invoice, lines: Sequence[InvoiceLine]) -> list[About]:
    """What each of these lines of an invoice is about, in order, in as many statements as of one."""
    return _Spans(invoice, lines).found


class _Spans:
    def __init__(self, invoice: Invoice, lines: Sequence[InvoiceLine]) -> None:
        corrected = {line.corrects_id for line in lines if line.corrects_id}
        self.invoices: dict[int, Invoice] = {invoice.pk: invoice}
        if corrected:
            parts = ("customer", "assignment", "plan_version__plan")
            self.invoices |= Invoice.objects.select_related(*parts).in_bulk(corrected)
        self.subjects = {pk: _subject(one) for pk, one in self.invoices.items()}
        # The trial of each period, and what of it is charged.
        parts_of = parts_of_periods(list(self.subjects.values()))
        self.parts: dict[int, tuple[Period, Period]] = dict(zip(self.subjects, parts_of, strict=True))
        self.items = product_items() if any(line.product_item_id for line in lines) else []
        self.by_id = {item.pk: item for item in self.items}
        self.unpriced = self._unpriced(invoice.pk, lines)
        self.found = self._several([self._about(line, invoice.pk) for line in lines])

    def _unpriced(self, own: int, lines: Sequence[InvoiceLine]) -> dict[tuple[int, int], list[Period]]:
        """By invoice and product item, the spans in which nothing prices it. Such lines are never corrected."""
        found: dict[tuple[int, int], list[Period]] = defaultdict(list)
        if any(line.kind == KINDS.UNPRICED for line in lines):
            for item, span in unpriced_spans([self.subjects[own]], self.items)[0]:
                found[own, item.pk].append(span)
        return found

    def _about(self, line: InvoiceLine, own: int) -> About:
        pk = line.corrects_id or own
        kind, invoice = _kind_of(line), self.invoices[pk]
        key = line.corrects_key.partition(":")[2] if line.corrects_id else line.fee_key
        about = About(line, invoice, self.subjects[pk].priced, kind, key, invoice.period)
        charged = self.parts[pk][1]
        if kind not in OF_ALL and charged.length:
            about = replace(about, span=charged)
        item = self.by_id.get(line.product_item_id or 0)
        if item is None or kind not in (KINDS.USAGE, KINDS.TRIAL, KINDS.UNPRICED):
            return about
        counted = self._counted(pk, kind, item, line.where)
        return replace(about, span=_hull(one.span for one in counted) or about.span, counted=tuple(counted))

    def _counted(self, pk: int, kind: str, item: ProductItem, where: Mapping[str, Any]) -> list[Counted]:
        priced, (trial, charged) = self.subjects[pk].priced, self.parts[pk]
        rates = priced.rates.get(item.pk, ())
        if kind == KINDS.TRIAL:
            return [Counted(item.meter, trial, {}, (), False, ())]
        if not rates:
            return [Counted(item.meter, span, {}, (), False, ()) for span in self.unpriced.get((pk, item.pk), [])]
        filters = [rate.where for rate in rates if rate.where]
        place = next((index for index, one in enumerate(filters) if _same(one, where)), len(filters))
        text = str(place) if place < len(filters) else ""
        return [
            Counted(
                meter=item.meter,
                span=charged,
                where=filters[place] if place < len(filters) else {},
                unless=tuple(filters[:place]),
                apart=bool(filters_of(priced, self.items)),
                group=(text,) if filters_of(priced, self.items) else (),
            )
        ]

    def _several(self, found: Sequence[About]) -> list[About]:
        """Several lines of unpriced usage of an item are about one span each, in order."""
        alike: dict[Alike, list[int]] = defaultdict(list)
        for index, one in enumerate(found):
            if len(one.counted) > 1:
                alike[one.of.pk, one.kind, one.line.product_item_id, one.line.corrects_key].append(index)
        several = list(found)
        for indexes in alike.values():
            spans = found[indexes[0]].counted
            if len(spans) == len(indexes):
                for index, counted in zip(indexes, spans, strict=True):
                    several[index] = replace(found[index], span=counted.span, counted=(counted,))
        return several


def _subject(invoice: Invoice) -> Subject:
    return Subject(
        customer=invoice.customer,
        assignment=invoice.assignment,
        priced=priced_version(invoice.plan_version),
        period=invoice.period,
    )


def _kind_of(line: InvoiceLine) -> str:
    """The kind of line that it is, or that it corrects."""
    return line.corrects_key.partition(":")[0] if line.corrects_id else line.kind


def _same(one: Where, other: Where) -> bool:
    return json.dumps({name: sorted(texts) for name, texts in one.items()}, sort_keys=True) == json.dumps(
        {name: sorted(texts) for name, texts in other.items()}, sort_keys=True
    )


def _hull(spans: Iterable[Period]) -> Period | None:
    found = list(spans)
    return Period(min(span.start for span in found), max(span.end for span in found)) if found else None
