"""From usage, rates and terms to the lines of an invoice. Pure: the one way to every figure on every document.

Each line is rounded once to the currency, and all that is figured from lines is figured from the rounded ones: so what
stands on an invoice adds up as it stands there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from enum import StrEnum

from pricing.money import minor_units, round_money, round_money_down, total_of
from pricing.rates import Charge, Rate, Step, StepKind, charge
from pricing.steps import EXACT, PRORATED
from pricing.terms import ONE_TIME, PERCENT, RECURRING, FeeTerms, PromotionTerms, TaxTerms, Terms

ZERO = Decimal(0)


class LineKind(StrEnum):
    """What a line is; the order is that of an invoice. The values are those of `InvoiceLine.Kind`."""

    USAGE = "usage"
    TRIAL = "trial"
    UNPRICED = "unpriced"
    FEE = "fee"
    PROMOTION = "promotion"
    TRUE_UP = "true_up"
    OVERAGE = "overage"
    TAX = "tax"
    CORRECTION = "correction"
    TAX_CORRECTION = "tax_corr"


@dataclass(frozen=True, slots=True)
class ItemUsage:
    """What a customer used of one product item in a period, and the rate that prices it (None: nothing does).

    `where` is the filter of the rate. `events` are the single values in order, for a rate that prices those. Usage in
    the trial costs nothing, whatever its rate.
    """

    product_item_id: int
    name: str
    unit: str
    quantity: Decimal
    rate: Rate | None
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    events: Iterable[Decimal] | None = None
    in_trial: bool = False


@dataclass(frozen=True, slots=True)
class DraftLine:
    """A line to be: `amount` is rounded to the currency's minor unit, the steps carry the exact walk to it."""

    kind: str
    name: str
    unit: str
    quantity: Decimal | None
    amount: Decimal
    rate: Rate | None = None
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    product_item_id: int | None = None
    fee_key: str = ""
    promotion_id: int | None = None
    tax_rate_id: int | None = None
    corrects_id: int | None = None
    corrects_key: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """The lines of an invoice, what they come to before taxes, and their total, in major units of its currency."""

    lines: tuple[DraftLine, ...]
    subtotal: Decimal
    total: Decimal


def draft(usages: Sequence[ItemUsage], terms: Terms) -> Draft:
    """The lines of an invoice, in the order in which they are computed, each on what stands before it:

    1. usage, in the order given, then that in the trial, then that without a price;
    2. fees: recurring, one-time, then those in percent of all usage and other fees;
    3. promotions, each on what the ones before have left;
    4. what lifts the sum to the plan's minimum or commitment, or what the overage factor makes of the rest;
    5. taxes, each on the sum of all that is no tax.
    """
    currency = terms.currency
    lines = sorted((_usage_line(usage, currency) for usage in usages), key=lambda line: _USAGE.index(line.kind))
    # Before the first charged day nothing is owed but what was used, and that is free.
    if terms.days:
        lines += [_fee_line(fee, currency) for fee in _of_kind(terms.fees, RECURRING) if fee.runs]
        lines += [_fee_line(fee, currency) for fee in _of_kind(terms.fees, ONE_TIME) if fee.runs]
        base = _sum(lines)
        lines += [_percent_fee_line(fee, base, currency) for fee in _of_kind(terms.fees, PERCENT)]
    lines += _promotion_lines(lines, terms)
    lines += _commitment_lines(_sum(lines), terms)
    subtotal = _sum(lines)
    lines += [_tax_line(tax, subtotal, currency) for tax in terms.taxes]
    return Draft(lines=tuple(lines), subtotal=subtotal, total=_sum(lines))


def with_corrections(bill: Draft, corrections: Sequence[DraftLine]) -> Draft:
    """A bill with what corrects earlier ones at its end. Corrections have been through fees, promotions, minimum and
    taxes in their own period, and are not again in this one; those of taxes are not in the subtotal."""
    net = [line.amount for line in corrections if line.kind != LineKind.TAX_CORRECTION]
    return Draft(
        lines=(*bill.lines, *corrections),
        subtotal=total_of([bill.subtotal, *net]),
        total=total_of([bill.total, *(line.amount for line in corrections)]),
    )


_USAGE = (LineKind.USAGE, LineKind.TRIAL, LineKind.UNPRICED)


def _sum(lines: Iterable[DraftLine]) -> Decimal:
    return total_of(line.amount for line in lines)


# --- Usage ---


def _usage_line(usage: ItemUsage, currency: str) -> DraftLine:
    rate = None if usage.in_trial else usage.rate
    if usage.in_trial:
        kind = LineKind.TRIAL
        charged = Charge(ZERO, (Step(StepKind.TRIAL, ZERO, quantity=usage.quantity),))
    elif rate is None:
        kind, charged = LineKind.UNPRICED, Charge(ZERO, ())
    else:
        kind, charged = LineKind.USAGE, charge(rate, usage.quantity, usage.events)
    return DraftLine(
        kind=kind,
        name=usage.name,
        unit=usage.unit,
        quantity=usage.quantity,
        amount=round_money(charged.amount, currency),
        rate=rate,
        where=usage.where,
        steps=charged.steps,
        product_item_id=usage.product_item_id,
    )


# --- Fees ---


def _of_kind(fees: Iterable[FeeTerms], kind: str) -> list[FeeTerms]:
    return [fee for fee in fees if fee.kind == kind]


def _fee_line(fee: FeeTerms, currency: str) -> DraftLine:
    """A fee of so many times so much. Its quantity is the last one, the one that counts now."""
    steps = _daily_fee_steps(fee, currency) if _by_days(fee) else (_whole_fee_step(fee),)
    counted = fee.runs[-1] if _by_days(fee) else fee.runs[0]
    return DraftLine(
        kind=LineKind.FEE,
        name=fee.name,
        unit=fee.unit,
        quantity=counted[0],
        amount=round_money(total_of(step.amount for step in steps), currency),
        steps=steps,
        fee_key=fee.key,
    )


def _by_days(fee: FeeTerms) -> bool:
    return fee.prorated and fee.kind == RECURRING


def _whole_fee_step(fee: FeeTerms) -> Step:
    quantity, price = fee.runs[0][0], fee.amount or ZERO
    return Step(StepKind.FEE, EXACT.multiply(quantity, price), quantity=quantity, unit_price=price)


def _daily_fee_steps(fee: FeeTerms, currency: str) -> tuple[Step, ...]:
    """One step for each run of equal quantity, and one for what rounding moves between the parts of the period.

    A share of days may never end (a third), so it is taken of the running sum and each step is the difference: then
    the steps sum to the share of the whole, and no digit is lost that only a part of them has. The sum runs from the
    beginning of the period, as if there had been as many before as there were first; the line is the difference of
    the rounded sums at its ends, so that lines of parts that meet come to the rounded fee of the whole.
    """
    price = fee.amount or ZERO
    weight = EXACT.multiply(fee.runs[0][0], Decimal(fee.days_before))
    before = start = _share(EXACT.multiply(weight, price), 1, fee.of_days)
    steps = []
    for quantity, days in fee.runs:
        weight = EXACT.fma(quantity, Decimal(days), weight)
        after = _share(EXACT.multiply(weight, price), 1, fee.of_days)
        whole = days == fee.of_days
        steps.append(
            Step(
                StepKind.FEE,
                EXACT.subtract(after, before),
                quantity=quantity,
                unit_price=price,
                days=None if whole else days,
                of_days=None if whole else fee.of_days,
            )
        )
        before = after
    exact = EXACT.subtract(before, start)
    amount = EXACT.subtract(round_money(before, currency), round_money(start, currency))
    if amount != round_money(exact, currency):
        steps.append(Step(StepKind.ROUNDING, EXACT.subtract(amount, exact)))
    return tuple(steps)


def _percent_fee_line(fee: FeeTerms, base: Decimal, currency: str) -> DraftLine:
    step = _percentage(StepKind.PERCENT_FEE, fee.percent or ZERO, base)
    return DraftLine(
        kind=LineKind.FEE,
        name=fee.name,
        unit="",
        quantity=None,
        amount=round_money(step.amount, currency),
        steps=(step,),
        fee_key=fee.key,
    )


def _percentage(kind: StepKind, percent: Decimal, base: Decimal) -> Step:
    amount = EXACT.multiply(EXACT.multiply(percent, base), Decimal("0.01"))
    return Step(kind, amount, percent=percent, base=base)


def _share(amount: Decimal, days: int, of_days: int) -> Decimal:
    """amount x days / of_days, to as many digits as a prorated block has; of all days, exact."""
    return amount if days == of_days else PRORATED.divide(EXACT.multiply(amount, Decimal(days)), Decimal(of_days))


# --- Promotions ---


def _promotion_lines(charges: Sequence[DraftLine], terms: Terms) -> list[DraftLine]:
    """What each promotion takes off. One that takes nothing off has no line.

    `left` is what promotions have left of each line. What is taken off several lines is spread over them, so that a
    later promotion on one product item does not take off again what an earlier one on the whole invoice has.
    """
    left = [line.amount for line in charges]
    lines: list[DraftLine] = []
    for promotion in terms.promotions:
        chosen = [index for index, line in enumerate(charges) if _is_about(promotion, line)]
        steps = tuple(_discount_steps(promotion, total_of(left[index] for index in chosen), terms.currency))
        amount = round_money(total_of(step.amount for step in steps), terms.currency)
        if not amount:
            continue
        lines.append(
            DraftLine(
                kind=LineKind.PROMOTION,
                name=promotion.name,
                unit="",
                quantity=None,
                amount=amount,
                steps=steps,
                promotion_id=promotion.id,
            )
        )
        parts = spread(amount.copy_negate(), [left[index] for index in chosen], terms.currency)
        for index, part in zip(chosen, parts, strict=True):
            left[index] = EXACT.subtract(left[index], part)
    return lines


def _is_about(promotion: PromotionTerms, line: DraftLine) -> bool:
    return not promotion.product_item_ids or line.product_item_id in promotion.product_item_ids


def _discount_steps(promotion: PromotionTerms, base: Decimal, currency: str) -> Iterator[Step]:
    """The percentage of `base`, or as much of the amount `of` as `base` has room for; and what the cap leaves of it, in
    whole minor units, so that the line cannot be rounded up beyond it."""
    if promotion.percent is not None:
        discount = _percentage(StepKind.DISCOUNT, promotion.percent.copy_negate(), base)
        yield Step(StepKind.DISCOUNT, discount.amount, percent=promotion.percent, base=base)
        off = discount.amount.copy_negate()
    else:
        amount = promotion.amount or ZERO
        off = min(amount, base)
        yield Step(StepKind.DISCOUNT, off.copy_negate(), of=amount, base=base)
    if promotion.left is not None:
        allowed = round_money_down(max(promotion.left, ZERO), currency)
        if off > allowed:
            yield Step(StepKind.CAP, EXACT.subtract(off, allowed), of=allowed)


def spread(amount: Decimal, over: Sequence[Decimal], currency: str) -> list[Decimal]:
    """`amount` in shares of the amounts `over`, in whole minor units, none larger than what it is a share of.

    Shares of the running sum are rounded down and each part is the difference, so the parts sum to `amount`.
    """
    unit = Decimal(1).scaleb(-minor_units(currency))
    parts = []
    with localcontext(EXACT):
        whole = total_of(over)
        running = before = ZERO
        for one in over:
            running += one
            after = (amount * running) // (whole * unit) * unit
            parts.append(after - before)
            before = after
    return parts


# --- Minimum and commitment ---


def _commitment_lines(charges: Decimal, terms: Terms) -> Iterator[DraftLine]:
    """What lifts the charges to the minimum or the commitment of the days that are charged, exactly; or what the
    overage factor adds to (below 1: takes off) the charges beyond the commitment."""
    committed = terms.commitment is not None
    agreed = terms.minimum if terms.commitment is None else terms.commitment
    due = round_money(_share(agreed, terms.days, terms.of_days), terms.currency)
    days, of_days = (None, None) if terms.days == terms.of_days else (terms.days, terms.of_days)
    if charges < due:
        missing = EXACT.subtract(due, charges)
        step = Step(StepKind.TRUE_UP, missing, base=charges, of=due, days=days, of_days=of_days)
        name = "Commitment" if committed else "Minimum"
        yield DraftLine(kind=LineKind.TRUE_UP, name=name, unit="", quantity=None, amount=missing, steps=(step,))
    elif committed:
        beyond = EXACT.subtract(charges, due)
        added = EXACT.multiply(beyond, EXACT.subtract(terms.overage_factor, Decimal(1)))
        amount = round_money(added, terms.currency)
        if amount:
            factor = terms.overage_factor
            step = Step(StepKind.OVERAGE, added, base=beyond, of=due, factor=factor, days=days, of_days=of_days)
            yield DraftLine(
                kind=LineKind.OVERAGE,
                name="Beyond the commitment",
                unit="",
                quantity=None,
                amount=amount,
                steps=(step,),
            )


# --- Taxes ---


def _tax_line(tax: TaxTerms, base: Decimal, currency: str) -> DraftLine:
    step = _percentage(StepKind.TAX, tax.percent, base)
    return DraftLine(
        kind=LineKind.TAX,
        name=tax.name,
        unit="",
        quantity=None,
        amount=round_money(step.amount, currency),
        steps=(step,),
        tax_rate_id=tax.id,
    )
