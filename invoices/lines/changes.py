"""What has come, or was voided, since a line became final, and where it is made up for, in words."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from invoices.late.corrections import key_of
from invoices.lines.days import NEWER, ByDay
from invoices.lines.spans import About
from invoices.models import Correction, CreditNoteLine, Invoice, InvoiceLine
from meters.aggregation import ADDITIVE
from meters.words import period_words
from pricing.explain_nouns import Say
from pricing.money import total_of
from pricing.rates import Step, StepKind

ZERO = Decimal(0)


@dataclass(slots=True)
class _Carried:
    """What documents with numbers have of the correction of a line."""

    amount: Decimal = ZERO
    numbers: list[str] = field(default_factory=list)


def changes_of(invoice: Invoice, found: Sequence[ByDay | None]) -> list[list[str]]:
    """For each of these lines of an invoice, in order, what to say of usage that its quantity does not have."""
    if invoice.number and any(map(_is_otherwise, found)):
        corrections = {one.key: one for one in Correction.objects.filter(invoice=invoice)}
        carried = _carried(invoice)
    else:
        corrections, carried = {}, {}
    said: list[list[str]] = []
    for one in found:
        if one is None or one.total is None:
            said.append([])
        elif one.about.line.corrects_id:
            said.append([_of_correction(one.about, one.total)])
        elif invoice.number:
            said.append([_of_final(one, corrections, carried)] if _is_otherwise(one) else [])
        else:
            said.append([NEWER] if _is_otherwise(one) else [])
    return said


def _is_otherwise(one: ByDay | None) -> bool:
    """Whether a line of usage comes to another quantity by what is known now."""
    if one is None or one.total is None or one.about.line.corrects_id:
        return False
    return one.total != (one.about.line.quantity or ZERO)


def _of_correction(about: About, total: Decimal) -> str:
    """ "All of 1–30 Sep 2026 as it is known now: 65 calls. 2026-0001 had 40 calls of it." """
    say = Say(about.line.unit, about.of.currency)
    known = f"All of {period_words(about.of.period, about.of.zone)} as it is known now: {say.count(total)}."
    steps = [Step.from_dict(step) for step in about.line.steps]
    billed = [step.quantity.copy_negate() for step in steps if step.kind == StepKind.BILLED]
    return f"{known} {about.of.number} had {say.count(total_of(billed))} of it." if billed else known


def _of_final(one: ByDay, corrections: dict[str, Correction], carried: dict[str, _Carried]) -> str:
    line = one.about.line
    say = Say(line.unit, one.about.of.currency)
    total, billed = one.total or ZERO, line.quantity or ZERO
    difference = total_of([total, billed.copy_negate()])
    key = key_of(line)
    meter = one.about.counted[0].meter
    if meter.aggregation in ADDITIVE:
        how = "came" if difference > 0 else "was voided" if abs(difference) == 1 else "were voided"
        told = f"{say.count(abs(difference))} {how} later"
        they = ("it", "is", "waits") if abs(difference) == 1 else ("they", "are", "wait")
    else:
        told = f"By what is known now it is {say.count(total)}, not {say.count(billed)}"
        they = ("the difference", "is", "waits")
    return f"{told}; {_where(one, difference, corrections.get(key), carried.get(key, _Carried()), they)}."


def _where(
    one: ByDay, difference: Decimal, correction: Correction | None, carried: _Carried, they: tuple[str, str, str]
) -> str:
    them, are, wait = they
    if one.about.of.status == Invoice.Status.VOID:
        return "the invoice is void"
    counted = ZERO
    if correction is not None:
        before, after = correction.quantity_before or ZERO, correction.quantity_after or ZERO
        counted = total_of([after, before.copy_negate()])
    if counted != difference:
        return f"{them} {are} being worked in"
    wanted = correction.amount if correction is not None else ZERO
    if wanted == carried.amount:
        if not carried.numbers:
            return "the amount stays as it is"
        return f"{them} {are} on {_listed(carried.numbers)}"
    if not carried.numbers:
        return f"{them} {wait} to be carried by the next invoice"
    return f"{_listed(carried.numbers)} has a part, and the rest waits to be carried by the next invoice"


def _carried(invoice: Invoice) -> dict[str, _Carried]:
    """By line of the invoice: the invoices and credit notes with numbers that correct it."""
    found: dict[str, _Carried] = defaultdict(_Carried)
    lines = InvoiceLine.objects.filter(corrects=invoice, invoice__status=Invoice.Status.FINAL).order_by("invoice_id")
    for key, amount, number in lines.values_list("corrects_key", "amount", "invoice__number"):
        _add(found[key], amount, number)
    # A note that credits lines of the invoice sets off in it what was corrected, and carries no correction.
    credited = CreditNoteLine.objects.filter(credit_note__invoice=invoice, invoice_line__isnull=False)
    notes = CreditNoteLine.objects.filter(credit_note__invoice=invoice).exclude(corrects_key="")
    notes = notes.exclude(credit_note__in=credited.values("credit_note")).order_by("credit_note_id")
    for key, amount, number in notes.values_list("corrects_key", "amount", "credit_note__number"):
        _add(found[key], amount.copy_negate(), number)
    return found


def _add(carried: _Carried, amount: Decimal, number: str) -> None:
    carried.amount = total_of([carried.amount, amount])
    if number not in carried.numbers:
        carried.numbers.append(number)


def _listed(names: Iterable[str]) -> str:
    found = list(names)
    return " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)
