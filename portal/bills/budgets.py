"""A customer's budgets against its running bills: how much is used, where it is heading, and a bar of both."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, localcontext

from invoices.alerting.budgets import MARKS, Budget, budgets_of
from invoices.models import Invoice
from invoices.outlook import Range
from meters.charts import ZERO
from meters.models import Customer
from meters.words import every_words, last_day, short_day_words
from portal.bills.overview import Bill
from pricing.money import format_money

FULL = Decimal(100)
# What is beyond is only told: a bar of ten budgets shows none of its marks.
WIDEST = Decimal(200)
# Of the bar, in percent: labels nearer than that would touch on a phone.
APART = Decimal(9)


@dataclass(frozen=True, slots=True)
class Mark:
    """At `x` percent of the bar's width; `label` is empty where labels would crowd."""

    x: Decimal
    label: str
    is_reached: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """In percent of its width: what is used of the budget and where it is heading, both from the left, and from where
    on it is more than the budget."""

    used: Decimal
    ahead: Decimal
    full: Decimal
    marks: tuple[Mark, ...]

    @property
    def over(self) -> Decimal:
        """What is used beyond the budget."""
        return max(self.used - self.full, ZERO)


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """A budget against one running bill, before tax as its alerts are. `state`: within, may, will or passed, or early
    while nothing is projected. `words` say all that the bar shows."""

    budget: Budget
    invoice: Invoice
    of: str
    used: Decimal
    percent: str
    state: str
    words: str
    bar: Bar
    is_before_tax: bool

    @property
    def anchor(self) -> str:
        return f"budget-{self.invoice.assignment_id}-{self.budget.currency}"


@dataclass(frozen=True, slots=True)
class BudgetPanel:
    """`uses` has each budget with each running bill in its currency; `idle` those that no bill is in."""

    uses: Sequence[BudgetUse]
    idle: Sequence[Budget]

    @property
    def is_empty(self) -> bool:
        return not self.uses and not self.idle


def budget_panel(customer: Customer, bills: Sequence[Bill]) -> BudgetPanel:
    budgets = budgets_of(customer)
    pairs = [(budget, bill) for bill in bills for budget in budgets if bill.invoice.currency == budget.currency]
    met = [budget for budget, _ in pairs]
    return BudgetPanel([_use(*pair) for pair in pairs], [budget for budget in budgets if budget not in met])


def _use(budget: Budget, bill: Bill) -> BudgetUse:
    invoice, ahead = bill.invoice, bill.outlook
    used = invoice.subtotal
    projected = ahead.even.subtotal if ahead else None
    state = _state(budget, used, projected, ahead.subtotal if ahead else None)
    return BudgetUse(
        budget=budget,
        invoice=invoice,
        of=every_words(invoice.plan_version.interval, invoice.plan_version.interval_count),
        used=used,
        percent=percent_words(used, budget.amount),
        state=state,
        words=_words(budget, bill, used, projected, state),
        bar=bar_of(budget, used, projected),
        is_before_tax=bool(bill.lines.taxes),
    )


def _state(budget: Budget, used: Decimal, projected: Decimal | None, between: Range | None) -> str:
    if used >= budget.amount:
        return "passed"
    if projected is None:
        return "early"
    if projected > budget.amount:
        return "will"
    return "may" if between is not None and between.high > budget.amount else "within"


def _words(budget: Budget, bill: Bill, used: Decimal, projected: Decimal | None, state: str) -> str:
    def money(amount: Decimal) -> str:
        return format_money(amount, budget.currency)

    if state == "passed":
        over = used - budget.amount
        return f"The budget is passed, by {money(over)}." if over else "The budget is used up."
    if projected is None:
        return "It is too early to say where it is heading."
    by = short_day_words(last_day(bill.invoice.period, bill.invoice.zone))
    if state == "will":
        return f"Projected to pass it: about {money(projected)} by {by}."
    if state == "may":
        busy = bill.outlook.subtotal if bill.outlook else None
        most = money(busy.high) if busy else ""
        return f"Projected to stay within it, about {money(projected)} by {by}; busy days would pass it: up to {most}."
    return f"Projected to stay within it: about {money(projected)} by {by}."


def percent_words(used: Decimal, of: Decimal) -> str:
    """Whole percents, cut off: 99.9% of a budget is not all of it."""
    percent = _percent(used, of)
    if ZERO < percent < 1:
        return "under 1%"
    return f"{percent.quantize(Decimal(1), ROUND_DOWN):,f}%"


def bar_of(budget: Budget, used: Decimal, projected: Decimal | None) -> Bar:
    """The bar ends at the budget, or at what is beyond it: used, projected, or told of."""
    filled = max(_percent(used, budget.amount), ZERO)
    ahead = filled if projected is None else max(_percent(projected, budget.amount), filled)
    thresholds = sorted({*MARKS, *budget.thresholds})
    end = min(max(FULL, ahead, *thresholds), WIDEST)

    def x(percent: Decimal) -> Decimal:
        return _share(min(percent, end), end)

    places = [(percent, x(percent)) for percent in thresholds if percent <= end]
    labelled = set(_labelled(places))
    return Bar(
        used=x(filled),
        ahead=x(ahead),
        full=x(FULL),
        marks=tuple(
            Mark(place, f"{percent.normalize():f}%" if percent in labelled else "", filled >= percent)
            for percent, place in places
        ),
    )


def _labelled(places: Sequence[tuple[Decimal, Decimal]]) -> Iterator[Decimal]:
    """100% in any case, then 50% and 75%, then the others, as far as there is room."""
    order = sorted(places, key=lambda one: (one[0] != FULL, one[0] not in MARKS, one[0]))
    taken: list[Decimal] = []
    for percent, place in order:
        if all(abs(place - other) >= APART for other in taken):
            taken.append(place)
            yield percent


def _percent(part: Decimal, of: Decimal) -> Decimal:
    with localcontext(prec=60):
        return part * FULL / of


def _share(part: Decimal, of: Decimal) -> Decimal:
    return _percent(part, of).quantize(Decimal("0.01"), ROUND_DOWN)
