"""Which product items an invoice lists, and at which rate."""

from functools import lru_cache

from invoices.models import Invoice
from meters.periods import Period, uncovered
from pricing.models import ProductItem
from pricing.models import Rate as StoredRate
from pricing.rates import Rate, parse_rate


@lru_cache(maxsize=1024)
def rates_of(plan_version_id: int) -> dict[int, Rate]:
    """The rates of a plan version by product item. Kept: invoices have frozen versions only."""
    stored = StoredRate.objects.filter(plan_version_id=plan_version_id).values_list("product_item_id", "parameters")
    return {item: parse_rate(parameters) for item, parameters in stored}


def items_of(invoice: Invoice) -> tuple[dict[ProductItem, Rate], list[tuple[ProductItem, Period]]]:
    """What an invoice lists, in order of name: the product items that its plan version prices with their rates, and
    the spans of its period in which an item is priced by nothing that the customer is on.

    Each instant of unpriced usage is on one invoice of a customer only, that of the oldest assignment of the time.
    """
    rates = rates_of(invoice.plan_version_id)
    items = list(ProductItem.objects.select_related("meter").order_by("name", "id"))
    siblings = list(
        Invoice.objects.filter(
            customer_id=invoice.customer_id, period_start__lt=invoice.period_end, period_end__gt=invoice.period_start
        )
        .exclude(assignment_id=invoice.assignment_id)
        .exclude(status=Invoice.Status.VOID)
    )
    older = [sibling.period for sibling in siblings if sibling.assignment_id < invoice.assignment_id]
    unpriced = [
        (item, span)
        for item in items
        if item.pk not in rates and item.retired_at is None
        for span in uncovered(
            invoice.period, [*older, *(s.period for s in siblings if item.pk in rates_of(s.plan_version_id))]
        )
    ]
    return {item: rates[item.pk] for item in items if item.pk in rates}, unpriced
