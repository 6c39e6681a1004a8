"""What a customer's invoice gets off, and its taxes."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import F, Q, Sum

from invoices.late.corrections import promotion_key
from invoices.models import Correction, Invoice, InvoiceLine
from invoices.pricing_of import priced_version
from invoices.subjects import Subject, trial_ends
from meters.periods import local_midnight
from pricing.models import AppliedPromotion, Assignment, Promotion
from pricing.money import total_of
from pricing.steps import EXACT
from pricing.taxes import tax_rates_of_all
from pricing.terms import PromotionTerms, TaxTerms

ZERO = Decimal(0)


def subject_of(invoice: Invoice) -> Subject:
    """The subject of an invoice, with its customer's promotions and taxes as they are now."""
    (subject,) = subjects_of([invoice])
    return subject


def subjects_of(invoices: Sequence[Invoice]) -> list[Subject]:
    """The subjects of these invoices, in order, in as many statements as for one."""
    promotions = promotions_of_all(invoices)
    taxes = tax_rates_of_all({invoice.customer_id for invoice in invoices})
    return [
        Subject(
            customer=invoice.customer,
            assignment=invoice.assignment,
            priced=priced_version(invoice.plan_version),
            period=invoice.period,
            promotions=some,
            taxes=tuple(TaxTerms(rate.pk, rate.name, rate.percent) for rate in taxes[invoice.customer_id]),
            is_over=invoice.status != Invoice.Status.OPEN,
        )
        for invoice, some in zip(invoices, promotions, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Tried:
    """Invoices that would have been, and the ids of those that were in their time: the periods of a promotion are
    counted as if the first were there in place of the others, and as if it had been given before all of them."""

    invoices: Sequence[Invoice] = ()
    instead_of: frozenset[int] = frozenset()


NOTHING_TRIED = Tried()


def promotions_of(invoice: Invoice, tried: Tried = NOTHING_TRIED) -> tuple[PromotionTerms, ...]:
    """The promotions that the invoice gets, in the order in which they are taken off.

    Its period has a day of the applied promotion; an amount or a cap is in its currency; and it is one of the first
    periods of its assignment that could get it, where only some do. Of a cap there is left what other invoices in its
    currency have not taken: those for earlier periods, and final ones, with their corrections.
    """
    (promotions,) = promotions_of_all([invoice], tried)
    return promotions


def promotions_of_all(invoices: Sequence[Invoice], tried: Tried = NOTHING_TRIED) -> list[tuple[PromotionTerms, ...]]:
    """What `promotions_of` answers for each of these invoices, in order, in as many statements as for one."""
    found = applied_to(invoices, tried)
    taken = Taken({one.pk for some in found for one in some if one.promotion.cap is not None})
    return [
        tuple(
            PromotionTerms(
                id=one.pk,
                name=one.promotion.name,
                percent=one.promotion.percent,
                amount=one.promotion.amount,
                product_item_ids=frozenset(item.pk for item in one.promotion.product_items.all()),
                left=None if one.promotion.cap is None else max(one.promotion.cap - taken.of(one, invoice), ZERO),
            )
            for one in some
        )
        for invoice, some in zip(invoices, found, strict=True)
    ]


def applied_to(invoices: Sequence[Invoice], tried: Tried = NOTHING_TRIED) -> list[list[AppliedPromotion]]:
    """The applied promotions that each of these invoices gets, in the order in which they are taken off."""
    candidates: dict[int, list[AppliedPromotion]] = defaultdict(list)
    for applied in (
        AppliedPromotion.objects.filter(customer__in={invoice.customer_id for invoice in invoices})
        .filter(Q(ends_on=None) | Q(ends_on__gt=F("starts_on")))
        .select_related("promotion")
        .prefetch_related("promotion__product_items")
        .order_by("promotion__position", "promotion_id", "id")
    ):
        candidates[applied.customer_id].append(applied)
    found = [[one for one in candidates[invoice.customer_id] if _can_get(one, invoice)] for invoice in invoices]
    counted = [
        invoice
        for invoice, some in zip(invoices, found, strict=True)
        if any(one.promotion.periods is not None for one in some)
    ]
    if counted:
        earlier = _earlier_charged(counted, tried)
        found = [
            [one for one in some if _is_one_of_the_first(one, earlier.get(_place(invoice), ()))]
            for invoice, some in zip(invoices, found, strict=True)
        ]
    return found


def _can_get(applied: AppliedPromotion, invoice: Invoice) -> bool:
    return _has_a_day(applied, invoice) and _is_in_its_currency(applied.promotion, invoice)


def _has_a_day(applied: AppliedPromotion, invoice: Invoice) -> bool:
    """Whether a day of the period is one of `[starts_on, ends_on)`, in the zone whose midnights its bounds are."""
    if local_midnight(applied.starts_on, invoice.zone) >= invoice.period_end:
        return False
    return applied.ends_on is None or local_midnight(applied.ends_on, invoice.zone) > invoice.period_start


def _is_in_its_currency(promotion: Promotion, invoice: Invoice) -> bool:
    in_money = promotion.amount is not None or promotion.cap is not None
    return not in_money or promotion.currency == invoice.currency


# An invoice by its assignment and the beginning of its period.
Place = tuple[int, datetime]


def _place(invoice: Invoice) -> Place:
    return invoice.assignment_id, invoice.period_start


def _earlier_charged(invoices: Sequence[Invoice], tried: Tried) -> dict[Place, list[Invoice]]:
    """For each invoice the earlier ones of its assignment that have a day after the trial: one in which nothing is
    charged uses up no period of a promotion. Where the customer came to it by a change of its own, those of the
    assignment before as well, or a promotion would begin again with every change."""
    chains, assignments = _own_chains({invoice.assignment_id: invoice.assignment for invoice in invoices})
    charged_from = trial_ends(list(assignments.values()))
    by_assignment: dict[int, list[Invoice]] = defaultdict(list)
    stored = Invoice.objects.filter(assignment__in=assignments, is_correction=False).exclude(status=Invoice.Status.VOID)
    columns = (
        "assignment_id",
        "period_start",
        "period_end",
        "time_zone",
        "currency",
        "status",
        "finalized_at",
        "frozen_terms",
    )
    for one in [*stored.exclude(pk__in=tried.instead_of).only(*columns), *tried.invoices]:
        if one.period_end > charged_from[one.assignment_id]:
            by_assignment[one.assignment_id].append(one)
    return {
        _place(invoice): [
            one
            for assignment in chains[invoice.assignment_id]
            for one in by_assignment[assignment]
            if one.period_start < invoice.period_start
        ]
        for invoice in invoices
    }


def _own_chains(assignments: Mapping[int, Assignment]) -> tuple[dict[int, list[int]], dict[int, Assignment]]:
    """By assignment, its id and those of what it goes on from by changes that its customer made; and all of these."""
    chains, known = {pk: [pk] for pk in assignments}, dict(assignments)
    ends = dict(assignments)
    while True:
        ends = {pk: one for pk, one in ends.items() if one.source == Assignment.Source.PORTAL and one.continues_id}
        if not ends:
            return chains, known
        before = Assignment.objects.in_bulk({one.continues_id for one in ends.values()})
        known |= before
        ends = {pk: before[one.continues_id] for pk, one in ends.items() if one.continues_id is not None}
        for pk, one in ends.items():
            chains[pk].append(one.pk)


def _is_one_of_the_first(applied: AppliedPromotion, earlier: Sequence[Invoice]) -> bool:
    periods = applied.promotion.periods
    return periods is None or sum(_uses_up_a_period(applied, invoice) for invoice in earlier) < periods


def _uses_up_a_period(applied: AppliedPromotion, invoice: Invoice) -> bool:
    """Not where the invoice cannot get it, and not where it was final before the promotion was given."""
    if not _can_get(applied, invoice):
        return False
    if invoice.finalized_at is None:
        return True
    if invoice.frozen_terms is None:  # older than these are kept
        return invoice.finalized_at > applied.created_at
    return any(kept["id"] == applied.pk for kept in invoice.frozen_terms["promotions"])


class Taken:
    """What invoices have taken of the caps of these applied promotions: final ones with their corrections."""

    def __init__(self, capped: Collection[int]) -> None:
        self.sums: dict[int, list[tuple[str, datetime, int, str, Decimal]]] = defaultdict(list)
        if not capped:
            return
        lines = InvoiceLine.objects.filter(promotion__in=capped).exclude(invoice__status=Invoice.Status.VOID)
        about = ("promotion", "invoice__currency", "invoice__period_start", "invoice", "invoice__status")
        for applied, *taken in lines.order_by().values_list(*about).annotate(taken=Sum("amount")):
            self.sums[applied].append(tuple(taken))
        applied_by_key = {promotion_key(applied): applied for applied in capped}
        corrections = Correction.objects.filter(
            key__in=applied_by_key,
            invoice__status=Invoice.Status.FINAL,
            invoice__customer__in=AppliedPromotion.objects.filter(pk__in=capped).values("customer"),
        )
        about = ("key", "invoice__currency", "invoice__period_start", "invoice", "invoice__status")
        for key, *taken in corrections.values_list(*about, F("amount_after") - F("amount_before")):
            self.sums[applied_by_key[key]].append(tuple(taken))

    def by_final(self, applied: int, currency: str) -> dict[int, Decimal]:
        """What each final invoice in this currency has taken of it."""
        found: dict[int, Decimal] = defaultdict(Decimal)
        for its_currency, _, invoice, status, amount in self.sums[applied]:
            if status == Invoice.Status.FINAL and its_currency == currency:
                found[invoice] = EXACT.subtract(found[invoice], amount)
        return found

    def of(self, applied: AppliedPromotion, invoice: Invoice) -> Decimal:
        """What others in its currency have taken of it that come before the invoice: those for earlier periods, and
        final ones."""
        return total_of(
            amount
            for currency, start, other, status, amount in self.sums[applied.pk]
            if other != invoice.pk
            and currency == invoice.currency
            and (status == Invoice.Status.FINAL or (start, other) < (invoice.period_start, invoice.pk))
        ).copy_negate()


def taken_with_corrections(applied: int, invoices: Collection[int]) -> dict[int, Decimal]:
    """What each of these invoices has taken of an applied promotion, or had when it became void."""
    found: dict[int, Decimal] = defaultdict(Decimal)
    lines = InvoiceLine.objects.filter(promotion=applied, invoice__in=invoices).order_by()
    corrections = Correction.objects.filter(key=promotion_key(applied), invoice__in=invoices).order_by()
    for pk, amount in [
        *lines.values_list("invoice").annotate(taken=Sum("amount")),
        *corrections.values_list("invoice", F("amount_after") - F("amount_before")),
    ]:
        found[pk] = EXACT.subtract(found[pk], amount)
    return found
