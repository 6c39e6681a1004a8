"""What is left of prepaid credits, and what they would pay of the invoices that are not final. Reads only."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import DecimalField, F, OuterRef, Prefetch, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from invoices.models import CreditEntry, CreditGrant, Invoice, InvoiceLine
from invoices.prepaid.drawing import ZERO, Drawn, Part, Pot, draw, shares_of
from meters.models import Customer
from pricing.money import total_of
from pricing.steps import EXACT

# By priority, then by expiry, those without one last, then by age: as `drawing.Pot.order` has it.
DRAW_ORDER = ("priority", F("expires_at").asc(nulls_last=True), "id")
# In the total, but not charged for anything of this period.
NO_CHARGES = (InvoiceLine.Kind.TAX, InvoiceLine.Kind.TAX_CORRECTION)


@dataclass(frozen=True, slots=True)
class Balance:
    """What a customer has in a currency at a moment. `restricted` is the part of it that is for some product items
    only, `pending` what is good from a later moment on, `expiring` what expires next, at `expires_at`."""

    currency: str
    amount: Decimal
    restricted: Decimal
    pending: Decimal
    expiring: Decimal
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What credits would pay of an invoice that is not final, and by grant."""

    amount: Decimal
    drawn: tuple[tuple[CreditGrant, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class Credits:
    """A customer's: by currency, the grants that are good now, and what its running invoices would draw."""

    balances: list[Balance]
    good: list[CreditGrant]
    previews: dict[int, Preview]


def with_left(grants: "QuerySet[CreditGrant]") -> "QuerySet[Any]":
    """Grants, each with what is `left` of it: the sum of its entries."""
    sums = CreditEntry.objects.filter(grant=OuterRef("pk")).order_by().values("grant").annotate(sum=Sum("amount"))
    number: DecimalField[Decimal, Decimal] = DecimalField(max_digits=60, decimal_places=20)
    return grants.annotate(left=Coalesce(Subquery(sums.values("sum")), Value(ZERO, number), output_field=number))


def grants_with_money(customers: Iterable[int]) -> "QuerySet[Any]":
    """The grants that something is left of, whether they are good now or not, in the order in which they are drawn."""
    grants = with_left(CreditGrant.objects.filter(customer__in=customers, voided_at=None)).filter(left__gt=0)
    return grants.prefetch_related("product_items").order_by(*DRAW_ORDER)


def pot_of(grant: Any) -> Pot:
    """A grant with its `left`, as drawing sees it."""
    return Pot(
        id=grant.pk,
        currency=grant.currency,
        left=grant.left,
        starts_at=grant.starts_at,
        expires_at=grant.expires_at,
        priority=grant.priority,
        product_item_ids=frozenset(item.pk for item in grant.product_items.all()),
    )


def balances_of(customer: Customer, now: datetime) -> list[Balance]:
    """What a customer has, by currency; of each currency that it has or will have something in."""
    return _balances(grants_with_money([customer.pk]), now)


def credits_of(customer: Customer, now: datetime) -> Credits:
    """Who has no credit costs one question."""
    grants = list(grants_with_money([customer.pk]))
    good = [grant for grant in grants if pot_of(grant).is_good_at(now)]
    return Credits(_balances(grants, now), good, _previews(grants, now))


def _balances(grants: Iterable[CreditGrant], now: datetime) -> list[Balance]:
    by_currency: dict[str, list[Pot]] = defaultdict(list)
    for grant in grants:
        by_currency[grant.currency].append(pot_of(grant))
    found = [_balance(currency, pots, now) for currency, pots in sorted(by_currency.items())]
    return [balance for balance in found if balance.amount or balance.pending]


def _balance(currency: str, pots: Sequence[Pot], now: datetime) -> Balance:
    good = [pot for pot in pots if pot.is_good_at(now)]
    expires_at = min((pot.expires_at for pot in good if pot.expires_at is not None), default=None)
    return Balance(
        currency=currency,
        amount=total_of(pot.left for pot in good),
        restricted=total_of(pot.left for pot in good if pot.product_item_ids),
        pending=total_of(pot.left for pot in pots if pot.starts_at > now),
        expiring=total_of(pot.left for pot in good if expires_at is not None and pot.expires_at == expires_at),
        expires_at=expires_at,
    )


def parts_of(lines: Iterable[InvoiceLine]) -> list[Part]:
    """The lines of an invoice as drawing sees them."""
    return [
        Part(
            amount=line.amount,
            product_item_id=line.product_item_id,
            is_discount=line.kind == InvoiceLine.Kind.PROMOTION,
            off=_off(line),
        )
        for line in lines
        if line.kind not in NO_CHARGES
    ]


def _off(line: InvoiceLine) -> frozenset[int]:
    if line.promotion is None:
        return frozenset()
    return frozenset(item.pk for item in line.promotion.promotion.product_items.all())


def lines_for_drawing() -> "QuerySet[InvoiceLine]":
    lines = InvoiceLine.objects.order_by("invoice", "position").select_related("promotion__promotion")
    return lines.prefetch_related("promotion__promotion__product_items")


def previews_of(customers: Iterable[int], now: datetime) -> dict[int, Preview]:
    """By invoice, what credits would pay of these customers' invoices that are not final, as they are now.

    Each would be final at the end of its grace time, so credits that expire before then do not count, and those that
    begin before then do; of several invoices the first to be final draws first. Without credits there is nothing.
    """
    return _previews(list(grants_with_money(customers)), now)


def _previews(grants: Sequence[CreditGrant], now: datetime) -> dict[int, Preview]:
    by_customer: dict[int, list[Pot]] = defaultdict(list)
    for grant in grants:
        by_customer[grant.customer_id].append(pot_of(grant))
    if not by_customer:
        return {}
    some = Invoice.objects.filter(customer__in=by_customer, status__in=Invoice.LIVE)
    named = {grant.pk: grant for grant in grants}
    found: dict[int, Preview] = {}
    for invoice in some.order_by("closes_at", "id").prefetch_related(Prefetch("lines", lines_for_drawing())):
        pots = by_customer[invoice.customer_id]
        shares = shares_of(invoice.total, parts_of(invoice.lines.all()), invoice.currency)
        drawn = draw(pots, shares, invoice.currency, max(invoice.closes_at, now), invoice.closes_at)
        by_customer[invoice.customer_id] = _less(pots, drawn)
        amount = total_of(one.amount for one in drawn)
        found[invoice.pk] = Preview(amount, tuple((named[one.pot], one.amount) for one in drawn))
    return found


def _less(pots: Sequence[Pot], drawn: Sequence[Drawn]) -> list[Pot]:
    off = {one.pot: one.amount for one in drawn}
    return [replace(pot, left=EXACT.subtract(pot.left, off.get(pot.id, ZERO))) for pot in pots]


def drawn_of(invoice: Invoice) -> list[tuple[CreditGrant, Decimal]]:
    """What credits pay of a final invoice, by grant, less what they have got back, in the order of the drawing."""
    by_grant: dict[CreditGrant, list[Decimal]] = {}
    kinds = (CreditEntry.Kind.DRAWN, CreditEntry.Kind.RETURNED)
    for entry in invoice.credit_entries.filter(kind__in=kinds).select_related("grant").order_by("id"):
        by_grant.setdefault(entry.grant, []).append(entry.amount)
    sums = ((grant, total_of(amounts).copy_negate()) for grant, amounts in by_grant.items())
    return [(grant, amount) for grant, amount in sums if amount]


def standings_of(pairs: Iterable[tuple[int, str]], now: datetime) -> dict[tuple[int, str], Decimal]:
    """By customer and currency, what is left of credits once the running invoices are paid, as they are now."""
    wanted = list(pairs)
    customers = list({customer for customer, _ in wanted})
    grants = list(grants_with_money(customers))
    taken: dict[int, list[Decimal]] = defaultdict(list)
    for preview in _previews(grants, now).values():
        for grant, amount in preview.drawn:
            taken[grant.pk].append(amount.copy_negate())
    left: dict[tuple[int, str], list[Decimal]] = defaultdict(list)
    for grant in grants:
        pot = pot_of(grant)
        if pot.is_good_at(now):
            left[grant.customer_id, grant.currency] += [pot.left, *taken[grant.pk]]
    return {pair: total_of(left.get(pair, ())) for pair in wanted}
