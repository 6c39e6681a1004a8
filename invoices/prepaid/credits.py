"""Prepaid credits: granted, drawn by invoices that become final, given back, expired, voided.

The ledger is the truth: what is left of a grant is the sum of its entries, which are only ever added to. Whoever moves
a customer's credit holds the customer first, then the grants in the order in which they are drawn.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.expressions import Combinable
from django.utils import timezone

from invoices.locking import lock_customer
from invoices.models import CreditEntry, CreditGrant, Invoice, InvoiceEvent
from invoices.prepaid.balances import DRAW_ORDER, grants_with_money, lines_for_drawing, parts_of, pot_of, with_left
from invoices.prepaid.checks import currency_of, money
from invoices.prepaid.drawing import ZERO, Drawn, draw, returned, shares_of
from invoices.prepaid.rules import check_rule
from invoices.settling.settlement import refresh
from meters.models import Customer
from meters.words import INSTANT
from pricing.inputs import check_row, sensible_day
from pricing.models import ProductItem
from pricing.money import total_of
from pricing.steps import EXACT

Kind = CreditEntry.Kind
# What a repeated grant has to have in common with the first one.
SAME = ("currency", "amount", "price_paid", "priority", "expires_at", "name", "source")


@transaction.atomic
def grant_credits(
    *,
    customer: Customer,
    name: str,
    currency: str,
    amount: Decimal | str | int,
    price_paid: Decimal | str | int = 0,
    priority: int = 50,
    starts_at: datetime | None = None,
    expires_at: datetime | None = None,
    product_items: Iterable[ProductItem] = (),
    source: str = CreditGrant.Source.STAFF,
    reference: str = "",
    actor: str = "",
    now: datetime | None = None,
) -> tuple[CreditGrant, bool]:
    """Grants a customer credit, in major units of a currency, good from `starts_at` (None: now) until `expires_at`
    (None: for ever). Answers the grant, and whether it is new.

    `reference` is the sender's own id of it: sent again with the same content it answers what was granted, and grants
    nothing. Raises ValidationError by field, also for a reference that was granted with another content.
    """
    now = now or timezone.now()
    code = currency_of(currency)
    grant = CreditGrant(
        customer=customer,
        name=name.strip(),
        currency=code,
        amount=money(amount, code, "amount"),
        price_paid=money(price_paid, code, "price_paid", or_zero=True),
        priority=priority,
        starts_at=starts_at or now,
        expires_at=expires_at,
        source=source,
        reference=reference.strip(),
        actor=actor[:150],
    )
    check_row(grant, but=["customer"], unique=False)
    items = list(product_items)
    # The customer's lock is what a second request with the same reference waits for.
    lock_customer(customer.pk)
    if grant.reference:
        first = CreditGrant.objects.filter(customer=customer, reference=grant.reference).first()
        if first is not None:
            _check_same(first, grant, items, starts_at)
            return first, False
    _check_times(grant, now)
    grant.save()
    grant.product_items.set(items)
    _enter(grant, Kind.GRANTED, grant.amount, ZERO, now, actor=actor)
    check_rule(customer.pk, now)
    return grant, True


def _check_times(grant: CreditGrant, now: datetime) -> None:
    for field in ("starts_at", "expires_at"):
        moment: datetime | None = getattr(grant, field)
        sensible_day(moment.date() if moment else None, field)
    if grant.expires_at is None:
        return
    if grant.expires_at <= grant.starts_at:
        raise ValidationError({"expires_at": "It expires after it begins."})
    if grant.expires_at <= now:
        raise ValidationError({"expires_at": "This is over already."})


def _check_same(
    first: CreditGrant, again: CreditGrant, items: Sequence[ProductItem], starts_at: datetime | None
) -> None:
    others = [name for name in SAME if getattr(first, name) != getattr(again, name)]
    others += ["starts_at"] if starts_at is not None and starts_at != first.starts_at else []
    others += ["product_items"] if set(first.product_items.all()) != set(items) else []
    if others:
        names = ", ".join(name.replace("_", " ") for name in others)
        raise ValidationError({"reference": f"It was granted under this reference already, with another {names}."})


@transaction.atomic
def void_grant(grant: CreditGrant, *, reason: str = "", actor: str = "", now: datetime | None = None) -> CreditGrant:
    """Takes back what is left of a grant. What it has paid stays paid; what comes back of that is void as well.

    Raises ValidationError where it is void already.
    """
    now = now or timezone.now()
    lock_customer(grant.customer_id)
    grant = _locked(grant.pk)
    if grant.voided_at is not None:
        raise ValidationError({"grant": f"{grant} is void already."})
    if "\0" in reason or len(reason) > 300:
        raise ValidationError({"reason": "This is at most 300 characters of text."})
    _void_rest(grant, now, actor=actor, note=reason.strip())
    check_rule(grant.customer_id, now)
    return grant


def _void_rest(
    grant: CreditGrant, now: datetime, *, actor: str = "", note: str = "", invoice: Invoice | None = None
) -> None:
    grant.voided_at = now
    grant.save(update_fields=["voided_at"])
    _enter(grant, Kind.VOIDED, _left(grant).copy_negate(), _left(grant), now, actor=actor, note=note, invoice=invoice)


@transaction.atomic
def expire_grants(customer_id: int, *, now: datetime | None = None) -> int:
    """Enters that a customer's grants have expired, and answers how many. Whoever comes second finds nothing left."""
    now = now or timezone.now()
    lock_customer(customer_id)
    expired = grants_with_money([customer_id]).filter(_is_over(now))
    grants = list(expired.select_for_update(of=("self",)))
    for grant in grants:
        _expire(grant, _left(grant), now)
    if grants:
        check_rule(customer_id, now)
    return len(grants)


def customers_with_expired(now: datetime, limit: int) -> list[int]:
    """Whose grants have expired with something left, which no entry says yet."""
    expired = with_left(CreditGrant.objects.filter(_is_over(now), voided_at=None)).filter(left__gt=0)
    return list(expired.order_by("customer").values_list("customer", flat=True).distinct()[:limit])


def _is_over(now: datetime) -> Combinable | Q:
    """Which grants have expired for good: no invoice that they are to pay is merely late with becoming final."""
    late = Invoice.objects.filter(
        customer=OuterRef("customer"),
        currency=OuterRef("currency"),
        status__in=Invoice.LIVE,
        closes_at__lt=OuterRef("expires_at"),
    )
    return Q(expires_at__lte=now) & ~Exists(late)


def _expire(grant: CreditGrant, left: Decimal, now: datetime) -> None:
    _enter(grant, Kind.EXPIRED, left.copy_negate(), left, now)


# --- Invoices. All are called inside the transaction that holds the customer and the invoice ---


def draw_credits(invoice: Invoice, now: datetime) -> None:
    """Pays an invoice that has just become final, taxes and all, with what is good at this moment. One below zero
    becomes a grant of that amount. Doing it twice draws once."""
    if invoice.credit_entries.exists():
        return
    if invoice.total < 0:
        _grant_of(invoice, now)
    elif invoice.total > 0:
        _draw(invoice, now)


def _grant_of(invoice: Invoice, now: datetime) -> None:
    grant = CreditGrant.objects.create(
        customer_id=invoice.customer_id,
        name=f"From invoice {invoice.number}",
        currency=invoice.currency,
        amount=invoice.total.copy_negate(),
        starts_at=now,
        source=CreditGrant.Source.INVOICE,
    )
    _enter(grant, Kind.GRANTED, grant.amount, ZERO, now, invoice=invoice)
    _settle(invoice, "credit granted", grant.amount, now)


def _draw(invoice: Invoice, now: datetime) -> None:
    of_currency = grants_with_money([invoice.customer_id]).filter(currency=invoice.currency)
    grants = {grant.pk: grant for grant in of_currency.select_for_update(of=("self",))}
    if not grants:
        return
    shares = shares_of(invoice.total, parts_of(lines_for_drawing().filter(invoice=invoice)), invoice.currency)
    drawn = draw([pot_of(grant) for grant in grants.values()], shares, invoice.currency, now, invoice.closes_at)
    for one in drawn:
        grant = grants[one.pot]
        _enter(grant, Kind.DRAWN, one.amount.copy_negate(), _left(grant), now, invoice=invoice)
    if drawn:
        _settle(invoice, "credits drawn", total_of(one.amount for one in drawn), now)


def give_back(invoice: Invoice, now: datetime) -> None:
    """Returns what an invoice drew beyond what it now comes to: its total less credit notes, or nothing where it is
    void. The newest draw goes back first. What a void one below zero has become is void as well."""
    is_void = invoice.status == Invoice.Status.VOID
    limit = ZERO if is_void else max(EXACT.subtract(invoice.total, invoice.credited), ZERO)
    entries = list(invoice.credit_entries.order_by("id").values_list("kind", "grant", "amount"))
    if is_void and invoice.total < 0:
        for grant in _of_invoice(invoice):
            _void_with_invoice(grant, invoice, now)
        return
    drawn = _net([(grant, amount) for kind, grant, amount in entries if kind in (Kind.DRAWN, Kind.RETURNED)])
    beyond = EXACT.subtract(total_of(one.amount for one in drawn), limit)
    back = returned(drawn, beyond)
    if not back:
        return
    grants = {grant.pk: grant for grant in _locked_all([one.pot for one in back])}
    for one in back:
        grant = grants[one.pot]
        left = _left(grant)
        _enter(grant, Kind.RETURNED, one.amount, left, now, invoice=invoice)
        left = EXACT.add(left, one.amount)
        # To whom it was good for no longer it comes back as it is.
        if grant.voided_at is not None:
            of = _void_source(grant)
            _enter(grant, Kind.VOIDED, left.copy_negate(), left, now, invoice=of)
            if of is not None:
                _settle(of, "credit voided", left, now)
        elif grant.expires_at is not None and grant.expires_at <= now:
            _expire(grant, left, now)
    _settle(invoice, "credits returned", total_of(one.amount for one in back), now)


def grant_again(void: Invoice, new: Invoice, now: datetime) -> None:
    """What a void invoice gave back to grants that had expired is granted again, for the invoice in its place: until
    that is due to become final, so that it is still drawn then, and expires after it."""
    assert void.voided_at is not None
    back = void.credit_entries.filter(kind=Kind.RETURNED, at=void.voided_at)
    expired = back.filter(grant__expires_at__lte=void.voided_at, grant__voided_at=None).order_by("id")
    amounts: dict[int, Decimal] = {}
    for pk, amount in expired.values_list("grant", "amount"):
        amounts[pk] = EXACT.add(amounts.get(pk, ZERO), amount)
    for old in _locked_all(list(amounts)):
        grant = CreditGrant.objects.create(
            customer_id=void.customer_id,
            name=old.name,
            currency=old.currency,
            amount=amounts[old.pk],
            priority=old.priority,
            starts_at=now,
            expires_at=new.closes_at + INSTANT,
        )
        grant.product_items.set(old.product_items.all())
        note = f"For what takes the place of invoice {void.number}"
        _enter(grant, Kind.GRANTED, grant.amount, ZERO, now, note=note)
    if amounts:
        check_rule(void.customer_id, now)


def _void_with_invoice(grant: CreditGrant, invoice: Invoice, now: datetime) -> None:
    """Voids what an invoice below zero has become. What staff have voided of it before is given back to it first: the
    void invoice has taken that back as well, and nobody owes it."""
    note, amount = f"Invoice {invoice.number} is void", _left(grant)
    if grant.voided_at is None:
        _void_rest(grant, now, note=note, invoice=invoice)
    else:
        by_staff = grant.entries.filter(kind__in=(Kind.VOIDED, Kind.RETURNED), invoice=None)
        amount = total_of(by_staff.values_list("amount", flat=True)).copy_negate()
        _enter(grant, Kind.RETURNED, amount, _left(grant), now, note=note)
        _enter(grant, Kind.VOIDED, amount.copy_negate(), amount, now, note=note, invoice=invoice)
    if amount:
        _settle(invoice, "credit voided", amount, now)


def _of_invoice(invoice: Invoice) -> list[CreditGrant]:
    entries = invoice.credit_entries.filter(kind=Kind.GRANTED)
    return _locked_all(list(entries.values_list("grant", flat=True)))


def _void_source(grant: CreditGrant) -> Invoice | None:
    """The invoice below zero that became this grant, where it is void: it owes what the grant has paid for others."""
    made = grant.entries.filter(kind=Kind.GRANTED, invoice__status=Invoice.Status.VOID).select_related("invoice")
    first = made.first()
    return first.invoice if first is not None else None


def _net(entries: Iterable[tuple[int, Decimal]]) -> list[Drawn]:
    """What is drawn of each grant, less what went back, in the order of the drawing."""
    sums: dict[int, Decimal] = {}
    for grant, amount in entries:
        sums[grant] = EXACT.subtract(sums.get(grant, ZERO), amount)
    return [Drawn(grant, amount) for grant, amount in sums.items()]


def _settle(invoice: Invoice, kind: str, amount: Decimal, now: datetime) -> None:
    InvoiceEvent.objects.create(invoice=invoice, kind=kind, detail={"amount": str(amount)})
    refresh(invoice, now)
    check_rule(invoice.customer_id, now)


# --- The ledger ---


def _locked_all(pks: Sequence[int]) -> list[CreditGrant]:
    """Grants, held, in the order in which they are drawn, each with its `left`."""
    grants = with_left(CreditGrant.objects.filter(pk__in=pks)).order_by(*DRAW_ORDER)
    return list(grants.select_for_update(of=("self",)))


def _locked(pk: int) -> CreditGrant:
    [grant] = _locked_all([pk])
    return grant


def _left(grant: CreditGrant) -> Decimal:
    left: Decimal = grant.left  # type: ignore[attr-defined] # as `with_left` annotates it
    return left


def _enter(grant: CreditGrant, kind: str, amount: Decimal, left: Decimal, now: datetime, **more: Any) -> None:
    """Writes a movement of a grant that has so much left; one of nothing is none."""
    if amount:
        CreditEntry.objects.create(
            grant=grant, kind=kind, amount=amount, balance=EXACT.add(left, amount), at=now, **more
        )
