"""Credit notes: what is taken back of a final invoice, whole or by line, or because its usage has changed since.

What is left of each line is its amount less what was credited of it. Taxes follow the lines: what is credited of one is
its percentage of all that was credited so far, less what was credited of it before. So the parts add up to the whole
tax, to the cent, however many credit notes there are.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from invoices.lines.explained import parts_of
from invoices.locking import lock_invoice
from invoices.models import Correction, CreditNote, CreditNoteLine, Invoice, InvoiceEvent, InvoiceLine, NumberSeries
from invoices.numbering import next_number
from invoices.seller import seller_to_keep
from invoices.settling.settlement import refresh
from meters.words import period_words
from pricing.money import amount_text, format_money, round_money, total_of
from pricing.steps import EXACT, PRORATED

ZERO = Decimal(0)
Kind = InvoiceLine.Kind
TAXES = (Kind.TAX, Kind.TAX_CORRECTION)
LONGEST_NAME, LONGEST_REASON = 200, 500


@dataclass(frozen=True, slots=True)
class NoteLine:
    """A line of a credit note to be. Positive: taken back. `line` is the invoice's, which a correction has none of."""

    name: str
    amount: Decimal
    is_tax: bool = False
    line: InvoiceLine | None = None
    corrects_key: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A credit note to be."""

    lines: Sequence[NoteLine]

    @property
    def subtotal(self) -> Decimal:
        return total_of(line.amount for line in self.lines if not line.is_tax)

    @property
    def total(self) -> Decimal:
        return total_of(line.amount for line in self.lines)


@dataclass(frozen=True, slots=True)
class CorrectionLine:
    """A line of a credit note for usage that was voided, or came, after the invoice. Positive: taken back. `line` is
    the invoice's where that carries a correction of another one, which is void."""

    name: str
    amount: Decimal
    corrects_key: str
    is_tax: bool = False
    line: InvoiceLine | None = None


@dataclass(frozen=True, slots=True)
class LineLeft:
    """A line of an invoice, and what is left of it to credit; `name` says also which part of its usage it is about."""

    line: InvoiceLine
    name: str
    left: Decimal

    @property
    def credited(self) -> Decimal:
        return _less(self.line.amount, self.left)

    @property
    def is_tax(self) -> bool:
        return self.line.kind in TAXES


@dataclass(slots=True)
class _Group:
    """Lines, and the taxes on them: those of the invoice's own period, or the corrections of an earlier one."""

    net: list[LineLeft] = field(default_factory=list)
    taxes: list[LineLeft] = field(default_factory=list)


class Leftover:
    """What is left of an invoice to credit, as its rows say it."""

    def __init__(self, invoice: Invoice) -> None:
        self.invoice = invoice
        given = CreditNoteLine.objects.filter(credit_note__invoice=invoice).order_by()
        by_line = given.filter(invoice_line__isnull=False).values_list("invoice_line").annotate(Sum("amount"))
        credited: dict[int, Decimal] = dict(by_line)
        lines = list(invoice.lines.order_by("position"))
        self.lines = [
            LineLeft(line, _name(line, part), _less(line.amount, credited.get(line.pk, ZERO)))
            for line, part in zip(lines, parts_of(lines), strict=True)
        ]
        # What was taken back of its usage: of no line that there is, but of the same period.
        corrected = given.filter(invoice_line=None).values_list("corrects_key", "is_tax", "name")
        self.corrected = [
            NoteLine(name, amount, is_tax, corrects_key=key)
            for key, is_tax, name, amount in corrected.annotate(Sum("amount")).order_by(
                "is_tax", "corrects_key", "name"
            )
            if amount
        ]
        self.credited = CreditNote.objects.filter(invoice=invoice).aggregate(sum=Sum("total"))["sum"] or ZERO

    @property
    def total(self) -> Decimal:
        return _less(self.invoice.total, self.credited)

    def whole(self) -> Note:
        """All that is left. What was credited of its usage is set off, so that nothing is taken back twice."""
        lines = [NoteLine(one.name, one.left, one.is_tax, one.line) for one in self.lines if one.left]
        back = [
            NoteLine(_cut(f"{one.name}, credited before"), one.amount.copy_negate(), one.is_tax, None, one.corrects_key)
            for one in self.corrected
        ]
        return Note(sorted([*lines, *back], key=lambda line: line.is_tax))

    def of_lines(self, amounts: Mapping[int, Decimal | None]) -> Note:
        """These amounts of the lines at these positions (None: all that is left of it), and the taxes on them.

        Raises ValidationError, by `lines`.
        """
        chosen = {position: self._checked(position, amount) for position, amount in amounts.items()}
        found: list[NoteLine] = []
        taxes: list[NoteLine] = []
        groups = self._groups()
        for of, group in groups.items():
            taken = [one for one in group.net if chosen.get(one.line.position)]
            if taken:
                found += [NoteLine(one.name, chosen[one.line.position], False, one.line) for one in taken]
                taxes += self._taxes_of(group, total_of(chosen[one.line.position] for one in taken), is_own=of is None)
        note = Note([*found, *taxes])
        if note.total <= 0:
            raise _refusal("A credit note is of an amount above zero.")
        if note.total > self.total:
            left = format_money(max(self.total, ZERO), self.invoice.currency)
            asked = format_money(note.total, self.invoice.currency)
            raise _refusal(f"This comes to {asked} with taxes, and {left} of the invoice is left to credit.")
        return note

    def _groups(self) -> dict[int | None, _Group]:
        groups: dict[int | None, _Group] = defaultdict(_Group)
        for one in self.lines:
            group = groups[one.line.corrects_id if one.line.kind in (Kind.CORRECTION, Kind.TAX_CORRECTION) else None]
            (group.taxes if one.is_tax else group.net).append(one)
        return groups

    def _checked(self, position: int, amount: Decimal | None) -> Decimal:
        one = next((one for one in self.lines if one.line.position == position), None)
        if one is None:
            raise _refusal(f"The invoice has no line {position}.")
        if one.is_tax:
            raise _refusal(f"Line {position} is a tax, which follows the lines that it is on.")
        if not one.left:
            raise _refusal(f"Nothing is left to credit of {one.name}.")
        if amount is None:
            return one.left
        currency = self.invoice.currency
        if not amount.is_finite() or abs(amount.adjusted()) > 60 or round_money(amount, currency) != amount:
            raise _refusal(f"The amount of {one.name} is in whole minor units of {currency}.")
        left = format_money(one.left, currency)
        if not amount or (amount > 0) != (one.left > 0) or amount.copy_abs() > one.left.copy_abs():
            sign = "above" if one.left > 0 else "below"
            raise _refusal(f"{left} of {one.name} is left to credit: give an amount {sign} zero, up to that.")
        return round_money(amount, currency)

    def _taxes_of(self, group: _Group, amount: Decimal, *, is_own: bool) -> list[NoteLine]:
        """What is credited of each tax of a group with `amount` of its lines."""
        currency = self.invoice.currency
        corrected = total_of(one.amount for one in self.corrected if not one.is_tax) if is_own else ZERO
        before = total_of([*(one.credited for one in group.net), corrected])
        whole = total_of(one.line.amount for one in group.net)
        after = total_of([before, amount])
        if not min(whole, ZERO) <= after <= max(whole, ZERO):
            left = format_money(_less(whole, before), currency)
            raise _refusal(
                f"With what was taken off, {left} of these lines is left to credit before tax: credit less, or "
                "also the lines below zero."
            )
        set_off = self._corrected_taxes(group) if is_own else {}
        lines = []
        for one in group.taxes:
            due = one.line.amount if after == whole else _share(one.line, after, whole, currency)
            part = total_of([due, one.credited.copy_negate(), set_off.get(one.line.pk, ZERO).copy_negate()])
            if part:
                lines.append(NoteLine(one.name, part, True, one.line))
        return lines

    def _corrected_taxes(self, group: _Group) -> dict[int, Decimal]:
        """What was credited of each tax by corrections of usage. One whose tax is not known counts for the first."""
        parts = [one for one in self.corrected if one.is_tax]
        if not parts or not group.taxes:
            return {}
        rates = dict(Correction.objects.filter(invoice=self.invoice).values_list("key", "tax_rate_id"))
        lines = {one.line.tax_rate_id: one.line.pk for one in group.taxes}
        found: dict[int, Decimal] = defaultdict(lambda: ZERO)
        for part in parts:
            pk = lines.get(rates.get(part.corrects_key), group.taxes[0].line.pk)
            found[pk] = total_of([found[pk], part.amount])
        return found


def _share(tax: InvoiceLine, credited: Decimal, whole: Decimal, currency: str) -> Decimal:
    """The part of a tax that is on `credited` of `whole`: by its percentage, where it has one."""
    percent = next((step["percent"] for step in tax.steps if step.get("percent") is not None), None)
    if tax.kind == Kind.TAX and percent is not None:
        exact = EXACT.multiply(EXACT.multiply(Decimal(percent), credited), Decimal("0.01"))
    else:
        exact = PRORATED.divide(EXACT.multiply(tax.amount, credited), whole)
    return round_money(exact, currency)


def preview_credit(invoice: Invoice, amounts: Mapping[int, Decimal | None] | None = None) -> Note:
    """The credit note that `issue_credit_note` would issue now. Raises ValidationError."""
    check_final(invoice)
    leftover = Leftover(invoice)
    if leftover.total <= 0:
        raise ValidationError({"lines": "Nothing is left to credit of this invoice."})
    return leftover.whole() if amounts is None else leftover.of_lines(amounts)


@transaction.atomic
def issue_credit_note(
    invoice_id: int,
    *,
    reason: str,
    amounts: Mapping[int, Decimal | None] | None = None,
    actor: str = "",
    now: datetime | None = None,
) -> CreditNote:
    """Takes back these amounts of the lines at these positions (None: all that is left of the line); by default, all
    that is left of the invoice. Taxes follow. Raises Invoice.DoesNotExist and ValidationError.
    """
    now = now or timezone.now()
    reason = check_reason(reason)
    invoice = lock_invoice(invoice_id)
    credit_note = write_note(invoice, preview_credit(invoice, amounts), reason=reason, actor=actor, now=now)
    refresh(invoice, now)
    return credit_note


@transaction.atomic
def issue_correction(
    invoice: Invoice, lines: Sequence[CorrectionLine], now: datetime, *, reason: str = "", actor: str = ""
) -> CreditNote:
    """Takes back what usage that was voided, or came, after a final invoice makes less of it.

    The sum of the lines is above zero, which they need not be one by one. Call it with the customer locked.
    """
    invoice = lock_invoice(invoice.pk)
    check_final(invoice)
    kept = [one for one in lines if one.amount]
    note = Note([NoteLine(_cut(one.name), one.amount, one.is_tax, one.line, one.corrects_key) for one in kept])
    if note.total <= 0:
        raise ValidationError({"lines": "A credit note is of an amount above zero."})
    reason = reason or f"Usage of {period_words(invoice.period, invoice.zone)} has changed after the invoice."
    credit_note = write_note(invoice, note, reason=reason, actor=actor, now=now)
    refresh(invoice, now)
    return credit_note


def write_note(invoice: Invoice, note: Note, *, reason: str, actor: str, now: datetime) -> CreditNote:
    """Writes a credit note under the lock of its invoice, with the next number. `refresh` is to follow."""
    # The series last: whoever else wants a number waits until this is committed.
    credit_note = CreditNote.objects.create(
        invoice=invoice,
        number=next_number(now, NumberSeries.Series.CREDIT_NOTE),
        reason=reason,
        subtotal=note.subtotal,
        total=note.total,
        actor=actor,
        issued_at=now,
        seller=seller_to_keep(),
    )
    CreditNoteLine.objects.bulk_create(
        CreditNoteLine(
            credit_note=credit_note,
            position=position,
            invoice_line=line.line,
            corrects_key=line.corrects_key,
            is_tax=line.is_tax,
            name=line.name,
            amount=line.amount,
        )
        for position, line in enumerate(note.lines, start=1)
    )
    detail = {"number": credit_note.number, "total": amount_text(note.total, invoice.currency)}
    InvoiceEvent.objects.create(invoice=invoice, kind="credit note", actor=actor, detail=detail)
    return credit_note


def check_reason(reason: str, longest: int = LONGEST_REASON) -> str:
    """The reason without blanks around it. Raises ValidationError unless there is one."""
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": "Say why."})
    if len(reason) > longest:
        raise ValidationError({"reason": f"At most {longest} characters."})
    if "\0" in reason:
        raise ValidationError({"reason": "Null characters are not allowed."})
    return reason


def check_final(invoice: Invoice) -> None:
    if invoice.status == Invoice.Status.VOID:
        raise ValidationError(f"Invoice {invoice} is void." if invoice.number else "This invoice is void.")
    if invoice.status != Invoice.Status.FINAL:
        raise ValidationError("Only a final invoice can be credited or made void; this one still follows usage.")


def _name(line: InvoiceLine, part: str) -> str:
    return _cut(f"{line.name} ({part})" if part else line.name)


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _less(amount: Decimal, taken: Decimal) -> Decimal:
    return EXACT.subtract(amount, taken)


def _refusal(text: str) -> ValidationError:
    return ValidationError({"lines": text})
