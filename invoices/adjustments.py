"""What a customer's invoice gets off, and its taxes."""

from collections.abc import Sequence
from decimal import Decimal

from django.db.models import F, Q, Sum

from invoices.models import Invoice, InvoiceLine
from invoices.pricing_of import priced_version
from invoices.subjects import Subject, trial_ends
from meters.periods import local_midnight
from pricing.models import AppliedPromotion, Promotion
from pricing.taxes import tax_rates_of
from pricing.terms import PromotionTerms, TaxTerms

ZERO = Decimal(0)


def subject_of(invoice: Invoice) -> Subject:
    """The subject of an invoice, with its customer's promotions and taxes as they are now."""
    return Subject(
        customer=invoice.customer,
        assignment=invoice.assignment,
        priced=priced_version(invoice.plan_version),
        period=invoice.period,
        promotions=promotions_of(invoice),
        taxes=tuple(TaxTerms(rate.pk, rate.name, rate.percent) for rate in tax_rates_of(invoice.customer)),
    )


def promotions_of(invoice: Invoice) -> tuple[PromotionTerms, ...]:
    """The promotions that the invoice gets, in the order in which they are taken off.

    Its period has a day of the applied promotion; an amount or a cap is in its currency; and it is one of the first
    periods of its assignment that have it, where only some do. Of a cap there is left what other invoices have not
    taken: those for earlier periods, and final ones.
    """
    candidates = (
        AppliedPromotion.objects.filter(customer_id=invoice.customer_id)
        .filter(Q(ends_on=None) | Q(ends_on__gt=F("starts_on")))
        .select_related("promotion")
        .prefetch_related("promotion__product_items")
        .order_by("promotion__position", "promotion_id", "id")
    )
    found = [one for one in candidates if _has_a_day(one, invoice) and _is_in_its_currency(one.promotion, invoice)]
    if any(one.promotion.periods is not None for one in found):
        earlier = _earlier_charged(invoice)
        found = [one for one in found if _is_one_of_the_first(one, earlier)]
    taken = _taken([one for one in found if one.promotion.cap is not None], invoice)
    return tuple(
        PromotionTerms(
            id=one.pk,
            name=one.promotion.name,
            percent=one.promotion.percent,
            amount=one.promotion.amount,
            product_item_ids=frozenset(item.pk for item in one.promotion.product_items.all()),
            left=None if one.promotion.cap is None else max(one.promotion.cap - taken.get(one.pk, ZERO), ZERO),
        )
        for one in found
    )


def _has_a_day(applied: AppliedPromotion, invoice: Invoice) -> bool:
    """Whether a day of the period is one of `[starts_on, ends_on)`, in the zone whose midnights its bounds are."""
    if local_midnight(applied.starts_on, invoice.zone) >= invoice.period_end:
        return False
    return applied.ends_on is None or local_midnight(applied.ends_on, invoice.zone) > invoice.period_start


def _is_in_its_currency(promotion: Promotion, invoice: Invoice) -> bool:
    in_money = promotion.amount is not None or promotion.cap is not None
    return not in_money or promotion.currency == invoice.currency


def _earlier_charged(invoice: Invoice) -> list[Invoice]:
    """The earlier invoices of the assignment that have a day after the trial: one in which nothing is charged uses up
    no period of a promotion."""
    charged_from = trial_ends([invoice.assignment])[invoice.assignment.pk]
    earlier = Invoice.objects.filter(
        assignment=invoice.assignment_id, period_start__lt=invoice.period_start, period_end__gt=charged_from
    )
    return list(earlier.exclude(status=Invoice.Status.VOID))


def _is_one_of_the_first(applied: AppliedPromotion, earlier: Sequence[Invoice]) -> bool:
    periods = applied.promotion.periods
    return periods is None or sum(_has_a_day(applied, invoice) for invoice in earlier) < periods


def _taken(capped: Sequence[AppliedPromotion], invoice: Invoice) -> dict[int, Decimal]:
    """What other invoices have taken of these caps, by applied promotion."""
    if not capped:
        return {}
    before = Q(invoice__period_start__lt=invoice.period_start) | Q(
        invoice__period_start=invoice.period_start, invoice__lt=invoice.pk
    )
    lines = (
        InvoiceLine.objects.filter(before | Q(invoice__status=Invoice.Status.FINAL), promotion__in=capped)
        .exclude(invoice__status=Invoice.Status.VOID)
        .exclude(invoice=invoice.pk)
    )
    sums = lines.order_by().values_list("promotion").annotate(taken=Sum("amount"))
    return {applied: -amount for applied, amount in sums}
