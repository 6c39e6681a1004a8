"""A customer's statement in one currency: what was owed, each document that changed it, and what is owed then.

A document counts from the moment that it was issued or recorded, so the statement of a span that is over never changes:
a payment that is recorded later is on a later statement, which names the day that it was paid on.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from zoneinfo import ZoneInfo

from django.db.models import Max, Q

from invoices.models import CreditEntry, CreditNote, Invoice, Payment
from meters.models import Customer
from meters.periods import Period, local_date
from meters.snapshot import snapshot
from meters.words import INSTANT, day_words, period_words
from pricing.money import format_money, total_of
from pricing.steps import EXACT

ZERO = Decimal(0)
INVOICE, CREDITS, CREDIT_NOTE = "invoice", "credits", "credit_note"
PAYMENT, REFUND, WRITE_OFF, VOID = "payment", "refund", "write_off", "void"
# Of several at one moment, in this order.
KINDS = (INVOICE, VOID, CREDIT_NOTE, CREDITS, PAYMENT, REFUND, WRITE_OFF)


@dataclass(frozen=True, slots=True)
class Entry:
    """A document, or what settles one. `amount` is above zero where more is owed by it, `balance` what is owed after
    it. `number` is the credit note's, else the invoice's that it is about. `reference` is for staff."""

    at: datetime
    day: date
    kind: str
    number: str
    invoice_id: int
    words: str
    detail: str
    amount: Decimal
    balance: Decimal = ZERO
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """`as_of`: up to when documents are in it, which is before the end of a span that is not over."""

    customer: Customer
    currency: str
    period: Period
    zone: ZoneInfo
    as_of: datetime
    opening: Decimal
    entries: Sequence[Entry]

    @property
    def closing(self) -> Decimal:
        return self.entries[-1].balance if self.entries else self.opening

    @property
    def is_over(self) -> bool:
        return self.as_of == self.period.end

    @property
    def first_day(self) -> date:
        return local_date(self.period.start, self.zone)

    @property
    def last_day(self) -> date:
        """The last day that is in it."""
        return local_date(self.as_of - INSTANT if self.is_over else self.as_of, self.zone)

    @property
    def sums(self) -> list[tuple[str, Decimal]]:
        """What came of each kind, in words; of those that there are."""
        named = ((SUM_WORDS[kind], [one.amount for one in self.entries if one.kind == kind]) for kind in KINDS)
        return [(words, total_of(amounts)) for words, amounts in named if any(amounts)]


SUM_WORDS = {
    INVOICE: "Invoices",
    VOID: "Void",
    CREDIT_NOTE: "Credit notes",
    CREDITS: "Prepaid credits",
    PAYMENT: "Payments",
    REFUND: "Refunds",
    WRITE_OFF: "Write-offs",
}


def currencies_of(customer: Customer) -> list[str]:
    """What the customer has invoices in, the one of the newest first."""
    invoices = Invoice.objects.filter(customer=customer).exclude(number="", status=Invoice.Status.VOID)
    newest = (
        invoices.order_by().values_list("currency").annotate(last=Max("period_start")).order_by("-last", "currency")
    )
    return [currency for currency, _ in newest]


def statement_of(customer: Customer, currency: str, period: Period, *, now: datetime) -> Statement:
    """What was owed at the start of the period, each document in it, and what was owed at its end, or is owed now."""
    zone = customer.zone
    until = None if period.end > now else period.end
    with snapshot():
        moves = _replayed(_moves(customer, currency, until))
    before = [one for one in moves if one.at < period.start]
    balance = opening = total_of(one.amount for one in before)
    entries = []
    for one in moves[len(before) :]:
        balance = EXACT.add(balance, one.amount)
        entries.append(_entry(one, balance, zone))
    return Statement(customer, currency, period, zone, min(period.end, now), opening, entries)


def headline_of(statement: Statement) -> str:
    """ "$40.00 owed on 30 Nov 2026"."""
    amount, day = statement.closing, day_words(statement.last_day)
    owed = "owed back to you" if amount < 0 else "owed"
    return f"{format_money(amount.copy_abs(), statement.currency)} {owed} on {day}"


# --- What moves the balance ---


@dataclass(frozen=True, slots=True)
class _Invoice:
    """What the words of a document need of its invoice."""

    pk: int
    number: str
    finalized_at: datetime
    voided_at: datetime | None
    total: Decimal
    plan: str
    period: Period
    zone: ZoneInfo
    due_on: date | None

    def since(self, at: datetime) -> datetime:
        """From when on a document of the invoice counts: not before that, whatever a clock that was put back says."""
        return max(at, self.finalized_at)


@dataclass(frozen=True, slots=True)
class _Move:
    at: datetime
    invoice: _Invoice
    kind: str
    amount: Decimal
    pk: int = 0
    number: str = ""
    what: str = ""  # the kind of a credit entry; of a write-off, whether another document moves it
    text: str = ""  # a grant's name, a credit note's reason, a reference
    day: date | None = None


@dataclass(slots=True)
class _Settled:
    """An invoice, as far as its documents have been gone through."""

    left: Decimal = ZERO  # the total less credits, credit notes and payments
    given_up: Decimal = ZERO  # all write-offs
    written_off: Decimal = ZERO  # what is still written off
    moves: list[_Move] = field(default_factory=list)


def _replayed(moves: Iterable[_Move]) -> list[_Move]:
    """The moves in their order, with what they do to write-offs: what is paid or credited after all takes the place of
    what was written off, as `settlement.settlement_of` has it."""
    states: dict[int, _Settled] = defaultdict(_Settled)
    found: list[_Move] = []
    ordered = sorted(moves, key=lambda one: (one.at, one.invoice.pk, KINDS.index(one.kind), one.pk))
    for (at, _), group in groupby(ordered, key=lambda one: (one.at, one.invoice.pk)):
        together = list(group)
        state = states[together[0].invoice.pk]
        for one in together:
            if one.kind == WRITE_OFF:
                state.given_up = EXACT.subtract(state.given_up, one.amount)
            elif one.kind != VOID:
                state.left = EXACT.add(state.left, one.amount)
        now_off = min(state.given_up, max(state.left, ZERO))
        said = total_of(one.amount for one in together if one.kind == WRITE_OFF)
        # What was written off before, and is not any more, or is again.
        besides = total_of([state.written_off, now_off.copy_negate(), said.copy_negate()])
        state.written_off = now_off
        found += together
        if besides:
            found.append(_Move(at, together[0].invoice, WRITE_OFF, besides, what="moved"))
    return found


def _moves(customer: Customer, currency: str, until: datetime | None) -> Iterator[_Move]:
    """All that has moved the balance before a moment, in no order. A statement for each kind of document."""
    invoices = _invoices(Q(customer=customer, currency=currency), until)
    through = {"invoice__customer": customer, "invoice__currency": currency}
    through |= _before("invoice__finalized_at", until)
    notes = (
        CreditNote.objects.filter(**through, **_before("issued_at", until))
        .order_by()
        .values_list("pk", "invoice", "issued_at", "number", "total", "reason")
    )
    credited: dict[int, list[Decimal]] = defaultdict(list)
    for pk, invoice, at, number, total, reason in notes:
        credited[invoice].append(total)
        one = invoices[invoice]
        yield _Move(one.since(at), one, CREDIT_NOTE, total.copy_negate(), pk, number=number, text=reason)
    for one in invoices.values():
        yield _Move(one.finalized_at, one, INVOICE, one.total)
        if one.voided_at is not None and (until is None or one.voided_at < until):
            # What credit notes have not taken back: nothing, unless it was of less than nothing.
            left = EXACT.subtract(total_of(credited[one.pk]), one.total)
            yield _Move(one.since(one.voided_at), one, VOID, left)
    entries = (
        CreditEntry.objects.filter(**through, **_before("at", until))
        .order_by()
        .values_list("pk", "invoice", "at", "kind", "amount", "grant__name")
    )
    for pk, invoice, at, kind, amount, name in entries:
        one = invoices[invoice]
        yield _Move(one.since(at), one, CREDITS, amount, pk, what=kind, text=name)
    payments = (
        Payment.objects.filter(**through, **_before("created_at", until))
        .order_by()
        .values_list("pk", "invoice", "created_at", "kind", "amount", "reference", "paid_on")
    )
    for pk, invoice, at, kind, amount, reference, day in payments:
        one = invoices[invoice]
        yield _Move(one.since(at), one, kind, amount.copy_negate(), pk, text=reference, day=day)


def _invoices(of: Q, until: datetime | None) -> dict[int, _Invoice]:
    final = Invoice.objects.filter(of, finalized_at__isnull=False, **_before("finalized_at", until)).exclude(number="")
    columns = (
        *("pk", "number", "finalized_at", "voided_at", "total", "plan_name"),
        *("period_start", "period_end", "time_zone", "due_on"),
    )
    return {
        pk: _Invoice(pk, number, final_at, void_at, total, plan, Period(start, end), ZoneInfo(zone), due_on)
        for pk, number, final_at, void_at, total, plan, start, end, zone, due_on in final.order_by().values_list(
            *columns
        )
    }


def _before(name: str, until: datetime | None) -> dict[str, datetime]:
    return {} if until is None else {f"{name}__lt": until}


# --- Words ---


def _entry(move: _Move, balance: Decimal, zone: ZoneInfo) -> Entry:
    words, detail = _words(move, zone)
    return Entry(
        at=move.at,
        day=local_date(move.at, zone),
        kind=move.kind,
        number=move.number or move.invoice.number,
        invoice_id=move.invoice.pk,
        words=words,
        detail=detail,
        amount=move.amount,
        balance=balance,
        reference=move.text if move.kind in (PAYMENT, REFUND, WRITE_OFF) else "",
    )


def _words(move: _Move, zone: ZoneInfo) -> tuple[str, str]:
    """What it is, to stand before its number, and what is to be said of it."""
    invoice = move.invoice
    match move.kind:
        case "invoice":
            due = f", due {day_words(invoice.due_on)}" if invoice.due_on and invoice.total > 0 else ""
            return "Invoice", f"{invoice.plan}, {period_words(invoice.period, invoice.zone)}{due}"
        case "void":
            return "Void: invoice", ""
        case "credit_note":
            return "Credit note", f"for invoice {invoice.number}: {move.text}"
        case "credits":
            return _CREDIT_WORDS[CreditEntry.Kind(move.what)], move.text
        case "write_off" if not move.what:
            return "Write-off of invoice", ""
        case "write_off":
            return "Write-off taken back, invoice" if move.amount > 0 else "Write-off again, invoice", ""
    words = "Payment for invoice" if move.kind == PAYMENT else "Refund for invoice"
    # The day that it was recorded stands beside it.
    is_same = move.day is None or move.day == local_date(move.at, zone)
    return words, "" if is_same or move.day is None else f"on {day_words(move.day)}"


_CREDIT_WORDS = {
    CreditEntry.Kind.DRAWN: "Credits for invoice",
    CreditEntry.Kind.RETURNED: "Credits back from invoice",
    CreditEntry.Kind.GRANTED: "Made credit: invoice",
    CreditEntry.Kind.VOIDED: "Credit taken back, invoice",
    CreditEntry.Kind.EXPIRED: "Credit expired, invoice",
}
