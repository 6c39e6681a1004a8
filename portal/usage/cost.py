"""What a customer's usage of one meter in a span of time costs, by the invoices of that time: exact to the cent, where
the prices tell it; else in words why not, and units."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from invoices.costs import InvoiceCosts, PartCosts, costs_in
from invoices.lines.explained import REST
from invoices.models import Invoice
from meters.models import Customer
from meters.periods import Period, uncovered
from meters.words import period_words
from portal.access import visible_invoices
from portal.usage.periods import slot_of, stamp
from portal.usage.report import Grid, Question, compared_with, cumulated, grid_of, usage_report
from portal.usage.table import Column, Fit, UsageReport
from pricing.money import format_money, total_of
from pricing.plan_words import any_of

ZERO = Decimal(0)


class NotTold(Exception):
    """The prices do not tell what is asked for: why, in words."""


@dataclass(frozen=True, slots=True)
class _Priced:
    """What one invoice tells of the question."""

    invoice: Invoice
    parts: Sequence[PartCosts]
    is_whole: bool

    def cost(self, places: Sequence[int]) -> Decimal:
        return total_of(part.costs[place] for part in self.parts for place in places)


def cost_report(customer: Customer, question: Question, *, now: datetime) -> UsageReport:
    """The cost of each slot up to the one that `now` is in; of usage in units, where it cannot be told."""
    try:
        return _cost_report(customer, question, now)
    except NotTold as why:
        report = usage_report(customer, question, now=now)
        return replace(report, notes=(f"{why} So this is shown in units.", *report.notes))


def _cost_report(customer: Customer, question: Question, now: datetime) -> UsageReport:
    meter, span = question.meter, question.span
    grid = grid_of(span, now)
    first = grid.before[0].start if question.is_compared else span.period.start
    invoices = (
        visible_invoices(customer)
        .filter(period_start__lt=span.period.end, period_end__gt=first, is_correction=False)
        .exclude(status=Invoice.Status.VOID)
        .select_related("assignment")
        .order_by("period_start", "id")
    )
    asked = [*grid.slots, *((*grid.before, grid.so_far) if question.is_compared else ())]
    found = [one for one in costs_in(list(invoices), meter, asked, now=now) if one.parts]
    here = [one for one in found if _touches(one.invoice, span.period)]
    if not here:
        raise NotTold(f"No plan had a price for {meter} in this time.")
    currencies = sorted({one.invoice.currency for one in here})
    if len(currencies) > 1:
        raise NotTold(f"This time is charged in {' and '.join(currencies)}, which do not add up.")
    priced = [_picked(one, question) for one in here]
    places = range(len(grid.slots))
    covered = [one.invoice.period for one in priced]
    values = tuple(
        total_of(one.cost([place]) for one in priced) if _is_in(grid.slots[place], covered) else None
        for place in range(grid.begun)
    )
    report = UsageReport(
        meter=meter,
        span=span,
        slots=tuple(slot_of(slot, span, now) for slot in grid.slots),
        stamps=tuple(stamp(slot, span) for slot in grid.slots),
        groups=tuple(_parts(priced, question, grid)) if question.group else (),
        total=Column("Total", values, total_of(one.cost(places) for one in priced)),
        adds_up=True,
        currency=currencies[0],
        notes=tuple(_notes(question, priced, covered, now)),
        fits=tuple(_fit(one, question, places) for one in priced),
        is_estimate=any(one.invoice.is_live for one in priced),
    )
    if question.is_compared:
        report = _compared(report, question, grid, found)
    return cumulated(report, question.is_cumulative)


def _touches(invoice: Invoice, period: Period) -> bool:
    return invoice.period_start < period.end and period.start < invoice.period_end


def _is_in(slot: Period, covered: Sequence[Period]) -> bool:
    return any(one.start < slot.end and slot.start < one.end for one in covered)


def _picked(one: InvoiceCosts, question: Question) -> _Priced:
    """The parts that are for usage which the filters let through, and for none else."""
    filters, picked = question.filters or {}, []
    for part in one.parts:
        if any(name in part.where and text not in part.where[name] for name, text in filters.items()):
            continue
        if not all(set(part.where.get(name, ())) == {text} for name, text in filters.items()):
            names = " and ".join(filters)
            raise NotTold(f"The price of {question.meter} does not tell this {names} apart from others.")
        picked.append(part)
        if all(name in filters for name in part.where):
            # All that is left is priced here.
            break
    return _Priced(one.invoice, picked, one.is_whole)


def _words(where: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{name}: {any_of(texts)}" for name, texts in sorted(where.items())) or REST.capitalize()


def _parts(priced: Sequence[_Priced], question: Question, grid: Grid) -> list[Column]:
    """A column for each price, the greatest first: by what prices tell apart, not by what they do not."""
    group, meter = question.group, question.meter
    if not any(group in part.where for one in priced for part in one.parts):
        raise NotTold(f"The price of {meter} is the same whatever its {group}, so its cost is not split by it.")
    found: dict[str, list[PartCosts]] = defaultdict(list)
    for one in priced:
        for part in one.parts:
            found[_words(part.where)].append(part)
    columns = []
    for name, parts in found.items():
        values = tuple(total_of(part.costs[place] for part in parts) for place in range(grid.begun))
        total = total_of(part.costs[place] for part in parts for place in range(len(grid.slots)))
        texts = parts[0].where.get(group, ())
        text = texts[0] if len(parts[0].where) == 1 and len(texts) == 1 else None
        columns.append(Column(name, values, total, text))
    columns.sort(key=lambda column: column.total, reverse=True)
    if len(columns) <= question.most + 1:
        return columns
    rest = columns[question.most :]
    others = tuple(
        total_of(one[place] or ZERO for one in (column.values for column in rest)) for place in range(grid.begun)
    )
    return [
        *columns[: question.most],
        Column(f"{len(rest)} others", others, total_of(column.total for column in rest)),
    ]


def _compared(report: UsageReport, question: Question, grid: Grid, found: Sequence[InvoiceCosts]) -> UsageReport:
    there = [one for one in found if _touches(one.invoice, grid.whole_before)]
    if {one.invoice.currency for one in there} - {report.currency}:
        note = "The days before are charged in another currency, so there is nothing to compare with."
        return replace(report, notes=(*report.notes, note))
    try:
        priced = [_picked(one, question) for one in there]
    except NotTold as why:
        return replace(report, notes=(*report.notes, f"{why} That was so in the days before, so they are left out."))
    covered = [one.invoice.period for one in priced]
    start = len(grid.slots)
    places = range(start, start + len(grid.before))
    values = [
        total_of(one.cost([place]) for one in priced) if slot.length and _is_in(slot, covered) else None
        for place, slot in zip(places, grid.before, strict=True)
    ]
    so_far = total_of(one.cost([places.stop]) for one in priced)
    whole = total_of(one.cost(places) for one in priced)
    notes = report.notes if priced else (*report.notes, f"No plan had a price for {report.meter} in the days before.")
    return replace(report, compared=compared_with(grid, values, so_far, whole), notes=notes)


def _notes(question: Question, priced: Sequence[_Priced], covered: Sequence[Period], now: datetime) -> list[str]:
    span, meter = question.span, question.meter
    notes = []
    if question.group:
        notes.append("Cost is split as the prices are.")
    bare = uncovered(span.period.clip(end=max(span.period.start, min(now, span.period.end))), covered)
    if bare:
        listed = ", ".join(period_words(one, span.zone) for one in bare)
        notes.append(f"No plan had a price for {meter} in all of this time, so there is no cost of: {listed}.")
    if not question.filters and not all(one.is_whole for one in priced):
        notes.append(f"Some usage of {meter} has no price, so it costs nothing.")
    return notes


def _fit(one: _Priced, question: Question, places: Sequence[int]) -> Fit:
    invoice, currency = one.invoice, one.invoice.currency
    shown, whole = one.cost(places), total_of(part.whole for part in one.parts)
    billed = total_of(part.billed for part in one.parts)
    is_all = question.span.period.clip(invoice.period_start, invoice.period_end) == invoice.period
    later = total_of([whole, billed.copy_negate()])
    if invoice.is_live:
        words = "An estimate, which changes until it is final."
        if later:
            words += " Newer usage is being worked in, and is here already."
    elif later:
        words = (
            f"Usage that came or was voided after it was final makes {format_money(later, currency)} of difference:"
            " a later invoice carries it, and the figures here have it."
        )
    else:
        words = "These are its lines of usage, to the cent." if is_all else "A part of its period is shown."
    return Fit(invoice, format_money(shown, currency), format_money(billed, currency), words)
