"""What a backtest found, for pages, files and the API: by customer, by period, by product item."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from django.db.models import Case, Count, F, Q, QuerySet, Sum, Value, When
from django.db.models.functions import NullIf

from invoices.backtests.summary import bin_names
from invoices.models import Backtest, BacktestRow
from meters.aggregation import plain
from meters.api.event_log import time_text
from meters.fields import NumericField
from meters.spreadsheet import cell
from pricing.models import ProductItem
from pricing.money import amount_text
from pricing.steps import EXACT, ZERO

# A price may be a mistake, and the bill by it longer than the digits that Python keeps on its own.
WIDE = Context(prec=300)

# By what customers are listed, and how: the name of an order, and its fields.
ORDERS = {
    "more": [F("change").desc(nulls_last=True)],
    "less": [F("change").asc(nulls_last=True)],
    "percent": [F("percent").desc(nulls_last=True)],
    "-percent": [F("percent").asc(nulls_last=True)],
    "then": [F("then").desc()],
    "-then": [F("then").asc()],
    "now": [F("now").desc()],
    "-now": [F("now").asc()],
    "customer": [F("customer__key").asc()],
    "-customer": [F("customer__key").desc()],
}


def changes_of(backtest: Backtest, *, order: str = "more", search: str = "") -> "QuerySet[Any, Any]":
    """A row for each customer: what all its periods came to `then`, and would come to `now`, the `change` and that in
    `percent` (null where nothing was paid). What is in different currencies has no change."""
    number = NumericField()
    same = Q(currency_then=F("currency_now"))
    rows = BacktestRow.objects.filter(backtest=backtest)
    if search:
        rows = rows.filter(Q(customer__key__icontains=search) | Q(customer__name__icontains=search))
    found = rows.order_by().values("customer", "customer__key", "customer__name", "currency_then", "currency_now")
    found = found.annotate(then=Sum("amount_then"), now=Sum("amount_now"), periods=Count("pk"))
    found = found.annotate(change=Case(When(same, then=F("now") - F("then")), output_field=number))
    found = found.annotate(percent=F("change") * Value(100) / NullIf(F("then"), Value(Decimal(0), output_field=number)))
    return found.order_by(*ORDERS[order], "customer")


@dataclass(frozen=True, slots=True)
class Absorbed:
    """The free tier of a product item: units used and those that were, and would be, free; what share of the usage
    that is in percent; what the units free now would cost at the next price; and units left without a price."""

    item: ProductItem
    used_then: Decimal
    free_then: Decimal
    used_now: Decimal
    free_now: Decimal
    worth_now: Decimal
    unpriced_now: Decimal

    @property
    def share_then(self) -> Decimal | None:
        return _share(self.free_then, self.used_then)

    @property
    def share_now(self) -> Decimal | None:
        return _share(self.free_now, self.used_now)


def absorbed_by(backtest: Backtest) -> list[Absorbed]:
    """By name of the product item; those that neither used anything nor have a price are not there."""
    stored: dict[str, Any] = backtest.summary.get("items", {})
    items = ProductItem.objects.select_related("meter").filter(pk__in=[int(pk) for pk in stored])
    found = []
    for item in items.order_by("name", "id"):
        then, now = (stored[str(item.pk)].get(side, {}) for side in ("then", "now"))
        found.append(
            Absorbed(
                item=item,
                used_then=Decimal(then.get("used", "0")),
                free_then=Decimal(then.get("free", "0")),
                used_now=Decimal(now.get("used", "0")),
                free_now=Decimal(now.get("free", "0")),
                worth_now=Decimal(now.get("worth", "0")),
                unpriced_now=Decimal(now.get("unpriced", "0")),
            )
        )
    return found


def distribution_of(total: dict[str, Any]) -> list[tuple[str, int]]:
    """How many customers are in each bin of changes, of one of the summary's totals; none where currencies differ."""
    return list(zip(bin_names(), total["bins"], strict=True)) if "bins" in total else []


CSV_HEADER = [
    *("customer", "assignment", "from", "to", "currency_then", "amount_then", "currency_now", "amount_now"),
    *("change", "change_percent"),
]


def csv_rows(backtest: Backtest) -> Iterator[list[str]]:
    """A line for each period of each customer, in the order in which they were computed; amounts before tax."""
    yield CSV_HEADER
    rows = BacktestRow.objects.filter(backtest=backtest).order_by("id").select_related("customer")
    for row in rows.iterator(chunk_size=2000):
        change, percent = change_of(row)
        yield [
            cell(row.customer.key),
            str(row.assignment_id),
            time_text(row.period_start),
            time_text(row.period_end),
            row.currency_then,
            amount_text(row.amount_then, row.currency_then),
            row.currency_now,
            amount_text(row.amount_now, row.currency_now),
            "" if change is None else amount_text(change, row.currency_now),
            "" if percent is None else percent_text(percent),
        ]


def change_of(row: BacktestRow) -> tuple[Decimal | None, Decimal | None]:
    """The change of a row and that in percent of what was paid; None between currencies, and of nothing."""
    if row.currency_then != row.currency_now:
        return None, None
    change = EXACT.subtract(row.amount_now, row.amount_then)
    return change, _share(change, row.amount_then)


def percent_text(percent: Decimal) -> str:
    """A percentage with one decimal."""
    return plain(percent.quantize(Decimal("0.1"), context=WIDE))


def _share(part: Decimal, of: Decimal) -> Decimal | None:
    return WIDE.divide(EXACT.multiply(part, Decimal(100)), of) if of > ZERO else None
