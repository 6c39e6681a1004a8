"""What the overview tells of the running periods: charges so far, where they are heading, and each day's share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from invoices.drafting import Draft, DraftLine
from invoices.estimates import daily_costs, projection
from invoices.models import Invoice, InvoiceLine
from invoices.subjects import trial_ends
from meters.charts import AHEAD, PAST, TODAY, Chart, Series, Slot, bar_chart, fold
from meters.models import Customer, UsageVersion
from meters.periods import Period, local_date, windows
from meters.words import day_number, days_in, every_words, short_day_words
from portal.access import visible_invoices
from portal.credits import CreditPanel, credit_panel
from portal.lines import ExplainedLines, Identity, Money, combined, explained_lines, identity_of
from pricing.money import format_money, format_price, minor_units


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
    projected: Draft | None
    costs: "CostTable"
    meter_key: str

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
class Overview:
    """`bills` may be of periods of their own; `next_invoice` is the first of them to be issued."""

    bills: list[Bill]
    so_far: list[Money]
    projected: list[Money]  # empty while it is too early for one
    last: list[Money]
    last_invoices: list[Invoice]
    recent: list[Invoice]
    freshness: Freshness
    credits: CreditPanel | None

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
    running = list(
        invoices.filter(status__in=Invoice.LIVE, period_start__lte=now, period_end__gt=now)
        .order_by("assignment_id")
        .select_related("assignment")
        .prefetch_related("lines__product_item__meter")
    )
    trials = trials_of(running)
    bills = [_bill(invoice, trials.get(invoice.pk), now) for invoice in running]
    ended = invoices.filter(period_end__lte=now).exclude(status=Invoice.Status.VOID)
    last = list(ended.order_by("-period_end", "-period_start", "-id")[:20])
    # Several plans have an invoice each for the same period.
    last = [invoice for invoice in last if invoice.period == last[0].period]
    return Overview(
        bills=bills,
        so_far=combined(Money(bill.invoice.total, bill.invoice.currency) for bill in bills),
        projected=_projected(bills),
        last=combined(Money(invoice.total, invoice.currency) for invoice in last),
        last_invoices=last,
        recent=list(invoices[:recent]),
        freshness=freshness(customer, running, now=now),
        credits=credit_panel(customer, now=now),
    )


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


def _projected(bills: list[Bill]) -> list[Money]:
    """The sum of the projections, or nothing as long as one of them is missing: a part would look like the whole."""
    ahead = [Money(bill.projected.total, bill.invoice.currency) for bill in bills if bill.projected is not None]
    return combined(ahead) if len(ahead) == len(bills) else []


def _bill(invoice: Invoice, trial_end: datetime | None, now: datetime) -> Bill:
    zone = invoice.zone
    period = invoice.period
    version = invoice.plan_version
    stored = list(invoice.lines.all())
    ahead = projection(invoice, now=now)
    lines, amounts = _side_by_side(invoice, stored, ahead) if ahead else (stored, None)
    return Bill(
        invoice=invoice,
        day=day_number(period, now, zone),
        days=days_in(period, zone),
        every=every_words(version.interval, version.interval_count),
        trial_end=trial_end,
        lines=explained_lines(lines, amounts),
        projected=ahead,
        costs=_cost_table(invoice, period, zone, now),
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


def _cost_table(invoice: Invoice, period: Period, zone: ZoneInfo, now: datetime) -> CostTable:
    costs = daily_costs(invoice, now=now)
    series = fold([Series(item.name, row) for item, row in zip(costs.items, costs.costs, strict=True)])
    currency = invoice.currency

    def words(amount: Decimal) -> str:
        return format_money(amount, currency)

    slots = day_slots(period, zone, now)
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
