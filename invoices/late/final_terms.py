"""The promotions and taxes that an invoice became final with: kept with it, so that it can be rated again by them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from invoices.adjustments import Taken, applied_to, subject_of, taken_with_corrections
from invoices.models import Invoice
from invoices.pricing_of import priced_version
from invoices.subjects import Subject
from meters.aggregation import plain
from pricing.money import total_of
from pricing.taxes import tax_rates_of
from pricing.terms import PromotionTerms, TaxTerms

ZERO = Decimal(0)


def terms_to_keep(invoice: Invoice) -> dict[str, Any]:
    """The promotions and taxes that the invoice is computed with now, as JSON.

    Of a cap there is what others had left, and what each of those had taken of it that were final before: where usage
    that comes late changes that, another amount is left. Below zero is kept as it is.
    """
    [found] = applied_to([invoice])
    taken = Taken({one.pk for one in found if one.promotion.cap is not None})
    promotions = []
    for one in found:
        cap, before = one.promotion.cap, taken.by_final(one.pk, invoice.currency)
        left = None if cap is None else total_of([cap, taken.of(one, invoice).copy_negate()])
        promotions.append(
            {
                "id": one.pk,
                "name": one.promotion.name,
                "percent": _text(one.promotion.percent),
                "amount": _text(one.promotion.amount),
                "product_items": sorted(item.pk for item in one.promotion.product_items.all()),
                "left": _text(left),
                "taken": {str(pk): plain(amount) for pk, amount in before.items()},
            }
        )
    taxes = [
        {"id": rate.pk, "name": rate.name, "percent": plain(rate.percent)} for rate in tax_rates_of(invoice.customer)
    ]
    return {"promotions": promotions, "taxes": taxes}


def final_subject(invoice: Invoice) -> Subject:
    """The subject of a final invoice, to rate it again by the terms that it became final with. One that is older than
    these are kept is rated by those of now."""
    kept = invoice.frozen_terms
    if kept is None:
        return subject_of(invoice)
    return Subject(
        customer=invoice.customer,
        assignment=invoice.assignment,
        priced=priced_version(invoice.plan_version),
        period=invoice.period,
        promotions=tuple(_promotion(one) for one in kept["promotions"]),
        taxes=tuple(TaxTerms(one["id"], one["name"], Decimal(one["percent"])) for one in kept["taxes"]),
        is_over=True,
    )


def counted_by(invoice: Invoice) -> set[int]:
    """The invoices whose share of a cap left this one less of it."""
    promotions = (invoice.frozen_terms or {}).get("promotions", [])
    return {int(pk) for one in promotions for pk in one["taken"]}


def _promotion(kept: Mapping[str, Any]) -> PromotionTerms:
    return PromotionTerms(
        id=kept["id"],
        name=kept["name"],
        percent=_number(kept["percent"]),
        amount=_number(kept["amount"]),
        product_item_ids=frozenset(kept["product_items"]),
        left=None if kept["left"] is None else max(_left(kept), ZERO),
    )


def _left(kept: Mapping[str, Any]) -> Decimal:
    """What others have left of a cap, with what has changed since of those that were before.

    One that is void since counts as it last did: its share is for others to take, which are computed without it.
    """
    then = {int(pk): Decimal(amount) for pk, amount in kept["taken"].items()}
    now = taken_with_corrections(kept["id"], then) if then else {}
    changes = [total_of([amount, now.get(pk, ZERO).copy_negate()]) for pk, amount in then.items()]
    return total_of([Decimal(kept["left"]), *changes])


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
