"""Which product items an invoice lists, and at which rate."""

from functools import lru_cache

from invoices.models import Invoice
from pricing.models import ProductItem
from pricing.models import Rate as StoredRate
from pricing.rates import Rate, parse_rate


@lru_cache(maxsize=1024)
def rates_of(plan_version_id: int) -> dict[int, Rate]:
    """The rates of a plan version by product item. Kept: invoices have frozen versions only."""
    stored = StoredRate.objects.filter(plan_version_id=plan_version_id).values_list("product_item_id", "parameters")
    return {item: parse_rate(parameters) for item, parameters in stored}


def items_of(invoice: Invoice) -> list[tuple[ProductItem, Rate | None]]:
    """The product items of an invoice in order of name: those that its plan version prices, with their rate, and
    behind them those that nothing the customer is on prices, without one.

    The latter are on one invoice of a customer only, that of its oldest assignment of the time.
    """
    rates = rates_of(invoice.plan_version_id)
    items = list(ProductItem.objects.select_related("meter").order_by("name", "id"))
    priced: list[tuple[ProductItem, Rate | None]] = [(item, rates[item.pk]) for item in items if item.pk in rates]
    siblings = list(
        Invoice.objects.filter(
            customer_id=invoice.customer_id,
            period_start__lt=invoice.period_end,
            period_end__gt=invoice.period_start,
        )
        .exclude(status=Invoice.Status.VOID)
        .order_by("assignment_id", "period_start")
        .values_list("assignment_id", "plan_version_id")
    )
    if siblings and siblings[0][0] != invoice.assignment_id:
        return priced
    elsewhere = {item for _, version in siblings for item in rates_of(version)}
    unpriced = [item for item in items if item.retired_at is None and item.pk not in rates and item.pk not in elsewhere]
    return priced + [(item, None) for item in unpriced]
