"""What the overview tells of the running periods: charges so far, where they are heading, and each day's share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from invoices.estimates import daily_costs, projection
from invoices.models import Invoice
from meters.charts import AHEAD, PAST, TODAY, Chart, Series, Slot, bar_chart, fold
from meters.models import Customer, UsageVersion
from meters.periods import Period, local_date, windows
from meters.words import day_number, days_in, short_day_words
from portal.access import visible_invoices
from portal.lines import ExplainedLine, Money, combined, explain
from pricing.money import format_money, format_price, minor_units


@dataclass(frozen=True, slots=True)
class Freshness:
    """How current the figures are: exact as of `as_of`; `is_behind` while newer usage is being worked in."""

    as_of: datetime
    is_behind: bool
    has_usage: bool


@dataclass(frozen=True, slots=True)
class Bill:
    """One running invoice."""

    invoice: Invoice
    day: int
    days: int
    lines: list[ExplainedLine]
    projected: Decimal | None
    costs: "CostTable"

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
    bills: list[Bill]
    so_far: list[Money]
    projected: list[Money]  # empty while it is too early for one
    last: list[Money]
    last_invoices: list[Invoice]
    recent: list[Invoice]
    freshness: Freshness


def overview_of(customer: Customer, *, now: datetime, recent: int = 3) -> Overview:
    invoices = visible_invoices(customer)
    running = list(
        invoices.filter(status__in=Invoice.LIVE, period_start__lte=now, period_end__gt=now)
        .order_by("assignment_id")
        .prefetch_related("lines__product_item__meter")
    )
    bills = [_bill(invoice, now) for invoice in running]
    last = list(invoices.filter(period_end__lte=now).exclude(status=Invoice.Status.VOID)[:20])
    # Several plans have an invoice each for the same period.
    last = [invoice for invoice in last if invoice.period_end == last[0].period_end]
    return Overview(
        bills=bills,
        so_far=combined(Money(bill.invoice.total, bill.invoice.currency) for bill in bills),
        projected=_projected(bills),
        last=combined(Money(invoice.total, invoice.currency) for invoice in last),
        last_invoices=last,
        recent=list(invoices[:recent]),
        freshness=freshness(customer, running, now=now),
    )


def freshness(customer: Customer, invoices: Sequence[Invoice], *, now: datetime) -> Freshness:
    """An invoice is behind when the customer's usage has a higher version than it was computed from. One that follows
    the clock is as of when it was computed, too, and is not behind for that."""
    version = UsageVersion.objects.filter(customer_id=customer.pk).values_list("version", flat=True).first()
    behind = [invoice for invoice in invoices if invoice.is_stale or invoice.usage_version < (version or 0)]
    computed = [one.computed_at for one in invoices if one.computed_at and (one in behind or one.follows_clock)]
    return Freshness(as_of=min(computed, default=now), is_behind=bool(behind), has_usage=version is not None)


def _projected(bills: list[Bill]) -> list[Money]:
    """The sum of the projections, or nothing as long as one of them is missing: a part would look like the whole."""
    if any(bill.projected is None for bill in bills):
        return []
    return combined(Money(bill.projected, bill.invoice.currency) for bill in bills if bill.projected is not None)


def _bill(invoice: Invoice, now: datetime) -> Bill:
    zone = invoice.zone
    period = invoice.period
    ahead = projection(invoice, now=now)
    by_item: dict[int | None, Decimal] = {line.product_item_id: line.amount for line in ahead.lines} if ahead else {}
    return Bill(
        invoice=invoice,
        day=day_number(period, now, zone),
        days=days_in(period, zone),
        lines=[explain(line, by_item.get(line.product_item_id)) for line in invoice.lines.all()],
        projected=ahead.total if ahead else None,
        costs=_cost_table(invoice, period, zone, now),
    )


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
