"""What the overview tells of the running periods: charges so far, where they are heading, and each day's share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet, prefetch_related_objects

from invoices.drafting import Draft, DraftLine
from invoices.estimates import DailyCosts, Look, daily_costs, outlook
from invoices.models import Invoice, InvoiceLine
from invoices.outlook import Outlook, Range
from invoices.subjects import trial_ends
from meters.charts import AHEAD, PAST, TODAY, Chart, Series, Slot, bar_chart, fold
from meters.models import Customer, UsageVersion
from meters.periods import Period, local_date, windows
from meters.words import day_number, days_in, every_words, short_day_words
from portal.access import visible_invoices
from portal.bills.credits import CreditPanel, credit_panel
from portal.bills.lines import ExplainedLines, Identity, Money, combined, explained_lines, identity_of
from pricing.money import format_money, format_price, minor_units, total_of

# As many plans as nobody is on at a time.
MOST_LAST = 20
FAR = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How current the figures are: exact as of `as_of`; `is_behind` while newer usage is being worked in."""

    as_of: datetime
    is_behind: bool
    has_usage: bool


@dataclass(frozen=True, slots=True)
class Bill:
    """One running invoice. `every` says how often there is one, `meter_key` which meter it is about, if any."""

    invoice: Invoice
    day: int
    days: int
    every: str
    trial_end: datetime | None
    lines: ExplainedLines
    outlook: Outlook | None
    costs: "CostTable"
    meter_key: str

    @property
    def projected(self) -> Draft | None:
        return self.outlook.even if self.outlook else None

    @property
    def anchor(self) -> str:
        """Names the bill's parts on the page; stays the same when the next period begins."""
        return f"plan-{self.invoice.assignment_id}"


@dataclass(frozen=True, slots=True)
class CostTable:
    """The cost of each day, as a chart and as the table of the same numbers."""

    chart: Chart
    names: tuple[str, ...]
    days: tuple[tuple[str, tuple[tuple[str, Decimal], ...], Decimal], ...]


@dataclass(frozen=True, slots=True)
class Ahead:
    """What bills in a currency are projected to come to; `range` is None while it is too early to say between what."""

    amount: Decimal
    currency: str
    range: Range | None


@dataclass(frozen=True, slots=True)
class Overview:
    """`bills` may be of periods of their own; `next_invoice` is the first of them to be issued. Where there are none,
    `is_opening` says whether the customer is on a plan all the same, whose next bill is just being made, and
    `begins_at` when a plan to come begins."""

    bills: list[Bill]
    so_far: list[Money]
    projected: list[Ahead]  # empty while it is too early for one
    last: list[Money]
    last_invoices: list[Invoice]
    recent: list[Invoice]
    freshness: Freshness
    credits: CreditPanel | None
    is_opening: bool = False
    begins_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether the last period is closed, and there is no plan for another: then no figure here moves any more."""
        if self.bills or self.is_opening or self.begins_at:
            return False
        return bool(self.last_invoices) and not any(invoice.is_live for invoice in self.last_invoices)

    @property
    def is_of_one_period(self) -> bool:
        return len({(bill.invoice.period, bill.invoice.time_zone) for bill in self.bills}) == 1

    @property
    def is_in_trial(self) -> bool:
        """Whether it is a trial that a projection waits for."""
        return any(bill.projected is None and bill.trial_end is not None for bill in self.bills)

    @property
    def next_invoice(self) -> Invoice:
        return min((bill.invoice for bill in self.bills), key=lambda invoice: invoice.closes_at)


def overview_of(customer: Customer, *, now: datetime, recent: int = 3) -> Overview:
    invoices = visible_invoices(customer)
    live = list(
        invoices.filter(status__in=Invoice.LIVE, period_start__lte=now)
        .order_by("assignment_id")
        .select_related("assignment")
    )
    running = [invoice for invoice in live if now < invoice.period_end]
    prefetch_related_objects(running, "lines__product_item__meter")
    trials = trials_of(running)
    bills = [_bill(invoice, trials.get(invoice.pk), now) for invoice in running]
    last = _last_of(invoices, [invoice for invoice in live if invoice not in running])
    return Overview(
        bills=bills,
        so_far=combined(Money(bill.invoice.total, bill.invoice.currency) for bill in bills),
        projected=_projected(bills),
        last=_in_order_of(bills, combined(Money(invoice.total, invoice.currency) for invoice in last)),
        last_invoices=last,
        recent=list(invoices[:recent]),
        freshness=freshness(customer, running, now=now),
        credits=credit_panel(customer, now=now),
        **({} if bills else _to_come(customer, now)),
    )


def _last_of(invoices: QuerySet[Invoice], closing: Sequence[Invoice]) -> list[Invoice]:
    """Those of the period that ended last; several plans have an invoice each for the same one. Uses
    invoice_final_end."""
    final = invoices.filter(status=Invoice.Status.FINAL).order_by("-period_end", "-period_start", "-id")[:MOST_LAST]
    ended = sorted([*closing, *final], key=lambda one: (one.period_end, one.period_start, one.pk), reverse=True)
    return [invoice for invoice in ended if invoice.period == ended[0].period]


def _in_order_of(bills: Sequence[Bill], amounts: Sequence[Money]) -> list[Money]:
    """Currencies stand in the order of the running bills, so that figures side by side are of the same one."""
    currencies = [bill.invoice.currency for bill in bills]
    return sorted(amounts, key=lambda one: currencies.index(one.currency) if one.currency in currencies else len(bills))


def _to_come(customer: Customer, now: datetime) -> dict[str, Any]:
    left = [one for one in customer.assignments.all() if one.starts_at != one.ends_at and (one.ends_at or FAR) > now]
    starts = [one.starts_at for one in left]
    return {
        "is_opening": any(start <= now for start in starts),
        "begins_at": min((start for start in starts if start > now), default=None),
    }


def freshness(customer: Customer, invoices: Sequence[Invoice], *, now: datetime) -> Freshness:
    """An invoice is behind when the customer's usage has a higher version than it was computed from. One that follows
    the clock is as of when it was computed, too, and is not behind for that."""
    version = UsageVersion.objects.filter(customer_id=customer.pk).values_list("version", flat=True).first()
    behind = [invoice for invoice in invoices if invoice.is_stale or invoice.usage_version < (version or 0)]
    computed = [one.computed_at for one in invoices if one.computed_at and (one in behind or one.follows_clock)]
    return Freshness(as_of=min(computed, default=now), is_behind=bool(behind), has_usage=version is not None)


def trials_of(invoices: Sequence[Invoice]) -> dict[int, datetime]:
    """When the trial ends that an invoice's period begins in, by invoice; of those that have one."""
    # Most plans have no trial, and then there is nothing to ask for.
    some = [invoice for invoice in invoices if invoice.plan_version.trial_days or _has_trial(invoice)]
    ends = trial_ends([invoice.assignment for invoice in some]) if some else {}
    found = {invoice.pk: ends[invoice.assignment_id] for invoice in some}
    return {invoice.pk: found[invoice.pk] for invoice in some if found[invoice.pk] > invoice.period_start}


def _has_trial(invoice: Invoice) -> bool:
    return any(line.kind == InvoiceLine.Kind.TRIAL for line in invoice.lines.all())


def _projected(bills: Sequence[Bill]) -> list[Ahead]:
    """The sum of the projections, or nothing as long as one of them is missing: a part would look like the whole. The
    same goes for their ranges."""
    if not all(bill.outlook for bill in bills):
        return []
    by_currency: dict[str, list[Outlook]] = {}
    for bill in bills:
        if bill.outlook:
            by_currency.setdefault(bill.invoice.currency, []).append(bill.outlook)
    return [
        Ahead(total_of(one.even.total for one in some), currency, _together([one.total for one in some]))
        for currency, some in by_currency.items()
    ]


def _together(ranges: Sequence[Range | None]) -> Range | None:
    known = [one for one in ranges if one is not None]
    if len(known) < len(ranges):
        return None
    return Range(total_of(one.low for one in known), total_of(one.high for one in known))


def _bill(invoice: Invoice, trial_end: datetime | None, now: datetime) -> Bill:
    zone = invoice.zone
    period = invoice.period
    version = invoice.plan_version
    stored = list(invoice.lines.all())
    look = Look(invoice)
    ahead = outlook(invoice, now=now, look=look)
    lines, amounts = _side_by_side(invoice, stored, ahead.even) if ahead else (stored, None)
    return Bill(
        invoice=invoice,
        day=day_number(period, now, zone),
        days=days_in(period, zone),
        every=every_words(version.interval, version.interval_count),
        trial_end=trial_end,
        lines=explained_lines(lines, amounts),
        outlook=ahead,
        costs=_cost_table(daily_costs(invoice, now=now, look=look), invoice, now),
        meter_key=next((line.product_item.meter.key for line in stored if line.product_item), ""),
    )


def _side_by_side(
    invoice: Invoice, stored: Sequence[InvoiceLine], ahead: Draft
) -> tuple[list[InvoiceLine], list[Decimal | None]]:
    """The lines of now and those of the projection, each with what it is projected to come to.

    Usage of the trial and without a price is not projected. What else is in one of them only comes to nothing in the
    other: a minimum that will be passed, a commitment that will be exceeded.
    """
    projected = {_key(line): line.amount for line in ahead.lines}
    known = {_key(line) for line in stored}
    later = [
        InvoiceLine(
            invoice=invoice,
            kind=line.kind,
            fee_key=line.fee_key,
            promotion_id=line.promotion_id,
            tax_rate_id=line.tax_rate_id,
            corrects_id=line.corrects_id,
            corrects_key=line.corrects_key,
            name=line.name,
            amount=Decimal(0),
        )
        for line in ahead.lines
        if _key(line) not in known
    ]
    order = InvoiceLine.Kind.values
    lines = sorted([*stored, *later], key=lambda line: order.index(line.kind))
    return lines, [projected.get(_key(line), None if line.kind in _NOT_PROJECTED else Decimal(0)) for line in lines]


_NOT_PROJECTED = (InvoiceLine.Kind.TRIAL, InvoiceLine.Kind.UNPRICED)


def _key(line: InvoiceLine | DraftLine) -> tuple[Identity, str, tuple[tuple[str, tuple[str, ...]], ...]]:
    where = tuple(sorted((name, tuple(texts)) for name, texts in line.where.items()))
    return identity_of(line), line.corrects_key, where


def _cost_table(costs: DailyCosts, invoice: Invoice, now: datetime) -> CostTable:
    series = fold([Series(item.name, row) for item, row in zip(costs.items, costs.costs, strict=True)])
    currency = invoice.currency

    def words(amount: Decimal) -> str:
        return format_money(amount, currency)

    slots = day_slots(invoice.period, invoice.zone, now)
    labels = [slot.label for slot in slots if slot.state != AHEAD]
    return CostTable(
        chart=bar_chart(
            slots,
            series,
            value_words=words,
            tick_words=lambda amount: format_price(amount, currency),
            least_step=Decimal(1).scaleb(-minor_units(currency)),
        ),
        names=tuple(one.name for one in series),
        days=tuple(
            (label, tuple((one.name, one.values[index]) for one in series), total)
            for index, (label, total) in enumerate(zip(labels, costs.totals, strict=False))
        ),
    )


def day_slots(period: Period, zone: ZoneInfo, now: datetime) -> list[Slot]:
    """The local days of a period as places on a chart."""
    return [
        Slot(
            short_day_words(local_date(day.start, zone)),
            TODAY if now in day else AHEAD if day.start > now else PAST,
        )
        for day in windows(period, "day", zone)
    ]
