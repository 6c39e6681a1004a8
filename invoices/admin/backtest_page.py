"""What the page of a backtest shows: totals, the distribution of changes, customers by change, and the free tier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.core.paginator import Page, Paginator
from django.http import QueryDict
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from invoices.admin.backtest_panel import status_chip
from invoices.backtests.reports import ORDERS, absorbed_by, changes_of, distribution_of, percent_text
from invoices.models import Backtest
from meters.charts import Chart, Series, Slot, bar_chart, short_number
from pricing.money import format_money, format_quantity, total_of

PAGE_SIZE = 50
DEFAULT_ORDER = "more"
# The columns of the list of customers: heading, and the orders that a click asks for, first and again.
COLUMNS = (
    ("Customer", "customer", "-customer"),
    ("Then", "then", "-then"),
    ("Now", "now", "-now"),
    ("Change", "more", "less"),
    ("In percent", "percent", "-percent"),
)


@dataclass(frozen=True, slots=True)
class Total:
    """All customers between the same two currencies; without a change where these differ."""

    currencies: str
    customers: int
    then: str
    now: str
    change: str
    counts: Sequence[tuple[str, int]]
    bins: Sequence[tuple[str, int]]
    chart: Chart | None


@dataclass(frozen=True, slots=True)
class Column:
    heading: str
    query: str
    sorted: str  # of aria-sort


@dataclass(frozen=True, slots=True)
class CustomerRow:
    pk: int
    name: str
    periods: int
    then: str
    now: str
    change: str
    percent: str


@dataclass(frozen=True, slots=True)
class FreeRow:
    """One product item: units used, free then and now with their share, and what those free now are worth."""

    name: str
    unit: str
    used: str
    then: str
    share_then: str
    now: str
    share_now: str
    worth: str
    unpriced: str


@dataclass(frozen=True, slots=True)
class Result:
    backtest: Backtest
    chip: SafeString
    query: str
    totals: Sequence[Total]
    notes: Sequence[str]
    columns: Sequence[Column]
    page: "Page[Any] | None"
    pages: Sequence[tuple[str, str]]
    customers: Sequence[CustomerRow]
    search: str
    free: Sequence[FreeRow]

    @property
    def is_over(self) -> bool:
        return self.backtest.status in (Backtest.Status.DONE, Backtest.Status.FAILED)

    @property
    def is_done(self) -> bool:
        return self.backtest.status == Backtest.Status.DONE

    @property
    def percent(self) -> int:
        return 100 * self.backtest.done // self.backtest.total if self.backtest.total else 0


def result_of(backtest: Backtest, query: QueryDict) -> Result:
    """What there is to show; the query string says the order (`order`), the page (`page`) and whom to find (`find`)."""
    is_done = backtest.status == Backtest.Status.DONE
    order = query.get("order", DEFAULT_ORDER)
    order = order if order in ORDERS else DEFAULT_ORDER
    search = query.get("find", "").replace("\0", "")[:100]
    page = None
    if is_done:
        page = Paginator(changes_of(backtest, order=order, search=search), PAGE_SIZE).get_page(query.get("page"))
    own = {name: str(query[name]) for name in ("order", "find", "page") if name in query}
    return Result(
        backtest=backtest,
        chip=status_chip(backtest),
        query=urlencode(own),
        totals=[_total(total) for total in backtest.summary.get("totals", [])] if is_done else [],
        notes=_notes(backtest) if is_done else [],
        columns=[_column(*column, order=order, search=search) for column in COLUMNS],
        page=page,
        pages=_pages(page, order, search) if page else [],
        customers=[_customer(row) for row in page or ()],
        search=search,
        free=_free(backtest) if is_done else [],
    )


def _total(total: Mapping[str, Any]) -> Total:
    then, now = Decimal(total["then"]), Decimal(total["now"])
    currency_then, currency_now = total["currency_then"], total["currency_now"]
    bins = distribution_of(dict(total))
    same = currency_then == currency_now
    return Total(
        currencies=currency_now if same else f"{currency_then} then, {currency_now} now",
        customers=total["customers"],
        then=format_money(then, currency_then),
        now=format_money(now, currency_now),
        change=_change_words(total_of((now, then.copy_negate())), then, currency_now) if same else "",
        counts=[(words, total[name]) for words, name in _COUNTS if name in total],
        bins=bins,
        chart=_chart(bins) if bins else None,
    )


_COUNTS = (("pay more", "more"), ("pay less", "less"), ("pay the same", "same"))


def _change_words(change: Decimal, then: Decimal, currency: str) -> str:
    """ "+$670.00 (+13.1%)"."""
    words = _signed(change, currency)
    return f"{words} ({_percent(change * 100 / then)})" if then else words


def _signed(change: Decimal, currency: str) -> str:
    return f"{'+' if change > 0 else ''}{format_money(change, currency)}"


def _percent(percent: Decimal | None) -> str:
    if percent is None:
        return ""
    return f"{'+' if percent > 0 else ''}{percent_text(percent)}%"


def _chart(bins: Sequence[tuple[str, int]]) -> Chart:
    chart = bar_chart(
        [Slot(_short(words)) for words, _ in bins],
        [Series("Customers", tuple(Decimal(count) for _, count in bins))],
        value_words=lambda count: f"{format_quantity(count)} customers",
        tick_words=short_number,
        least_step=Decimal(1),
    )
    # Every bar, as the range of one cannot be told from its neighbours.
    return replace(chart, columns=tuple(replace(column, axis_label=column.label) for column in chart.columns))


def _short(words: str) -> str:
    """For the axis the bound that is nearer to nothing: "10 to 25% less" is "-10%"."""
    named = {"the same": "0", "paid nothing before": "new", "0 to 5% less": "<0", "0 to 5% more": ">0"}
    if words in named:
        return named[words]
    bound = words.split(" ")[0].removesuffix("%")
    return f"{'-' if 'less' in words else '+'}{bound}%"


def _notes(backtest: Backtest) -> list[str]:
    """In words, whom the figures leave out and why."""
    notes = []
    without = backtest.summary.get("without_periods", {})
    if without.get("customers"):
        notes.append(f"No period is over yet of {_named(without)}.")
    left_out = backtest.summary.get("left_out", {})
    if left_out.get("customers"):
        version = backtest.prices["version"]
        count, unit, periods = version["interval_count"], version["interval"], left_out["periods"]
        every = unit if count == 1 else f"{count} {unit}s"
        notes.append(
            f"{periods:,} period{'s' if periods != 1 else ''} of {_named(left_out)} cannot be compared:"
            f" v{version['number']} bills every {every}, and its periods neither begin and end with these nor with some"
            " of them together."
        )
    return notes


def _named(some: Mapping[str, Any]) -> str:
    count, named = some["customers"], some["named"]
    rest = f" and {count - len(named):,} more" if count > len(named) else ""
    return f"{count:,} customer{'s' if count != 1 else ''} ({', '.join(named)}{rest})"


# --- Customers ---


def _column(heading: str, first: str, again: str, *, order: str, search: str) -> Column:
    state = {first: "descending", again: "ascending"}.get(order, "none")
    if heading == "Customer":
        state = {first: "ascending", again: "descending"}.get(order, "none")
    return Column(heading, _query(order=again if order == first else first, find=search), state)


def _query(**parts: Any) -> str:
    return urlencode({name: value for name, value in parts.items() if value})


def _pages(page: "Page[Any]", order: str, search: str) -> list[tuple[str, str]]:
    found = []
    if page.has_previous():
        found.append(("Previous", _query(order=order, find=search, page=page.previous_page_number())))
    if page.has_next():
        found.append(("Next", _query(order=order, find=search, page=page.next_page_number())))
    return found


def _customer(row: Mapping[str, Any]) -> CustomerRow:
    change = row["change"]
    return CustomerRow(
        pk=row["customer"],
        name=row["customer__name"] or row["customer__key"],
        periods=row["periods"],
        then=format_money(row["then"], row["currency_then"]),
        now=format_money(row["now"], row["currency_now"]),
        change="other currency" if change is None else _signed(change, row["currency_now"]),
        percent=_percent(row["percent"]),
    )


# --- The free tier ---


def _free(backtest: Backtest) -> list[FreeRow]:
    currency = backtest.prices["version"]["currency"]
    return [
        FreeRow(
            name=str(one.item),
            unit=one.item.meter.unit or "units",
            used=format_quantity(max(one.used_then, one.used_now)),
            then=format_quantity(one.free_then),
            share_then=_share(one.share_then),
            now=format_quantity(one.free_now),
            share_now=_share(one.share_now),
            worth=format_money(one.worth_now, currency),
            unpriced=format_quantity(one.unpriced_now) if one.unpriced_now else "",
        )
        for one in absorbed_by(backtest)
    ]


def _share(share: Decimal | None) -> str:
    return "" if share is None else f"{percent_text(share)}%"
