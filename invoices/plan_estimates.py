"""What typed quantities would cost by a plan version: the bill of one whole period, made as every bill is made."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from invoices.adjustments import promotions_of
from invoices.computing import product_items
from invoices.drafting import Draft, DraftLine, ItemUsage, draft
from invoices.models import Invoice, InvoiceLine
from invoices.pricing_of import PricedRate, PricedVersion
from pricing.models import Fee, ProductItem, TaxRate
from pricing.money import total_of
from pricing.rates import needs_events
from pricing.terms import FeeTerms, PromotionTerms, TaxTerms, Terms

ZERO = Decimal(0)


class UsageFault(ValueError):
    """A typed quantity that cannot be priced: which one, from 0, its field, and what is wrong."""

    def __init__(self, index: int, name: str, message: str) -> None:
        super().__init__(message)
        self.index, self.name, self.message = index, name, message


@dataclass(frozen=True, slots=True)
class TypedUsage:
    """Usage of a product item in a period, in the unit of its meter, of one combination of its meter's dimensions.

    `events` are the single values that it is made of, in order; they sum up to the quantity.
    """

    product_item: ProductItem
    quantity: Decimal
    dimensions: Mapping[str, str] = field(default_factory=dict)
    events: tuple[Decimal, ...] | None = None


def estimate(
    priced: PricedVersion,
    usage: Sequence[TypedUsage],
    *,
    fee_quantities: Mapping[str, Decimal] | None = None,
    is_first_period: bool = False,
    promotions: Sequence[PromotionTerms] = (),
    taxes: Sequence[TaxTerms] = (),
) -> Draft:
    """The bill of a whole period without a trial: usage, fees, `promotions`, minimum or commitment, then `taxes`.

    `fee_quantities` are in place of the fees' own, by key; one-time fees are in the first period only. What is typed
    for the same rate is added up. Raises UsageFault for a dimension that the meter does not declare, and for a rate
    that prices single events where these are not given.
    """
    by_rate: dict[tuple[int, PricedRate | None], list[TypedUsage]] = defaultdict(list)
    for index, typed in enumerate(usage):
        _check_dimensions(index, typed)
        rate = rate_for(priced, typed.product_item, typed.dimensions)
        if rate is not None and needs_events(rate.rate) and typed.quantity > 0 and typed.events is None:
            raise UsageFault(
                index, "values", f"The price of {typed.product_item} is made of single events: give their values."
            )
        by_rate[typed.product_item.pk, rate].append(typed)
    usages = []
    for item in product_items():
        for rate in priced.rates.get(item.pk, ()):
            usages.append(_item_usage(item, rate, by_rate.pop((item.pk, rate), [])))
        if unpriced := by_rate.pop((item.pk, None), []):
            usages.append(_item_usage(item, None, unpriced))
    version = priced.version
    terms = Terms(
        currency=version.currency,
        fees=tuple(_fee_terms(fee, fee_quantities or {}) for fee in priced.fees if is_first_period or _recurs(fee)),
        minimum=version.minimum,
        commitment=version.commitment,
        overage_factor=version.overage_factor,
        promotions=tuple(promotions),
        taxes=tuple(taxes),
    )
    return draft(usages, terms)


def rate_for(priced: PricedVersion, item: ProductItem, dimensions: Mapping[str, str]) -> PricedRate | None:
    """The rate that prices usage of these dimensions; a dimension that is not named is the empty text."""
    for rate in priced.rates.get(item.pk, ()):
        if all(dimensions.get(name, "") in texts for name, texts in rate.where.items()):
            return rate
    return None


def promotions_like(invoice: Invoice, currency: str) -> tuple[PromotionTerms, ...]:
    """What an invoice would get off if it were in that currency; an amount off is in one only."""
    return promotions_of(
        Invoice(
            pk=invoice.pk,
            customer_id=invoice.customer_id,
            assignment=invoice.assignment,
            period_start=invoice.period_start,
            period_end=invoice.period_end,
            time_zone=invoice.time_zone,
            currency=currency,
        )
    )


def invoice_lines(made: Draft, currency: str, *, tax_rates: Sequence[TaxRate] = ()) -> list[InvoiceLine]:
    """The lines as an invoice would have them, unsaved: whatever words an invoice's line has words them too."""
    invoice = Invoice(currency=currency, subtotal=made.subtotal, total=made.total)
    items = {item.pk: item for item in product_items()}
    taxes = {rate.pk: rate for rate in tax_rates}
    return [_invoice_line(invoice, position, line, items, taxes) for position, line in enumerate(made.lines, start=1)]


def _invoice_line(
    invoice: Invoice,
    position: int,
    line: DraftLine,
    items: Mapping[int, ProductItem],
    taxes: Mapping[int, TaxRate],
) -> InvoiceLine:
    return InvoiceLine(
        tax_rate=None if line.tax_rate_id is None else taxes[line.tax_rate_id],
        invoice=invoice,
        position=position,
        kind=line.kind,
        product_item=None if line.product_item_id is None else items[line.product_item_id],
        fee_key=line.fee_key,
        name=line.name,
        unit=line.unit,
        where={name: list(texts) for name, texts in line.where.items()},
        quantity=line.quantity,
        amount=line.amount,
        rate=line.rate.parameters() if line.rate else None,
        steps=[step.to_dict() for step in line.steps],
    )


def _check_dimensions(index: int, typed: TypedUsage) -> None:
    for name in typed.dimensions:
        if name not in typed.product_item.meter.dimensions:
            raise UsageFault(index, "dimensions", f"{typed.product_item} has no dimension {name!r} to price by.")


def _item_usage(item: ProductItem, rate: PricedRate | None, typed: Sequence[TypedUsage]) -> ItemUsage:
    single = None
    if rate is not None and needs_events(rate.rate):
        single = tuple(value for one in typed for value in one.events or ())
    return ItemUsage(
        product_item_id=item.pk,
        name=item.name,
        unit=item.meter.unit,
        quantity=total_of(one.quantity for one in typed),
        rate=None if rate is None else rate.rate,
        where={} if rate is None else rate.where,
        events=single,
    )


def _recurs(fee: Fee) -> bool:
    return fee.kind != Fee.Kind.ONE_TIME


def _fee_terms(fee: Fee, quantities: Mapping[str, Decimal]) -> FeeTerms:
    return FeeTerms(
        key=fee.key,
        name=fee.name,
        unit=fee.unit,
        kind=fee.kind,
        amount=fee.amount,
        percent=fee.percent,
        runs=() if fee.kind == Fee.Kind.PERCENT else ((quantities.get(fee.key, fee.quantity), 1),),
        prorated=fee.prorated,
    )
